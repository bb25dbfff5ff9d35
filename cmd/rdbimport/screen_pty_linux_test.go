package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// openPTY returns the two ends of a new terminal.
func openPTY(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = control.Close() })
	fd := int(control.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return control, terminal
}

// A terminalRun is rdbimport on a terminal of its own.
type terminalRun struct {
	t       *testing.T
	control *os.File
	cmd     *exec.Cmd
	ended   chan error

	mu     sync.Mutex
	screen *fakeTerminal
	raw    bytes.Buffer
}

// onTerminal starts rdbimport as a shell would.
func onTerminal(t *testing.T, width, height int, args ...string) *terminalRun {
	t.Helper()
	control, terminal := openPTY(t)
	r := &terminalRun{t: t, control: control, ended: make(chan error, 1), screen: newFakeTerminal(width, height)}
	r.setSize(width, height)
	r.cmd = exec.Command("rdbimport", args...)
	r.cmd.Env = append(os.Environ(), "TERM=xterm")
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = terminal, terminal, terminal
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close() // so that the last one to close it is the program
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 4096)
		for {
			n, err := r.control.Read(buf)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.raw.Write(buf[:n])
			_, _ = r.screen.Write(buf[:n])
			r.mu.Unlock()
		}
	}()
	go func() {
		err := r.cmd.Wait()
		<-drained
		r.ended <- err
	}()
	return r
}

// setSize tells the system the size of the terminal.
func (r *terminalRun) setSize(width, height int) {
	r.t.Helper()
	size := &unix.Winsize{Col: uint16(width), Row: uint16(height)}
	if err := unix.IoctlSetWinsize(int(r.control.Fd()), unix.TIOCSWINSZ, size); err != nil {
		r.t.Fatal(err)
	}
}

// resize changes the size right after a change of the screen, when none is under
// way: one that was made for the old size would leave something behind.
func (r *terminalRun) resize(width, height int) {
	r.t.Helper()
	seen := -1
	r.until("resized", func(string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		before := seen
		if seen = r.raw.Len(); before < 0 || before == seen || !bytes.HasSuffix(r.raw.Bytes(), []byte(clearDown)) {
			return false
		}
		r.setSize(width, height)
		r.screen.resize(width)
		r.screen.height = height
		return true
	})
}

func (r *terminalRun) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.screen.text()
}

// until waits until the screen is as it should be.
func (r *terminalRun) until(what string, cond func(screen string) bool) string {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for range tick.C {
		text := r.text()
		if cond(text) {
			return text
		}
		if time.Now().After(deadline) {
			_ = r.cmd.Process.Kill()
			r.t.Fatalf("never %s:\n%s", what, text)
		}
	}
	return ""
}

func (r *terminalRun) wait() int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		r.t.Fatalf("it hangs:\n%s", r.text())
	}
	return r.cmd.ProcessState.ExitCode()
}

// allWell reports whether a screen shows three masters at work.
func allWell(text string) bool {
	n := 0
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasPrefix(f[0], "127.0.0.1:") && f[1] != "0" && (f[len(f)-1] == "ok" || f[len(f)-1] == "idle") {
			n++
		}
	}
	return n == 3
}

// whole makes sure that a screen shows everything once, and is not torn.
func (r *terminalRun) whole(text string, masters, width, height int) {
	r.t.Helper()
	rows, first := 0, -1
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if textWidth(line) >= width && !strings.Contains(line, "warning") {
			r.t.Errorf("wider than %d: %q", width-1, line)
		}
		if strings.HasPrefix(line, "127.0.0.1:") {
			rows++
		}
		if strings.HasPrefix(line, "import ") && first < 0 {
			first = i
		}
	}
	if n := strings.Count(text, "import "); n != 1 || rows != masters || strings.Count(text, "master ") != 1 || len(lines)-first > height-1 {
		r.t.Errorf("%d bars, %d rows for %d masters:\n%s", n, rows, masters, text)
	}
}

// TestTerminal imports on a real terminal that is made smaller meanwhile, with a
// master that stops answering, and interrupts it: at every moment the screen is
// whole, and in the end nothing of it is left above the table.
func TestTerminal(t *testing.T) {
	binary, err := serverBinary(defaultServer)
	needs.Have(t, err)
	cluster, release, err := shared.take(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	dump := filepath.Join(t.TempDir(), "dump.rdb")
	var b bytes.Buffer
	if _, err := dataset.Mixed(&b, 120_000, 7); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dump, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := onTerminal(t, 80, 24, "--rate-keys", "4000", "--memory", "1MiB", dump, cluster.Addrs()[0])
	text := r.until("three masters that are well", allWell)
	r.whole(text, 3, 80, 24)

	frozen := cluster.Masters()[1]
	if err := frozen.Pause(); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() {
		if err := frozen.Resume(); err != nil {
			t.Error(err)
		}
	})
	defer resume()
	text = r.until("silent", func(text string) bool {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, frozen.Addr) && strings.Contains(line, "silent 0:0") {
				return true
			}
		}
		return false
	})
	r.whole(text, 3, 80, 24)
	resume()

	r.resize(40, 20)
	narrow := func(text string) bool { return !strings.Contains(text, "in fl") && strings.Contains(text, "state") }
	r.whole(r.until("narrow", narrow), 3, 40, 20)
	r.resize(120, 40)
	wide := func(text string) bool { return strings.Contains(text, "in flight") && allWell(text) }
	r.whole(r.until("wide again, and well", wide), 3, 120, 40)

	if _, err := r.control.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if code := r.wait(); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	text = r.text()
	for _, want := range []string{
		"interrupted: finishing what is in flight; once more stops at once\nrdbimport: interrupted (", "\nmaster ", "\n" + frozen.Addr + " ", "\nall ", "\nkeys read ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the end:\n%s", want, text)
		}
	}
	for _, not := range []string{"import ", "finishing  ", "^C", "in flight  retries"} {
		if strings.Contains(text, not) {
			t.Errorf("%q is left over:\n%s", not, text)
		}
	}
	if len(r.screen.bad) > 0 {
		t.Errorf("sequences that not every terminal knows: %q", r.screen.bad)
	}
}

// TestHelpOnTerminal: the help is broken between words, and elsewhere a flag is a line.
func TestHelpOnTerminal(t *testing.T) {
	const width = 85
	r := onTerminal(t, width, 50, "--help")
	if code := r.wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := strings.Split(strings.ReplaceAll(r.raw.String(), "\r\n", "\n"), "\n")
	if n := len(lines); n < 80 {
		t.Fatalf("%d lines", n)
	}
	for _, line := range lines {
		if textWidth(line) > width {
			t.Errorf("%d wide: %s", textWidth(line), line)
		}
	}
	var plain bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, nil, &plain, &plain); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if !regexp.MustCompile(`\n +--big-value SIZE .* if --memory allows; rdbimport help large\)\n`).MatchString(plain.String()) {
		t.Errorf("not on a terminal:\n%s", plain.String())
	}
}
