package pipeline_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestImportSample imports one of everything into a cluster, which must then
// hold what a server holds that loaded the dump itself; and imports it again.
func TestImportSample(t *testing.T) {
	dump := sample(t, "redis-7.0")
	want := loaded(t, dump, "")
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	res, err := imports(t, c, dump, all(pipeline.ConflictFail))
	if err != nil {
		t.Fatalf("%v (%+v)", err, res)
	}
	if d := state.Diff(want, held(t, masters(lc)...)); d != "" {
		t.Error(d)
	}
	if int(res.Restored) != len(want) || res.Failed != 0 {
		t.Errorf("%d keys restored, %d expected: %+v", res.Restored, len(want), res)
	}
	for _, m := range res.Masters {
		if m.Keys == 0 || m.Bytes == 0 || m.ID == "" {
			t.Errorf("nothing counted for a master: %+v", m)
		}
	}
	again, err := imports(t, c, dump, all(pipeline.ConflictFail))
	if err != nil {
		t.Fatal(err)
	}
	if again.Existing != res.Restored || again.Restored != 0 {
		t.Errorf("second import: %+v", again)
	}
}

// TestImportCorpus imports the dumps that real servers of Redis 7.0 and older
// wrote in cluster mode.
func TestImportCorpus(t *testing.T) {
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of dumps")
	}
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	for _, name := range []string{"redis-6.0-cluster.rdb", "redis-7.0-cluster.rdb"} {
		t.Run(name, func(t *testing.T) {
			dump, err := os.ReadFile(filepath.Join(dir, "servers", name))
			if err != nil {
				t.Fatal(err)
			}
			flush(t, lc)
			want := loaded(t, dump, "")
			res, err := imports(t, c, dump, all(pipeline.ConflictFail))
			if err != nil {
				t.Fatalf("%v (%+v)", err, res)
			}
			if d := state.Diff(want, held(t, masters(lc)...)); d != "" {
				t.Error(d)
			}
			again, err := imports(t, c, dump, all(pipeline.ConflictFail))
			if err != nil || again.Existing != res.Restored || again.Restored != 0 {
				t.Errorf("second import: %v, %+v", err, again)
			}
		})
	}
}
