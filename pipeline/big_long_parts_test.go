package pipeline_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestBigStrings imports strings too large for one RESTORE, raw and compressed.
func TestBigStrings(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	c, n := connect(t, lc.URL()), lc.Nodes()[0]
	random := noise(3, 33<<20)
	var half strings.Builder // compresses to a third
	for i := 0; half.Len() < 36<<20; i += 32 {
		half.WriteString(random[i : i+32])
		half.WriteString(strings.Repeat("x", 96))
	}
	packs := half.String()
	dump := written(t, "REDIS0011", func(w *dataset.Writer) {
		w.SelectDB(0)
		w.Key(dataset.TypeString, []byte("raw"), dataset.AppendRawString(nil, random))
		w.ExpireMs(future)
		w.Key(dataset.TypeString, []byte("compressed"), dataset.AppendLZFString(nil, []byte(packs)))
		w.Key(dataset.TypeString, []byte("moderate"), dataset.AppendRawString(nil, random[:9<<20]))
		w.Key(dataset.TypeString, []byte("moderate compressed"), dataset.AppendLZFString(nil, []byte(packs[:20<<20])))
	})
	want := map[string]string{"raw": random, "compressed": packs, "moderate": random[:9<<20], "moderate compressed": packs[:20<<20]}
	check := func(res pipeline.Result, err error) {
		t.Helper()
		if err != nil || res.Restored != 4 || res.Big != 4 {
			t.Errorf("%v, %+v", err, res)
		}
		for key, value := range want {
			if got := n.Client().Get(t.Context(), key).Val(); got != value {
				t.Errorf("%s is another: %d bytes", key, len(got))
			}
		}
		if at := contentOf(t, n.Client(), "compressed").expiry; at != fmt.Sprint(future) {
			t.Errorf("it expires at %s", at)
		}
		noTemporary(t, lc)
	}
	check(bigImports(t, c, dump, all(pipeline.ConflictFail)))
	res, err := bigImports(t, c, dump, all(pipeline.ConflictFail))
	if err != nil || res.Existing != 4 {
		t.Errorf("again: %v, %+v", err, res)
	}
	must(t, n, "SETRANGE", "compressed", 20<<20, "!")
	var conflict *pipeline.ConflictError
	if _, err = bigImports(t, c, dump, all(pipeline.ConflictFail)); !errors.As(err, &conflict) || string(conflict.Key) != "compressed" {
		t.Errorf("altered: %v", err)
	}
	flush(t, lc)
	check(spooledImport(t, lc, dump, all(pipeline.ConflictReplace), true))
	flush(t, lc)
	check(spooledImport(t, lc, dump, all(pipeline.ConflictSkip), false))
}

