package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

func TestExitCodeAndHint(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("a.rdb: %w", err) }
	format := func(err error) error { return wrap(&rdbparse.FormatError{Offset: 7, Within: "a key", Err: err}) }
	begun := func(err error) error { return &begunError{err: err, written: 5} }
	for _, c := range []struct {
		err  error
		code int
		hint string // part of it
	}{
		{nil, 0, ""},
		{&usageError{"x", "do y"}, 1, "do y"},
		{errors.New("anything"), 1, ""},
		{begun(errors.New("anything")), 2, "run again"},
		{&source.Error{Name: "a", Err: fs.ErrNotExist}, 1, ""},
		{begun(format(&source.Error{Name: "a", Found: "cannot be read", Err: fs.ErrInvalid})), 2, "run again"},
		{&source.Error{Name: "a", Kind: source.ErrNotRDB, Hint: "z"}, 3, ""},
		{&source.Error{Name: "a", Kind: source.ErrUnsupported}, 3, ""},
		{&source.Error{Name: "a", Kind: source.ErrTruncated}, 3, ""},
		{begun(&source.Error{Name: "a", Kind: source.ErrCompressed}), 3, "run again"},
		{&source.Error{Name: "a", Kind: source.ErrInterrupted}, 130, ""},
		{format(rdbparse.ErrNotRDB), 3, ""},
		{format(rdbparse.ErrVersion), 3, "--any-version"},
		{begun(format(rdbparse.ErrUnknown)), 3, "newer"},
		{begun(format(rdbparse.ErrTruncated)), 3, "again"},
		{begun(format(rdbparse.ErrChecksum)), 3, "again"},
		{begun(format(fmt.Errorf("%w: %w", rdbparse.ErrCorrupt, errors.New("x")))), 3, "again"},
		{slotter.ErrUnreachable, 1, "running"},
		{&slotter.NodeError{Addr: "h:1", Kind: slotter.ErrAuth}, 1, "REDISCLI_AUTH"},
		{fmt.Errorf("%w: x", slotter.ErrNoPermission), 1, "RESTORE"},
		{begun(fmt.Errorf("%w: x", slotter.ErrNoPermission)), 2, "RESTORE"},
		{slotter.ErrReplica, 1, "master"},
		{fmt.Errorf("%w: 0-5", pipeline.ErrNotCovered), 1, "master"},
		{begun(fmt.Errorf("%w: x", pipeline.ErrTargetFull)), 2, "maxmemory"},
		{begun(fmt.Errorf("%w: x", pipeline.ErrNoProgress)), 2, "--retry-timeout"},
		{begun(fmt.Errorf("%w: %w", pipeline.ErrNoProgress, &slotter.NodeError{Addr: "h:1", Kind: slotter.ErrAuth})), 2, "REDISCLI_AUTH"},
		{begun(fmt.Errorf("%w: x", pipeline.ErrManyNodes)), 2, "--cluster check"},
		{begun(fmt.Errorf("%w: x", pipeline.ErrDatabases)), 2, "--merge-dbs"},
		{fmt.Errorf("%w: x", pipeline.ErrDatabases), 2, "--db N"},
		{begun(&pipeline.ConflictError{Key: []byte("k")}), 2, "--on-conflict skip"},
		{begun(fmt.Errorf("key x %w: y", pipeline.ErrCannotCompare)), 2, "--on-conflict skip"},
		{begun(wrap(&pipeline.DamagedError{Key: []byte("k"), Type: rdbparse.TypeHashListpack.Info(), Err: errors.New("x")})), 3, "--on-error skip"},
		{fmt.Errorf("%w: x", errTypes), 2, "without --check"},
		{fmt.Errorf("%w: x", errPartly), 4, ""},
		{fmt.Errorf("%w: x", errLost), 4, "--on-conflict skip"},
		{fmt.Errorf("%w: x", errEvicted), 4, "make room"},
		{fmt.Errorf("%w: x", errLostReplacing), 4, "--on-conflict replace"},
		{fmt.Errorf("%w: x", errEvictedReplacing), 4, "--on-conflict replace"},
		{fmt.Errorf("%w: x", errCheckpoint), 1, "delete"},
		{fmt.Errorf("%w (process 1)", errInUse), 1, "wait"},
		{begun(fmt.Errorf("%w: x", errCheckpoint)), 1, "delete"},
		{fmt.Errorf("%w: x", pipeline.ErrFewReplicas), 1, "--wait-replicas"},
		{&begunError{err: errInterrupted, resumes: true}, 130, "from the checkpoint"},
		{&begunError{err: fmt.Errorf("%w: x", pipeline.ErrTargetFull), resumes: true}, 2, "then run again with the same command: it goes on from the checkpoint"},
		{fmt.Errorf("%w: %w", errNotCompared, fmt.Errorf("key: %w: x", pipeline.ErrPutOff)), 2, "half moved"},
		{errInterrupted, 130, ""},
		{begun(errInterrupted), 130, "run again"},
		{context.Canceled, 130, ""},
		{localcluster.ErrNoServer, 1, "--server PATH"},
		{&slotter.NodeError{Addr: "a:1", Kind: slotter.ErrUnreachable, Msg: "x"}, 1, "the address right?"},
		{&listedError{&slotter.NodeError{Addr: "a:1", Kind: slotter.ErrUnreachable, Msg: "x"}}, 1, "start that server"},
		{&listedError{&slotter.NodeError{Addr: "a:1", Kind: slotter.ErrNotRedis, Msg: "x"}}, 1, "--map A=B"},
		{&slotter.NodeError{Addr: "a:1", Kind: slotter.ErrUnreachable, Msg: "ERR max number of clients reached"}, 1, "maxclients"},
		{&slotter.NodeError{Addr: "a:1", Msg: "INFO: ERR unsupported command 'info'"}, 1, "proxy"},
	} {
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.code)
		}
		if c.err == nil {
			continue
		}
		if got := hintFor(c.err); !strings.Contains(got, c.hint) || c.hint == "" && got != "" {
			t.Errorf("%v: hint %q, want %q", c.err, got, c.hint)
		}
	}
}

func TestErrorSaysWhatWasWritten(t *testing.T) {
	for n, want := range map[[2]int64]string{
		{0, 0}: "x (no key had been written)", {1, 0}: "x (1 key had been written)", {1234, 0}: "x (1,234 keys had been written)",
		{0, 9}: "x (9 keys may have been written)", {1, 9}: "x (1 key had been written, and 9 more may have been)",
	} {
		if got := (&begunError{err: errors.New("x"), written: n[0], unsettled: n[1]}).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
