package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// streams are what a command reads from and writes to.
type streams struct {
	stdin  io.Reader
	stdout io.Writer
	con    *console // standard error
	mayUse int64    // of memory, 0 if that is not known
}

// A checkedOutput is standard output. It keeps the first error of writing to it, so that
// a result that nobody has got is no success.
type checkedOutput struct {
	w   io.Writer
	err error
}

func (o *checkedOutput) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err == nil {
		return n, nil
	}
	err = fmt.Errorf("standard output: %w", bareError(err))
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// after is the exit code of a command that ended with code and err, and that has written
// to o what it had to say. A standard output that is closed is meant so.
func (o *checkedOutput) after(code int, err error, con *console) int {
	if o.err == nil || errors.Is(o.err, syscall.EPIPE) {
		return code
	}
	if !errors.Is(err, o.err) { // said already
		con.line("rdbimport: %v", o.err)
	}
	if code == exitOK {
		return exitStart
	}
	return code
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	defer ignoreBrokenPipes()()
	out := &checkedOutput{w: stdout}
	s := &streams{stdin: stdin, stdout: out, con: &console{w: stderr}, mayUse: keepMemory(os.DirFS("/"))}
	root := newRootCommand(s)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	var shown *shownError
	if err != nil && !asError(err, &shown) {
		if cmd.Name() != "help" {
			s.con.help = cmd.CommandPath()
		}
		s.con.failure(err)
		if wants(args, "json") {
			writeUnbegun(out, cmd.Name(), wants(args, "dry-run"), err, code)
		}
	}
	return out.after(code, err, s.con)
}

// wants reports whether a flag was given. A command line with a mistake in it may
// not have been read as far as that.
func wants(args []string, flag string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.ContainsFunc(args, func(arg string) bool {
		name, value, given := strings.Cut(arg, "=")
		on, err := strconv.ParseBool(value)
		return name == "--"+flag && (!given || on && err == nil)
	})
}

// ignoreBrokenPipes makes a write to a closed standard output or error an error
// like any other: without it the runtime ends the program, and with it the import.
func ignoreBrokenPipes() (undo func()) {
	c := make(chan os.Signal, 1) // nobody looks: the error of the write says it
	signal.Notify(c, syscall.SIGPIPE)
	return func() { signal.Stop(c) }
}
