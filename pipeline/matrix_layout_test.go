package pipeline_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/redis/go-redis/v9"
)

// newerStream returns a stream with a group of three pending entries in the
// encoding of Redis 7.2, 8.6 or 8.8. In the last, one of the entries has been
// given back: it belongs to no consumer.
func newerStream(t rdbparse.Type) []byte {
	id := func(i int) dataset.StreamID { return dataset.StreamID{Ms: 1_700_000_000_000, Seq: uint64(i + 1)} }
	var entries []dataset.StreamEntry
	for i := range 25 {
		entries = append(entries, dataset.StreamEntry{ID: id(i), Fields: [][]byte{[]byte("n"), {'a' + byte(i)}}, Deleted: i == 4})
	}
	s := dataset.NewStream(entries, 10)
	g := dataset.Group{Name: "group", LastID: id(2), EntriesRead: 3}
	for i := range 3 {
		g.Pending = append(g.Pending, dataset.Pending{ID: id(i), DeliveredMs: 1_700_000_000_500, Count: uint64(i + 1)})
	}
	owned := []dataset.StreamID{id(0), id(1), id(2)}
	var tail []byte
	if t >= rdbparse.TypeStreamListpacks5 {
		tail = dataset.AppendStreamID([]byte{1}, owned[2])
		owned = owned[:2]
	}
	g.Consumers = []dataset.Consumer{{Name: "ann", SeenMs: 1_700_000_000_600, ActiveMs: 1_700_000_000_550, Pending: owned}}
	s.Groups = []dataset.Group{g}
	v := append(dataset.AppendStream(nil, dataset.TypeStream3, s), tail...) // the group is the last thing there
	if t < rdbparse.TypeStreamListpacks4 {
		return v
	}
	// Idempotence: 100 s, 50 entries, a producer with an entry; ids added, duplicates.
	v = append(v, 0x40, 100, 50, 1)
	v = dataset.AppendString(v, "producer")
	v = append(dataset.AppendString(append(v, 1), "id"), 0x81)
	v = binary.BigEndian.AppendUint64(v, 1_700_000_000_000)
	return append(v, 25, 30, 3)
}

// newerValues returns a value of each type that came after Redis 8.4. Template 7
// has three fields.
func newerValues() map[rdbparse.Type][]byte {
	text := func(words ...string) (all [][]byte) {
		for _, w := range words {
			all = append(all, []byte(w))
		}
		return all
	}
	packed := func(words ...string) []byte {
		return dataset.AppendRawString(nil, dataset.AppendListpack(nil, text(words...)))
	}
	values := dataset.AppendString(dataset.AppendString(dataset.AppendLZFString(nil, bytes.Repeat([]byte("v"), 100)), "12"), "")
	fields := dataset.AppendString(dataset.AppendString(dataset.AppendString(nil, "f"), "77"), "third")
	all := map[rdbparse.Type][]byte{
		rdbparse.TypeArray:            append([]byte{2, 0, 0, 0}, append(dataset.AppendString(nil, "a"), 9, 3, 1, 'b')...),
		rdbparse.TypeHashTmplLP:       append(append([]byte{0}, packed("f", "77", "third")...), packed("7", "v", "1000", "")...),
		rdbparse.TypeHashTmplLPRef:    packed("7", "v", "1000", ""),
		rdbparse.TypeHashTmplArray:    slices.Concat([]byte{1, 3}, fields, values),
		rdbparse.TypeHashTmplArrayRef: slices.Concat([]byte{7}, values),
	}
	for _, t := range []rdbparse.Type{rdbparse.TypeStreamListpacks3, rdbparse.TypeStreamListpacks4, rdbparse.TypeStreamListpacks5} {
		all[t] = newerStream(t)
	}
	return all
}

// keyMeta is what Redis 8.6 puts before the type of a key with metadata: one
// class, of one number.
var keyMeta = []byte{243, 1, 9, 9, 9, 9, 2, 7, 0}

