package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A program is rdbimport while it runs beside the script.
type program struct {
	cmd            *exec.Cmd
	stdout, stderr output
	stdin          io.WriteCloser
	fed            chan struct{} // closed when it has taken its input, or will not
	ended          chan error
}

// An output gathers what a program writes and tells when a text has come.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	want string
	seen chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.want != "" && strings.Contains(o.b.String(), o.want) {
		o.want = ""
		close(o.seen)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startProgram starts rdbimport in a process group of its own. Its standard input
// has the bytes given, and then stays open. stdout.seen tells of want.
func startProgram(ts *testscript.TestScript, input []byte, args []string, want string) *program {
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "rdbimport")); err == nil {
			path = filepath.Join(dir, "rdbimport")
			break
		}
	}
	p := &program{cmd: exec.Command(path, args...), fed: make(chan struct{}), ended: make(chan error, 1)}
	p.stdout.want, p.stdout.seen = want, make(chan struct{})
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(os.Environ(), passwordVariable+"="+ts.Getenv(passwordVariable))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	stdin, err := p.cmd.StdinPipe()
	ts.Check(err)
	p.stdin = stdin
	ts.Check(p.cmd.Start())
	go func() {
		_, _ = stdin.Write(input) // it may end before it has read all
		close(p.fed)
		p.ended <- p.cmd.Wait()
	}()
	return p
}

// patience is how long a script waits for what should happen soon.
const patience = 30 * time.Second

// wait waits for the end and writes the files stdout, stderr and code.
func (p *program) wait(ts *testscript.TestScript) {
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		ts.Fatalf("it hangs\n%s", p.stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), []byte(p.stdout.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), []byte(p.stderr.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("code"), fmt.Appendln(nil, p.cmd.ProcessState.ExitCode()), 0o600))
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// interrupted runs rdbimport with the first half of FILE on its standard input,
// which then stays open; when the nodes have had keys for a while it sends
// SIGINT.
//
//	interrupt FILE ARG...
func interrupted(ts *testscript.TestScript, _ bool, args []string) {
	dump := []byte(ts.ReadFile(args[0]))
	p := startProgram(ts, dump[:len(dump)/2], args[1:], "")
	if err := untilSteady(func() int64 { return keysOn(ts) }); err != nil {
		p.kill()
		ts.Fatalf("%v", err)
	}
	ts.Check(p.cmd.Process.Signal(syscall.SIGINT))
	p.wait(ts)
}

// held runs rdbimport with all of FILE but its last bytes on its standard input,
// which then stays open, and waits until it ends of itself.
//
//	hold FILE ARG...
func held(ts *testscript.TestScript, _ bool, args []string) {
	const footer = 9
	dump := []byte(ts.ReadFile(args[0]))
	startProgram(ts, dump[:len(dump)-footer], args[1:], "").wait(ts)
}

// groupInterrupted runs rdbimport until it has written TEXT to standard output,
// and sends SIGINT to its whole process group, as Ctrl-C in a terminal does.
//
//	ctrlc TEXT ARG...
func groupInterrupted(ts *testscript.TestScript, _ bool, args []string) {
	p := startProgram(ts, nil, args[1:], args[0])
	select {
	case <-p.stdout.seen:
	case err := <-p.ended:
		ts.Fatalf("it ended: %v\n%s", err, p.stderr.String())
	case <-time.After(patience):
		p.kill()
		ts.Fatalf("it does not write %q\n%s", args[0], p.stderr.String())
	}
	ts.Check(syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT))
	p.wait(ts)
}

// untilSteady waits until count is above zero and has not changed for a while.
func untilSteady(count func() int64) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(patience)
	last, same := int64(0), 0
	for range ticker.C {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d keys, and it does not come to rest", last)
		}
		n := count()
		if n != last || n == 0 {
			last, same = n, 0
			continue
		}
		if same++; same == 10 {
			return nil
		}
	}
	return nil
}