// longDump is a dump of values with parts that are longer than what is held, in
// all encodings that can have such: list items, and values of hash fields, with
// an expiry and without.
func longDump(t *testing.T, magic string, expiring bool) []byte {
	t.Helper()
	long, packed := noise(7, 300_000), strings.Repeat("0123456789", 30_000)
	var c dataset.Compressor
	return written(t, magic, func(w *dataset.Writer) {
		w.SelectDB(0)
		items := [][]byte{[]byte("a"), []byte(long), []byte("7"), []byte(packed), []byte("z")}
		pairs := [][]byte{[]byte("f1"), []byte("v"), []byte("f2"), []byte(long), []byte("f3"), []byte(packed), []byte("f4"), []byte("9")}
		w.Key(dataset.TypeList, []byte("list"), dataset.AppendStrings(nil, items))
		w.Key(dataset.TypeListZiplist, []byte("list:ziplist"), dataset.AppendRawString(nil, dataset.AppendZiplist(nil, items)))
		w.Key(dataset.TypeHash, []byte("hash"), dataset.AppendHash(nil, pairs))
		w.Key(dataset.TypeHashZiplist, []byte("hash:ziplist"), dataset.AppendRawString(nil, dataset.AppendZiplist(nil, pairs)))
		w.Key(dataset.TypeHash, []byte("hash:lzf"), append(dataset.AppendString(dataset.AppendLen(nil, 1), "f"), c.AppendLZFString(nil, []byte(packed))...))
		if strings.HasPrefix(magic, "VALKEY") || magic >= "REDIS0010" {
			w.Key(dataset.TypeListQuicklist2, []byte("list:quicklist"), dataset.AppendQuicklist2(nil, []dataset.Node{
				{Data: dataset.AppendListpack(nil, items)}, {Plain: true, Data: []byte(long)}, {Data: dataset.AppendListpack(nil, items[:1])}}))
			w.Key(dataset.TypeHashListpack, []byte("hash:listpack"), dataset.AppendRawString(nil, dataset.AppendListpack(nil, pairs)))
		}
		if !expiring {
			return
		}
		fields := []dataset.Field{
			{Name: []byte("gone"), Value: []byte(long), ExpireMs: 1000}, {Name: []byte("soon"), Value: []byte(packed), ExpireMs: future},
			{Name: []byte("later"), Value: []byte(long), ExpireMs: future + 1}, {Name: []byte("short"), Value: []byte("x"), ExpireMs: future + 2},
			{Name: []byte("ever"), Value: []byte(long)}, {Name: []byte("n"), Value: []byte("1")},
		}
		if strings.HasPrefix(magic, "VALKEY") {
			w.Key(dataset.TypeHash2Valkey, []byte("expiring"), dataset.AppendHash2Valkey(nil, fields))
			return
		}
		w.Key(dataset.TypeHashMetadata, []byte("expiring"), dataset.AppendHashMetadata(nil, fields))
		w.Key(dataset.TypeHashListpackEx, []byte("expiring:listpack"), dataset.AppendHashListpackEx(nil, fields))
	})
}

// TestBigLongParts imports such values into every server, and compares them with
// the dump as a second import does, as a comparison does, and by what the server
// dumps.
func TestBigLongParts(t *testing.T) {
	t.Parallel()
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			lc := s.run(t, true)
			for _, magic := range []string{"REDIS0009", "REDIS0012", "VALKEY080"} {
				for _, drop := range []bool{false, true} {
					s.empty(t, lc, false)
					testLongParts(t, s, lc, longDump(t, magic, magic != "REDIS0009"), drop)
					if t.Failed() {
						t.Fatalf("%s, drop %v", magic, drop)
					}
				}
			}
		})
	}
}

func testLongParts(t *testing.T, s matrixServer, lc *localcluster.Cluster, dump []byte, drop bool) {
	c, client := connect(t, lc.URL()), lc.Nodes()[0].Client()
	opts := pieces(pipeline.ConflictFail)
	opts.Memory, opts.DropFieldTTL = small, drop // 64 KiB are held
	first, err := bigImports(t, c, dump, opts)
	noError(t, err)
	values, refused := valuesIn(t, dump), int64(0)
	different := map[string]bool{}
	for key, v := range values {
		switch {
		case !hasFields(v) || hasFieldExpiry(s.version):
			compareDumped(t, client, key, v)
		case drop:
			different[key] = true
			if got := client.HLen(t.Context(), key).Val(); got != 5 {
				t.Errorf("%s has %d fields", key, got)
			}
		default:
			different[key] = true
			refused++
		}
	}
	if first.Failed != refused || first.Restored != int64(len(values))-refused {
		t.Errorf("%+v", first)
	}
	again, err := bigImports(t, c, dump, opts)
	if err != nil || again.Existing != first.Restored || again.Failed != refused {
		t.Errorf("again: %v, %+v", err, again)
	}
	noTemporary(t, lc)
	res, found := bigVerifies(t, c, dump, small)
	for key := range values {
		if _, ok := found[key]; ok != different[key] {
			t.Errorf("%s: reported %v: %+v", key, ok, found[key])
		}
	}
	if int(res.Same) != len(values)-len(different) {
		t.Errorf("%+v", res)
	}
}
