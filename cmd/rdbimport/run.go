package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// streams are what a command reads from and writes to.
type streams struct {
	stdin  io.Reader
	stdout io.Writer
	con    *console // standard error
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	defer ignoreBrokenPipes()()
	s := &streams{stdin: stdin, stdout: stdout, con: &console{w: stderr}}
	root := newRootCommand(s)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	var shown *shownError
	if !asError(err, &shown) {
		s.con.failure(err)
		if wants(args, "json") {
			writeUnbegun(stdout, cmd.Name(), wants(args, "dry-run"), err, code)
		}
	}
	return code
}

// wants reports whether a flag was given. A command line with a mistake in it may
// not have been read as far as that.
func wants(args []string, flag string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--"+flag) || slices.Contains(args, "--"+flag+"=true")
}

// ignoreBrokenPipes makes a write to a closed standard output or error an error
// like any other: without it the runtime ends the program, and with it the import.
func ignoreBrokenPipes() (undo func()) {
	c := make(chan os.Signal, 1) // nobody looks: the error of the write says it
	signal.Notify(c, syscall.SIGPIPE)
	return func() { signal.Stop(c) }
}
