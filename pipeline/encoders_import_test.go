package pipeline_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestImportEncoders imports one of everything into a cluster with several numbers
// of encoders, held as a whole and with larger values in pieces between the others.
func TestImportEncoders(t *testing.T) {
	dump := sample(t, "redis-7.0")
	want := loaded(t, dump, "")
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	for _, n := range []int{-1, 1, 2, 4} {
		for _, size := range []int64{0, 100} {
			t.Run(fmt.Sprintf("%d encoders, pieces above %d", n, size), func(t *testing.T) {
				flush(t, lc)
				opts := all(pipeline.ConflictFail)
				opts.Encoders, opts.BigValue = n, size
				res, err := bigImports(t, c, dump, opts)
				noError(t, err)
				have, whole := held(t, masters(lc)...), maps.Clone(want)
				for key, text := range want {
					// No command sets all that a stream has: see TestPieces.
					if size > 0 && strings.HasPrefix(text, "stream ") && strings.HasPrefix(have[key], "stream ") {
						delete(whole, key)
						delete(have, key)
					}
				}
				if d := state.Diff(whole, have); d != "" {
					t.Error(d)
				}
				if int(res.Restored) != len(want) || res.Failed != 0 || size > 0 && res.Big < 10 {
					t.Errorf("%d keys expected: %+v", len(want), res)
				}
				again, err := bigImports(t, c, dump, opts)
				if err != nil || again.Existing != res.Restored || again.Restored != 0 {
					t.Errorf("second import: %v, %+v", err, again)
				}
				noTemporary(t, lc)
			})
		}
	}
}

// TestImportEncodersDatabases imports several databases into a server that has
// them, and into a cluster with a prefix for each.
func TestImportEncodersDatabases(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	const databases, keys = 5, 3000
	for db := range databases {
		w.SelectDB(db)
		for i := range keys {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, fmt.Appendf(nil, "%d in %d", i, db)))
		}
	}
	noError(t, w.Close())
	for name, standalone := range map[string]bool{"server": true, "cluster": false} {
		t.Run(name, func(t *testing.T) {
			lc := start(t, localcluster.Options{Standalone: standalone})
			c := connect(t, lc.URL())
			sm, err := c.Map(t.Context())
			noError(t, err)
			opts := all(pipeline.ConflictReplace)
			if !standalone {
				opts.Databases.Prefix = "db%d:"
			}
			for _, n := range []int{1, 4} {
				opts.Encoders = n
				res, err := imports(t, c, buf.Bytes(), opts)
				if err != nil || res.Restored != databases*keys {
					t.Errorf("%d encoders: %v, %+v", n, err, res)
				}
			}
			for db := range databases {
				for i := 0; i < keys; i += 97 {
					key, client := fmt.Sprintf("key:%d", i), c.ClientDB(lc.Nodes()[0].Addr, db)
					if !standalone {
						key = fmt.Sprintf("db%d:%s", db, key)
						client = c.Client(sm.Masters[sm.Owner(slotter.Slot([]byte(key)))].Addr)
					}
					if have, err := client.Get(t.Context(), key).Result(); err != nil || have != fmt.Sprintf("%d in %d", i, db) {
						t.Fatalf("database %d, %s: %q, %v", db, key, have, err)
					}
				}
			}
		})
	}
}
