package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A cost is what one run cost. Times are in seconds.
type cost struct {
	Wall      float64 `json:"wall_seconds"`
	Own       float64 `json:"own_seconds,omitempty"` // as rdbimport itself reports it: without start and greeting
	User      float64 `json:"user_seconds"`
	System    float64 `json:"system_seconds"`
	Servers   float64 `json:"servers_seconds"` // processor time, all servers together
	PeakRSS   int64   `json:"peak_rss_bytes,omitempty"`
	Keys      int64   `json:"keys"`                 // found on the masters afterwards
	Stopped   bool    `json:"stopped,omitempty"`    // at the time limit, with Keys written
	LimitedBy string  `json:"limited_by,omitempty"` // as rdbimport itself reports it
}

func (c cost) cpu() float64 { return c.User + c.System }

// A child is a program to be run and measured.
type child struct {
	path string
	args []string
	dir  string
	in   *os.File  // standard input, none if nil
	out  io.Writer // standard output, discarded if nil
}

// run runs the program to its end. The error of a program that ctx has ended
// matches ctx's.
func (c child) run(ctx context.Context) (cost, error) {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Stdout = c.dir, c.out
	if c.in != nil {
		cmd.Stdin = c.in
	}
	var stderr tail
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	start := time.Now()
	err := cmd.Run()
	res := cost{Wall: time.Since(start).Seconds()}
	if cmd.ProcessState != nil {
		res.User, res.System = cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds()
		res.PeakRSS = peakRSS(cmd.ProcessState)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = fmt.Errorf("%s: %w\n%s", c.path, err, stderr.last)
	}
	return res, err
}

// peakRSS returns the most memory that a process held, in bytes. Linux counts
// from before the exec, when it was a copy of this program: one more reason to
// render the floor's commands in a process of its own.
func peakRSS(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}

// tail keeps the end of what is written to it, for an error message.
type tail struct{ last []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 2000
	t.last = append(t.last, p...)
	if len(t.last) > 2*most {
		t.last = append(t.last[:0], t.last[len(t.last)-most:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(bytes.TrimSpace(t.last)) }

// within runs f with a time limit. Being stopped by it is no error.
func within(ctx context.Context, limit time.Duration, f func(context.Context) (cost, error)) (cost, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := f(limited)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		c.Stopped, err = true, nil
	}
	return c, err
}
