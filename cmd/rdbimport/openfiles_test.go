package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/rdbimport/rdbimport/slotter"
)

func TestEnoughFiles(t *testing.T) {
	for _, c := range []struct {
		masters, lanes, sources, may int
		enough                       bool
	}{
		{3, 0, 1, 17, true}, {3, 0, 1, 16, false}, {3, 1, 1, 17, true}, {3, 20, 1, 32, false}, {3, 20, 1, 74, true},
		{300, 0, 1, 256, false}, {1, 64, 100, 79, true}, {1, 64, 100, 78, false},
	} {
		err := enoughFiles(c.masters, c.lanes, c.sources, c.may)
		if (err == nil) != c.enough {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil && (exitCode(err) != exitStart || !strings.Contains(hintFor(err), "ulimit -n")) {
			t.Errorf("%v: exit code %d, hint %q", err, exitCode(err), hintFor(err))
		}
	}
	want := "too few open files: 20 connections to each of 3 masters make 74 with everything else, and this process may have 32"
	if err := enoughFiles(3, 20, 1, 32); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestFilesHint: what the system says of too many files is no word about a server.
func TestFilesHint(t *testing.T) {
	err := error(&slotter.NodeError{Addr: "h:1", Kind: slotter.ErrUnreachable, Msg: "socket: too many open files", Err: syscall.EMFILE})
	for _, err := range []error{err, fmt.Errorf("no progress for 1m0s: h:1: %w", err), &begunError{err: err, written: 5}} {
		if got := hintFor(err); got != hintFiles {
			t.Errorf("%v: hint %q", err, got)
		}
	}
	if got := listed(&slotter.Cluster{}, err); !errors.Is(got, err) || strings.Contains(got.Error(), "the cluster lists it") {
		t.Errorf("%v", got)
	}
}
