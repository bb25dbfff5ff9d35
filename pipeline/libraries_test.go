package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// oneLibrary is a dump of a library, a script and a key.
func oneLibrary(t *testing.T) []byte {
	t.Helper()
	return written(t, "REDIS0010", func(w *dataset.Writer) {
		w.Function("#!lua name=mylib\nredis.register_function('f', function() return 1 end)")
		w.Aux("lua", "return 42")
		w.SelectDB(0)
		w.Key(dataset.TypeString, []byte("key"), dataset.AppendString(nil, "v"))
	})
}

// busy keeps a server at a script until the function that it returns is called.
func busy(t *testing.T, n *localcluster.Node) (end func()) {
	t.Helper()
	must(t, n, "CONFIG", "SET", "lua-time-limit", 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.Client().Eval(context.Background(), "while true do end", nil).Err() // it is killed
	}()
	await(t, "the server to be busy", func() bool {
		err := n.Client().Ping(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	})
	return func() {
		must(t, n, "SCRIPT", "KILL")
		<-done
	}
}

// TestLibrariesLater imports a library and a script while a master cannot take them:
// they are there in the end, and nothing has been refused.
func TestLibrariesLater(t *testing.T) {
	t.Parallel()
	dump := oneLibrary(t)
	for name, hinder := range map[string]func(t *testing.T, n *localcluster.Node, g *proxy.Group) (end func()){
		"busy": func(t *testing.T, n *localcluster.Node, _ *proxy.Group) func() { return busy(t, n) },
		"out of memory": func(t *testing.T, n *localcluster.Node, _ *proxy.Group) func() {
			must(t, n, "CONFIG", "SET", "maxmemory", 1)
			return func() { must(t, n, "CONFIG", "SET", "maxmemory", 0) }
		},
		"not to be reached": func(_ *testing.T, n *localcluster.Node, g *proxy.Group) func() {
			g.For(n.Addr).Set(proxy.Plan{Refuse: true})
			g.For(n.Addr).Cut()
			return func() { g.For(n.Addr).Set(proxy.Plan{}) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lc := start(t, localcluster.Options{})
			g, c := behind(t, lc, 1)
			opts := all(pipeline.ConflictFail)
			opts.WaitOnOOM = true
			before := gate{at: 9, open: make(chan struct{})}
			r := begin(t, c, dump, opts, before)
			end := hinder(t, lc.Masters()[1], g)
			close(before.open)
			await(t, "another try", func() bool { return r.im.Snapshot().Retries >= 2 })
			end()
			res, err := r.end()
			if err != nil || res.Functions != 1 || res.Scripts != 1 || res.Libraries != 0 || res.Restored != 1 {
				t.Errorf("%v, %+v", err, res)
			}
			if _, found := verifies(t, c, dump, verifyOpts()); len(found) > 0 {
				t.Error(found)
			}
		})
	}
}

// TestLibrariesNever imports a library that a master cannot take: that ends the import, as
// with keys.
func TestLibrariesNever(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	n := lc.Masters()[1]
	opts := all(pipeline.ConflictFail)
	must(t, n, "CONFIG", "SET", "maxmemory", 1)
	res, err := begin(t, connect(t, lc.URL()), oneLibrary(t), opts).end()
	if want := fmt.Sprintf("%s uses", n.Addr); !errors.Is(err, pipeline.ErrTargetFull) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `FUNCTION LOAD of "mylib"`) {
		t.Errorf("%v, %+v", err, res)
	}
	must(t, n, "CONFIG", "SET", "maxmemory", 0)
	opts.RetryTimeout = 300 * time.Millisecond
	before := gate{at: 9, open: make(chan struct{})}
	r := begin(t, connect(t, lc.URL()), oneLibrary(t), opts, before)
	defer busy(t, n)()
	close(before.open)
	if res, err := r.end(); !errors.Is(err, pipeline.ErrNoProgress) || !strings.Contains(err.Error(), n.Addr) || res.Libraries != 0 {
		t.Errorf("%v, %+v", err, res)
	}
}
