package pipeline

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// Servers of which the tests ask what they can read.
var (
	redis60  = slotter.Server{Family: slotter.Redis, Version: slotter.Version{6, 0, 16}, Compatible: slotter.Version{6, 0, 16}}
	redis80  = slotter.Server{Family: slotter.Redis, Version: slotter.Version{8, 0, 6}, Compatible: slotter.Version{8, 0, 6}}
	redis86  = slotter.Server{Family: slotter.Redis, Version: slotter.Version{8, 6, 0}, Compatible: slotter.Version{8, 6, 0}}
	valkey81 = slotter.Server{Family: slotter.Valkey, Version: slotter.Version{8, 1, 1}, Compatible: slotter.Version{7, 2, 4}}
	valkey91 = slotter.Server{Family: slotter.Valkey, Version: slotter.Version{9, 1, 2}, Compatible: slotter.Version{7, 2, 4}}
)

// feederFor returns a Feeder that can convert, and nothing else.
func feederFor(s slotter.Server, opts Options) *Feeder {
	version := serverVersion(s)
	im := &Importer{opts: opts, target: target{
		oldest: s, version: version, backs: version.BackLengths(), maxCommand: math.MaxInt32, care: makeCare(version, opts.AllowModules), keyMeta: !version.Valkey && version.Version >= 806,
	}}
	im.clock.now.Store(dataset.PastMs + 1000)
	return &Feeder{im: im}
}

func entry(t rdbparse.Type, value []byte) *rdbparse.Entry {
	return &rdbparse.Entry{Type: t.Info(), Key: []byte("key"), Value: value, Idle: -1, Freq: -1}
}

// Compressed strings that servers do not write: one refers to what is before its
// beginning, one has 4 bytes and says 50.
const (
	lzfNowhere = "\xc3\x05\x1e\xe0\xff\x10aa"
	lzfShort   = "\xc3\x05\x32\x03abcd"
)

var someMeta = []byte{243, 0}

func TestNeedsCare(t *testing.T) {
	edge := []byte(strings.Repeat("e", 16378))
	listpack := dataset.AppendListpack(nil, [][]byte{edge, []byte("behind")})
	small := dataset.AppendListpack(nil, [][]byte{[]byte("a"), []byte("b")})
	list := func(node []byte) []byte { return append([]byte{1, 2}, node...) }
	tests := []struct {
		name string
		to   slotter.Server
		e    *rdbparse.Entry
		want bool
	}{
		{"string", valkey91, entry(rdbparse.TypeString, dataset.AppendRawString(nil, make([]byte, 1<<20))), false},
		{"compressed string", valkey91, entry(rdbparse.TypeString, dataset.AppendLZFString(nil, edge)), false},
		{"ziplist", valkey91, entry(rdbparse.TypeListZiplist, dataset.AppendRawString(nil, make([]byte, 1<<20))), false},
		{"small hash", valkey91, entry(rdbparse.TypeHashListpack, dataset.AppendRawString(nil, small)), false},
		{"small list", valkey91, entry(rdbparse.TypeListQuicklist2, list(dataset.AppendRawString(nil, small))), false},
		{"large hash", valkey91, entry(rdbparse.TypeHashListpack, dataset.AppendRawString(nil, listpack)), true},
		{"large list", valkey91, entry(rdbparse.TypeListQuicklist2, list(dataset.AppendRawString(nil, listpack))), true},
		{"compressed hash", valkey91, entry(rdbparse.TypeHashListpack, dataset.AppendLZFString(nil, listpack)), true},
		{"compressed list", valkey91, entry(rdbparse.TypeListQuicklist2, list(dataset.AppendLZFString(nil, listpack))), true},
		{"compressed hash with field expiry", redis80, entry(rdbparse.TypeHashListpackEx, append(make([]byte, 8), dataset.AppendLZFString(nil, listpack)...)), true},
		{"unknown type", valkey81, entry(rdbparse.TypeHash2, nil), true},
		{"known type", valkey91, entry(rdbparse.TypeHash2, nil), false},
		{"module", redis80, entry(rdbparse.TypeModule2, nil), false},
		{"string, where it kills", redis60, entry(rdbparse.TypeString, dataset.AppendRawString(nil, []byte("\xc3"))), false},
		{"number, where it kills", redis60, entry(rdbparse.TypeString, []byte{0xc0, 1}), false},
		{"compressed string, where it kills", redis60, entry(rdbparse.TypeString, dataset.AppendLZFString(nil, edge)), true},
		{"module, where it kills", redis60, entry(rdbparse.TypeModule2, nil), true},
	}
	for _, tt := range tests {
		f := feederFor(tt.to, Options{})
		if got := f.im.target.needsCare(tt.e); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		tt.e.Meta = someMeta
		if !f.im.target.needsCare(tt.e) {
			t.Errorf("%s with metadata: sent as it is", tt.name)
		}
		if f := feederFor(redis86, Options{}); f.im.target.needsCare(entryWithMeta()) {
			t.Error("metadata for a server that takes it needs no care")
		}
	}
	if f := feederFor(redis60, Options{AllowModules: true}); f.im.target.needsCare(entry(rdbparse.TypeModule2, nil)) {
		t.Error("a module's value is not sent although that is allowed")
	}
}

