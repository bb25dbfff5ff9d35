package pipeline_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/redis/go-redis/v9"
)

// randomDump is a dump of random values of every type that servers of a flavor
// read, small and large ones.
func randomDump(t *testing.T, flavor dataset.Flavor, seed uint64) []byte {
	t.Helper()
	var buf bytes.Buffer
	r := dataset.NewRand(seed)
	w := dataset.NewWriter(&buf, flavor.Magic)
	w.SelectDB(0)
	for _, typ := range flavor.Types {
		for i := range 12 {
			n := 1 + i*i*2
			if i%5 == 0 {
				w.ExpireMs(dataset.FutureMs + int64(i))
			}
			w.Key(typ, fmt.Appendf(nil, "%d:%d", typ, i), dataset.AppendRandom(nil, r, typ, n))
		}
	}
	noError(t, w.Close())
	return buf.Bytes()
}

// randomDumps are random dumps of a Redis and of a Valkey.
func randomDumps(t *testing.T, seed uint64) (dumps [][]byte) {
	t.Helper()
	for i, name := range []string{"redis-8.0", "valkey-9.1"} {
		flavor, err := dataset.FlavorByName(name)
		noError(t, err)
		dumps = append(dumps, randomDump(t, flavor, seed+uint64(i)))
	}
	return dumps
}

// TestMatrixRandom imports random values of every type into every server, and has
// the server dump them: they must mean the same.
func TestMatrixRandom(t *testing.T) {
	dumps := randomDumps(t, 1)
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			lc := s.run(t, true)
			c := connect(t, lc.URL())
			for _, dump := range dumps {
				s.empty(t, lc, false)
				importAndDump(t, s, c, lc.Nodes()[0].Client(), dump)
			}
		})
	}
}

// importAndDump imports a dump without databases into an empty server, twice, and
// compares what that then dumps with the values of the dump.
func importAndDump(t *testing.T, s matrixServer, c *slotter.Cluster, client *redis.Client, dump []byte) {
	t.Helper()
	opts := all(pipeline.ConflictFail)
	first, err := imports(t, c, dump, opts)
	noError(t, err)
	again, err := imports(t, c, dump, opts)
	noError(t, err)
	if again.Existing != first.Restored || again.Restored != 0 || again.Failed != first.Failed {
		t.Errorf("imported: %+v\nand again: %+v", first, again)
	}
	refused := int64(0)
	for key, v := range valuesIn(t, dump) {
		if hasFields(v) && !hasFieldExpiry(s.version) {
			refused++
			continue
		}
		compareDumped(t, client, key, v)
	}
	if first.Failed != refused || first.Restored != first.Read-refused {
		t.Errorf("%d keys refused, expected %d: %+v", first.Failed, refused, first)
	}
}

// hasFields reports whether v is a hash of which a field expires.
func hasFields(v element.Value) bool {
	if v.Type.Kind != rdbparse.KindHash {
		return false
	}
	for r := element.Open(v); r.Next(); {
		if r.Element().ExpireAt != 0 {
			return true
		}
	}
	return false
}

// TestMatrixCorpus imports dumps that other people's servers and tools have made.
// Every key must be there afterwards with its value, or have expired, or have been
// refused.
func TestMatrixCorpus(t *testing.T) {
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of dumps")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.rdb"))
	noError(t, err)
	if len(files) < 80 {
		t.Fatalf("%d dumps in %s, expected at least 80", len(files), dir)
	}
	for _, name := range []string{"redis-8.0", "valkey-9.1"} {
		t.Run(name, func(t *testing.T) {
			s := matrixServerNamed(t, name)
			lc := s.run(t, true)
			c, client := connect(t, lc.URL()), lc.Nodes()[0].Client()
			reasons := map[string]int64{}
			for _, file := range files {
				rel, _ := filepath.Rel(dir, file)
				dump, err := os.ReadFile(file)
				noError(t, err)
				s.empty(t, lc, false)
				res := importMerged(t, rel, c, client, dump)
				for _, e := range res.Errors {
					reasons[fmt.Sprintf("%s: %s", rel, e.Reason)] += e.Count
				}
			}
			for _, reason := range slices.Sorted(maps.Keys(reasons)) {
				t.Logf("%s: %d", reason, reasons[reason])
			}
		})
	}
}

// importMerged imports a dump with all its databases into one, and compares what
// the server then dumps.
func importMerged(t *testing.T, name string, c *slotter.Cluster, client *redis.Client, dump []byte) pipeline.Result {
	t.Helper()
	im, err := pipeline.New(t.Context(), c, pipeline.Options{
		Conflict: pipeline.ConflictSkip, Databases: pipeline.Databases{Only: pipeline.AllDatabases, Merge: true},
	})
	noError(t, err)
	// Some are damaged on purpose, in the checksum only.
	ferr := im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{AnyVersion: true, SkipChecksum: true}))
	res, err := im.Close()
	if ferr != nil || err != nil {
		t.Errorf("%s: %v, %v", name, ferr, err)
		return res
	}
	seen := map[string]bool{}
	var read, twice, present int64
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{AnyVersion: true, SkipChecksum: true})
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			continue
		}
		read++
		if seen[string(e.Key)] {
			twice++
			continue
		}
		if n, err := client.Exists(t.Context(), string(e.Key)).Result(); err != nil || n == 0 {
			continue
		}
		present++
		seen[string(e.Key)] = true
		if t.Failed() {
			continue
		}
		compareDumped(t, client, string(e.Key), element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields})
		if t.Failed() {
			t.Errorf("that was in %s", name)
		}
	}
	if res.Read != read || res.Restored != present || res.Existing != twice || read != present+twice+res.Expired+res.Failed+res.Filtered {
		t.Errorf("%s: %d keys, %d there, %d of a name that was there: %+v", name, read, present, twice, res)
	}
	for _, e := range res.Errors {
		if !strings.Contains(e.Reason, "module type") && !strings.Contains(e.Reason, "FUNCTION LOAD") {
			t.Errorf("%s: %+v", name, e)
		}
	}
	return res
}
