package localcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended and was waited for
}

// startProcess starts the server binary with a configuration file; its output is appended to logFile.
//
// The kernel ties "die with the parent" to the thread that forked, not to the process, and a Go program may end a thread while it runs
// on. So one goroutine forks and waits without ever leaving its thread: the thread lives as long as the server.
func startProcess(binary, configFile, logFile string) (*process, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // the child has its own descriptor
	p := &process{
		cmd:  command(context.Background(), binary, configFile),
		done: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = apart()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return p, nil
}

// apart has a server die with its parent, and puts it into a process group of its own: Ctrl-C in a terminal goes to the whole group of the
// program, and a server that shuts down by itself would spoil what the program still has to do.
func apart() *syscall.SysProcAttr {
	attr := dieWithParent()
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Setpgid = true
	return attr
}

// pid returns the process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process, stopped or not, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only for one that has ended
	<-p.done
}

// signal sends sig to the process unless it has ended.
func (p *process) signal(sig syscall.Signal) error {
	if p.ended() {
		return os.ErrProcessDone
	}
	return p.cmd.Process.Signal(sig)
}