func entryWithMeta() *rdbparse.Entry {
	e := entry(rdbparse.TypeString, []byte{0})
	e.Meta = someMeta
	return e
}

// TestConvertOutcomes looks at how a key is counted that needs care.
func TestConvertOutcomes(t *testing.T) {
	fields := func(at ...int64) *rdbparse.Entry {
		var all []dataset.Field
		for i, ms := range at {
			all = append(all, dataset.Field{Name: []byte{'a' + byte(i)}, Value: []byte("v"), ExpireMs: ms})
		}
		return entry(rdbparse.TypeHash2, dataset.AppendHash2Valkey(nil, all))
	}
	expired := fields(dataset.FutureMs)
	expired.Expires, expired.ExpireAt = true, dataset.PastMs
	module := entry(rdbparse.TypeModule2, []byte{0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	module.Meta = someMeta
	empty := entry(rdbparse.TypeHash2, []byte{0})
	torn := entry(rdbparse.TypeHash2, []byte{5, 1})
	tests := []struct {
		name    string
		to      slotter.Server
		opts    Options
		e       *rdbparse.Entry
		sent    rdbparse.Type // if it is
		expired int64
		empty   int64
		reason  string
	}{
		{"no field expires", valkey81, Options{}, fields(0, 0), rdbparse.TypeHash, 0, 0, ""},
		{"fields expire", valkey81, Options{}, fields(0, dataset.FutureMs), 0, 0, 0, "its fields expire, and Valkey 8.1.1 cannot keep that"},
		{"fields expire, dropped", valkey81, Options{DropFieldTTL: true}, fields(0, dataset.FutureMs), rdbparse.TypeHash, 0, 0, ""},
		{"all fields expired, dropped", valkey81, Options{DropFieldTTL: true}, fields(1, dataset.PastMs), 0, 1, 0, ""},
		{"all fields expired", valkey81, Options{}, fields(1, dataset.PastMs), 0, 1, 0, ""},
		{"some fields expired", valkey81, Options{}, fields(1, 0), rdbparse.TypeHash, 0, 0, ""},
		{"some fields expired, others to come", valkey81, Options{}, fields(1, dataset.FutureMs), 0, 0, 0, "its fields expire, and Valkey 8.1.1 cannot keep that"},
		{"for Redis", redis80, Options{}, fields(0, dataset.FutureMs), rdbparse.TypeHashMetadata, 0, 0, ""},
		{"later than Redis can hold", redis80, Options{DropFieldTTL: true}, fields(1 << 50), 0, 0, 0, "its fields expire later than Redis 8.0.6 can hold"},
		{"no fields at all", redis80, Options{}, empty, 0, 0, 1, ""},
		{"an expired key", valkey81, Options{}, expired, 0, 1, 0, ""},
		{"module with metadata", redis80, Options{}, module, rdbparse.TypeModule2, 0, 0, ""},
		{"module", redis60, Options{}, module, 0, 0, 0, "module type AAAAAAAAA: Redis 6.0.16 would exit"},
		{"module, allowed", redis60, Options{AllowModules: true}, module, rdbparse.TypeModule2, 0, 0, ""},
		{"array", redis80, Options{}, entry(rdbparse.TypeArray, []byte{1, 0, 0, 0, 0}), 0, 0, 0, "Redis 8.0 has no encoding for array"},
		{"compressed string", redis60, Options{}, entry(rdbparse.TypeString, dataset.AppendLZFString(nil, make([]byte, 100))), rdbparse.TypeString, 0, 0, ""},
		{"string that is no LZF", redis60, Options{SkipDamaged: true}, entry(rdbparse.TypeString, []byte(lzfNowhere)), 0, 0, 0, "damaged value of type string"},
		{"string shorter than it says", redis60, Options{SkipDamaged: true}, entry(rdbparse.TypeString, []byte(lzfShort)), 0, 0, 0, "damaged value of type string"},
		{"damaged", redis80, Options{SkipDamaged: true}, torn, 0, 0, 0, "damaged value of type hash_2"},
	}
	for _, tt := range tests {
		f := feederFor(tt.to, tt.opts)
		if !f.im.target.needsCare(tt.e) {
			t.Errorf("%s: needs no care", tt.name)
		}
		out, err := f.sendable(tt.e)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		switch {
		case tt.expired+tt.empty > 0 || tt.reason != "":
			if out != nil || f.counts.expired != tt.expired || f.counts.filtered != tt.empty {
				t.Errorf("%s: sent %+v, counted %+v", tt.name, out, f.counts)
			}
		case out == nil || out.Type.Type != tt.sent || out.Meta != nil:
			t.Errorf("%s: sent %+v, counted %+v", tt.name, out, f.counts)
		}
		reasons := f.im.Snapshot().Errors
		if tt.reason == "" != (len(reasons) == 0) || tt.reason != "" && (!strings.HasPrefix(reasons[0].Reason, tt.reason) || f.counts.failed != 1) {
			t.Errorf("%s: %+v, counted %+v", tt.name, reasons, f.counts)
		}
	}
	_, err := feederFor(redis80, Options{}).convert(torn)
	var damage *DamagedError
	if !errors.As(err, &damage) || string(damage.Key) != "key" || !errors.Is(err, element.ErrDamaged) {
		t.Errorf("a damaged value: %v", err)
	}
}

// TestMixedBackLengths converts for masters that do not expect the same back lengths.
func TestMixedBackLengths(t *testing.T) {
	valkey90 := slotter.Server{Family: slotter.Valkey, Version: slotter.Version{9, 0, 0}, Compatible: slotter.Version{7, 2, 4}}
	edge := []byte(strings.Repeat("e", 16378))
	hash := entry(rdbparse.TypeHashListpack, dataset.AppendRawString(nil, dataset.AppendListpack(nil, [][]byte{edge, []byte("behind")})))
	s := dataset.NewStream([]dataset.StreamEntry{{ID: dataset.StreamID{Ms: 1}, Fields: [][]byte{[]byte("f"), edge}}}, 1)
	stream := entry(rdbparse.TypeStreamListpacks, dataset.AppendStream(nil, dataset.TypeStream, s))
	for _, servers := range [][]slotter.Server{{valkey90, valkey91}, {valkey91, valkey90}} {
		im := &Importer{opts: Options{}, cluster: &slotter.Cluster{}}
		im.setTarget(servers)
		f := &Feeder{im: im}
		if !f.im.target.needsCare(hash) || !f.im.target.needsCare(stream) {
			t.Fatal("sent as they are")
		}
		if out, err := f.convert(hash); err != nil || out == nil || out.Type.Type != rdbparse.TypeHash {
			t.Errorf("hash: %+v, %v", out, err)
		}
		if out, err := f.convert(stream); err != errInPieces || out != nil || f.counts.failed != 0 {
			t.Errorf("stream: %+v, %v, %+v", out, err, f.counts)
		}
	}
}

// BenchmarkNeedsCare measures what the closer look costs in a data set of all
// kinds of values, per key, and how many keys get it.
func BenchmarkNeedsCare(b *testing.B) {
	for _, to := range []slotter.Server{redis80, valkey91} {
		b.Run(to.Family.String(), func(b *testing.B) {
			entries := mixedEntries(b, 20_000)
			f := feederFor(to, Options{})
			looked := 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := entries[i%len(entries)]
				if f.im.target.needsCare(e) {
					looked++
					if out, err := f.convert(e); out == nil && err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(100*float64(looked)/float64(b.N), "%looked-at")
		})
	}
}

// mixedEntries returns the entries of a data set of all kinds of values.
func mixedEntries(b *testing.B, n int) (entries []*rdbparse.Entry) {
	b.Helper()
	var buf bytes.Buffer
	if _, err := dataset.Mixed(&buf, n, 1); err != nil {
		b.Fatal(err)
	}
	sc := rdbparse.NewScanner(&buf, rdbparse.Options{})
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			c := *e
			c.Key, c.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
			entries = append(entries, &c)
		}
	}
	if err := sc.Err(); err != nil {
		b.Fatal(err)
	}
	return entries
}