// newerDump is a dump with all newerValues, once without and once with metadata.
func newerDump(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0015")
	_, _ = w.Write(slices.Concat([]byte{242, 7, 3}, dataset.AppendString(nil, "f"), dataset.AppendString(nil, "77"), dataset.AppendString(nil, "third")))
	w.SelectDB(0)
	values := newerValues()
	for _, typ := range slices.Sorted(maps.Keys(values)) {
		name := typ.Info().Name
		w.Key(dataset.Type(typ), []byte(name), values[typ])
		w.ExpireMs(dataset.FutureMs)
		_, _ = w.Write(keyMeta)
		w.Key(dataset.Type(typ), []byte(name+" with metadata"), values[typ])
	}
	_, _ = w.Write(keyMeta)
	w.Key(dataset.TypeString, []byte("string with metadata"), dataset.AppendString(nil, "x"))
	noError(t, w.Close())
	return buf.Bytes()
}

// valuesIn returns the values of a dump by key.
func valuesIn(t *testing.T, dump []byte) map[string]element.Value {
	t.Helper()
	out := map[string]element.Value{}
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{AnyVersion: true, SkipChecksum: true})
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			out[string(e.Key)] = element.Value{Type: e.Type, Raw: bytes.Clone(e.Value), Fields: bytes.Clone(e.Fields)}
		}
	}
	noError(t, sc.Err())
	return out
}

// compareDumped compares a value with what DUMP of a server gives.
func compareDumped(t *testing.T, c *redis.Client, key string, want element.Value) {
	t.Helper()
	dump, err := c.Dump(t.Context(), key).Bytes()
	if err != nil {
		t.Errorf("key %.50q, %v: %v", key, want.Type.Type, err)
		return
	}
	have, err := element.ParsePayload(dump)
	if err != nil {
		t.Errorf("key %.50q: %v", key, err)
		return
	}
	diff, err := element.Comparer{Now: time.Now().UnixMilli()}.Diff(want, have)
	if err != nil || !diff.Same() {
		t.Errorf("key %.50q, %v, came back as %v: %v, %v", key, want.Type.Type, have.Type.Type, diff, err)
	}
}

// TestMatrixNewerTypes imports, into every server, types that none of them knows:
// as other types where these can hold the same, else refused.
func TestMatrixNewerTypes(t *testing.T) {
	dump := newerDump(t)
	values := valuesIn(t, dump)
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			lc := s.run(t, true)
			c := connect(t, lc.URL())
			for i := range 2 {
				res, err := imports(t, c, dump, all(pipeline.ConflictFail))
				noError(t, err)
				if n := int64(len(values) - 2); res.Restored+res.Existing != n || i == 0 && res.Existing > 0 || i == 1 && res.Restored > 0 || res.Failed != 2 {
					t.Errorf("import %d of %d values: %+v", i, n, res)
				}
				if len(res.Errors) != 1 || !strings.HasSuffix(res.Errors[0].Reason, "has no encoding for array (28)") {
					t.Errorf("refused: %+v", res.Errors)
				}
			}
			for key, v := range values {
				if v.Type.Type != rdbparse.TypeArray {
					compareDumped(t, lc.Nodes()[0].Client(), key, v)
				}
			}
			// Nothing but the types differs, so these must look the same.
			have := held(t, lc.Nodes()[0].Client())
			if a, b := have["stream_listpacks_3"], have["stream_listpacks_4"]; a != b || a == "" {
				t.Errorf("a stream of Redis 8.6 is not the one of 7.2:\n%s\n%s", a, b)
			}
			if have["stream_listpacks_5 with metadata"] == "" || !strings.Contains(have["stream_listpacks_5"], element.NackConsumer) {
				t.Errorf("a stream of Redis 8.8: %s", have["stream_listpacks_5"])
			}
		})
	}
}

// TestMatrixNewerTypesInPieces does so with values that are written in pieces, and
// compared in parts when they are imported again.
func TestMatrixNewerTypesInPieces(t *testing.T) {
	dump := newerDump(t)
	opts := all(pipeline.ConflictFail)
	opts.BigValue = 1
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			c := connect(t, s.run(t, true).URL())
			for i := range 2 {
				res, err := bigImports(t, c, dump, opts)
				noError(t, err)
				if arrived := []int64{res.Restored, res.Existing}[i]; arrived != res.Read-2 || res.Failed != 2 || res.Big == 0 {
					t.Errorf("import %d: %+v", i, res)
				}
			}
		})
	}
}

