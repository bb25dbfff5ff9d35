package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestClusterDatabases imports a dump of several databases into a cluster that has as
// many, with large values, compares it, and imports it again.
func TestClusterDatabases(t *testing.T) {
	lc := matrixServerNamed(t, "valkey-9.1").run(t, false, "cluster-databases 10")
	dump := written(t, "REDIS0011", func(w *dataset.Writer) {
		for _, db := range []int{0, 3, 9} {
			w.SelectDB(db)
			for i := range 100 + db {
				w.Key(dataset.TypeString, fmt.Appendf(nil, "small:%d", i), dataset.AppendString(nil, fmt.Sprint("of ", db)))
			}
			w.Key(dataset.TypeList, []byte("large"), dataset.AppendStrings(nil, manyTexts(fmt.Sprint("of ", db, " item"), 100+db)))
		}
	})
	c := connect(t, lc.URL())
	opts := pieces(pipeline.ConflictFail)
	res, err := bigImports(t, c, dump, opts)
	if err != nil || res.Restored != 315 || res.Big != 3 {
		t.Fatalf("%v, %+v", err, res)
	}
	for _, db := range []int{0, 3, 9} {
		keys := int64(0)
		for _, n := range lc.Masters() {
			keys += c.ClientDB(n.Addr, db).DBSize(t.Context()).Val()
		}
		if keys != int64(101+db) {
			t.Errorf("%d keys in database %d", keys, db)
		}
	}
	check := verifyOpts()
	check.Extra = true
	if same, found := verifies(t, c, dump, check); same.Same != 315 || len(found) > 0 {
		t.Errorf("%+v, %v", same, found)
	}
	if res, err = bigImports(t, c, dump, opts); err != nil || res.Existing != 315 {
		t.Errorf("again: %v, %+v", err, res)
	}
	facts, plan := plans(t, c, dump, opts)
	keys := int64(0)
	for i := range facts.Masters {
		keys += facts.Masters[i].Keys
	}
	if plan.Sent().Keys != 315 || keys != 315 {
		t.Errorf("%d keys would be sent, %d are there", plan.Sent().Keys, keys)
	}

	// A target that names one.
	im, err := pipeline.New(t.Context(), connect(t, lc.URL()+"/2"), opts)
	noError(t, err)
	err = im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{}))
	if !errors.Is(err, pipeline.ErrDatabases) || !strings.HasSuffix(err.Error(), "; the target names one, /2") {
		t.Error(err)
	}
	_, _ = im.Close()
}
