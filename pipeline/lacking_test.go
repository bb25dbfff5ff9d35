package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// inDatabases is a dump of 100 strings and a list in each of the databases.
func inDatabases(t *testing.T, dbs ...int) []byte {
	t.Helper()
	return written(t, "REDIS0011", func(w *dataset.Writer) {
		for _, db := range dbs {
			w.SelectDB(db)
			for i := range 100 {
				w.Key(dataset.TypeString, fmt.Appendf(nil, "small:%d", i), dataset.AppendString(nil, fmt.Sprint("of ", db)))
			}
			w.Key(dataset.TypeList, []byte("large"), dataset.AppendStrings(nil, manyTexts("item", 100)))
		}
	})
}

// TestLacksDatabase imports and compares dumps that have keys in a database that the
// target does not have: that ends it, with the number, before anything is tried again.
func TestLacksDatabase(t *testing.T) {
	t.Parallel()
	for name, lc := range map[string]*localcluster.Cluster{
		"standalone": start(t, localcluster.Options{Standalone: true, Config: []string{"databases 5"}}),
		"cluster":    matrixServerNamed(t, "valkey-9.1").run(t, false, "cluster-databases 5"),
	} {
		c := connect(t, lc.URL())
		for kind, opts := range map[string]pipeline.Options{"small": all(pipeline.ConflictFail), "large": pieces(pipeline.ConflictFail)} {
			flush(t, lc)
			opts.RetryTimeout = patience
			dump, from := inDatabases(t, 0, 4, 20), time.Now()
			facts, _ := plans(t, c, dump, opts)
			planned := facts.LacksDatabase(t.Context(), []uint32{0, 20, 4})
			res, err := begin(t, c, dump, opts).end()
			v, verr := pipeline.Verify(t.Context(), c, verifyOpts())
			noError(t, verr)
			verr = v.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{}))
			_, _ = v.Close()
			for what, err := range map[string]error{"plan": planned, "import": err, "verify": verr} {
				if !errors.Is(err, pipeline.ErrNoDatabase) || !strings.Contains(err.Error(), "SELECT 20: ") {
					t.Errorf("%s, %s, %s: %v", name, kind, what, err)
				}
			}
			if res.Restored != 202 || res.Unsettled != 0 {
				t.Errorf("%s, %s: %+v", name, kind, res)
			}
			if d := time.Since(from); d > patience/2 {
				t.Errorf("%s, %s: it took %v", name, kind, d)
			}
			opts.Databases.Merge = true
			facts, _ = plans(t, c, dump, opts)
			if err := facts.LacksDatabase(t.Context(), []uint32{20}); err != nil {
				t.Errorf("%s: merged: %v", name, err)
			}
		}
	}
}

// TestLosesDatabase restarts a server with fewer databases while an import fills one of
// those that it then has no more.
func TestLosesDatabase(t *testing.T) {
	t.Parallel()
	for kind, opts := range map[string]pipeline.Options{"small": all(pipeline.ConflictFail), "large": pieces(pipeline.ConflictFail)} {
		lc := start(t, localcluster.Options{Standalone: true})
		n := 40_000
		if kind == "large" {
			n = 400
		}
		dump := written(t, "REDIS0011", func(w *dataset.Writer) {
			w.SelectDB(9)
			for i := range n {
				w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, fmt.Sprintf("%0100d", i)))
			}
		})
		g := part(dump, 0.5)
		opts.RetryTimeout = patience
		r := begin(t, connect(t, lc.URL()), dump, opts, g)
		server := lc.Nodes()[0]
		config := filepath.Join(server.Dir, "server.conf")
		text, err := os.ReadFile(config)
		noError(t, err)
		noError(t, os.WriteFile(config, append(text, "\ndatabases 5\n"...), 0o600))
		r.reach(n / 4)
		back(t, lc, server)
		from := time.Now()
		close(g.open)
		if _, err := r.end(); !errors.Is(err, pipeline.ErrNoDatabase) || !strings.Contains(err.Error(), "SELECT 9: ") {
			t.Errorf("%s: %v", kind, err)
		}
		if d := time.Since(from); d > patience/2 {
			t.Errorf("%s: it took %v", kind, d)
		}
	}
}