// TestMatrixVersionCheck imports dumps of both families into Valkey 9 with each
// of its ways to look at the version of a payload.
func TestMatrixVersionCheck(t *testing.T) {
	s := matrixServerNamed(t, "valkey-9.1")
	for _, check := range []string{"strict", "relaxed"} {
		t.Run(check, func(t *testing.T) {
			lc := s.run(t, true, "rdb-version-check "+check)
			c := connect(t, lc.URL())
			for _, flavor := range dataset.Flavors() {
				s.empty(t, lc, false)
				dump := sample(t, flavor.Name)
				for range 2 {
					res, err := imports(t, c, dump, all(pipeline.ConflictFail))
					noError(t, err)
					if res.Failed+res.Filtered > 0 || res.Restored+res.Existing < 200 {
						t.Errorf("%s: %+v", flavor.Name, res)
					}
				}
			}
		})
	}
}

// expiredFields is a dump of hashes of which some or all fields have expired by
// the time of the import. It returns how many hashes there are of each kind.
func expiredFields(t *testing.T, magic string) (dump []byte, each int64) {
	t.Helper()
	field := func(name string, at int64) dataset.Field {
		return dataset.Field{Name: []byte(name), Value: []byte("v"), ExpireMs: at}
	}
	fields := map[string][]dataset.Field{
		"some": {field("old", dataset.PastMs), field("later", dataset.FutureMs), field("ever", 0)},
		"all":  {field("old", dataset.PastMs), field("older", dataset.PastMs+1)},
	}
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, magic)
	w.SelectDB(0)
	for _, key := range []string{"some", "all"} {
		if strings.HasPrefix(magic, "VALKEY") {
			each = 1
			w.Key(dataset.TypeHash2Valkey, []byte(key), dataset.AppendHash2Valkey(nil, fields[key]))
			continue
		}
		each = 2
		w.Key(dataset.TypeHashMetadata, []byte(key), dataset.AppendHashMetadata(nil, fields[key]))
		w.Key(dataset.TypeHashListpackEx, []byte(key+" packed"), dataset.AppendHashListpackEx(nil, fields[key]))
	}
	noError(t, w.Close())
	return buf.Bytes(), each
}

// TestMatrixExpiredFields imports hashes with expired fields. Servers that have
// field expiry take them and remove them soon; for others they are left out, and
// a hash that has no other fields is an expired key.
func TestMatrixExpiredFields(t *testing.T) {
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			lc := s.run(t, true)
			c, client := connect(t, lc.URL()), lc.Nodes()[0].Client()
			for _, magic := range []string{"REDIS0012", "VALKEY080"} {
				s.empty(t, lc, false)
				opts := all(pipeline.ConflictFail)
				opts.DropFieldTTL = true
				dump, each := expiredFields(t, magic)
				for i := range 2 {
					res, err := imports(t, c, dump, opts)
					noError(t, err)
					// Again, a hash of expired fields may have been removed meanwhile.
					if i == 0 && res.Existing > 0 || i == 1 && (res.Existing < each || res.Restored > each) || res.Failed+res.Filtered > 0 {
						t.Errorf("%s, import %d: %+v", magic, i, res)
					}
					if n := res.Expired; hasFieldExpiry(s.version) && n != 0 || !hasFieldExpiry(s.version) && n != each {
						t.Errorf("%s, import %d: %d keys expired of %d", magic, i, n, each)
					}
				}
				await(t, "all keys", func() bool { return client.DBSize(t.Context()).Val() == each })
				want := `hash -1 "ever"="v" "later"="v"`
				if hasFieldExpiry(s.version) {
					want += "@4102444800000"
				}
				for key, text := range held(t, client) {
					if text != want || !strings.HasPrefix(key, "some") {
						t.Errorf("%s: %s is %s", magic, key, text)
					}
				}
			}
		})
	}
}
