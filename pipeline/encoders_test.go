package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A fed is what came of feeding a dump to sinks.
type fed struct {
	Commands map[string]int // by the lane and its bytes
	Read     int64
	Met      int64
	Counts   [4]int64 // expired, filtered, failed, and commands
	Errors   []ErrorCount
	Err      string
}

// counts is r without the commands.
func (r fed) counts() fed {
	r.Commands = nil
	return r
}

// A feedTest feeds dumps to sinks that keep the commands.
type feedTest struct {
	opts   Options
	to     slotter.Server
	many   bool // the target has several databases
	reader func(im *Importer, dump []byte) io.Reader
}

// feed feeds a dump with a number of encoders, -1 for none.
func (ft feedTest) feed(t *testing.T, encoders int, dump []byte) (fed, error) {
	t.Helper()
	var mu sync.Mutex
	res := fed{Commands: map[string]int{}}
	opts := ft.opts
	opts.Encoders = encoders
	keep := func(l *lane) {
		l.swallowBy(func(b *batch) {
			mu.Lock()
			for i := range b.cmds {
				res.Commands[fmt.Sprintf("%s/%d %s", l.place.addr, l.place.db, b.command(i))]++
				res.Counts[3]++
			}
			mu.Unlock()
			l.im.put(b)
		})
	}
	im, stop := newSinkTo(3, opts, keep)
	defer stop()
	if ft.to.Family != 0 || ft.to.Version[0] > 0 {
		im.target.oldest, im.target.version = ft.to, serverVersion(ft.to)
		im.target.care = makeCare(im.target.version, opts.AllowModules)
	}
	im.target.several = ft.many
	im.clock.now.Store(dataset.PastMs + 1)
	if ft.many { // lanes to other databases are made as they are needed
		im.databases.all = make(map[uint32]bool)
		im.mu.Lock()
		for db := range uint32(16) {
			im.databases.all[db] = true // there is nobody to ask
			for i := range 3 {
				p := place{addr: fmt.Sprintf("sink:%d", i), db: db}
				if im.byPlace[p] == nil {
					l := newLane(im, p, len(im.lanes))
					im.lanes, im.byPlace[p] = append(im.lanes, l), l
					im.work.Go(func() { keep(l) })
				}
			}
		}
		im.mu.Unlock()
	}
	f := im.NewFeeder()
	if encoders > 0 != (im.encoders.count() > 0) {
		t.Fatalf("%d encoders in place of %d", im.encoders.count(), encoders)
	}
	var r io.Reader = bytes.NewReader(dump)
	if ft.reader != nil {
		r = ft.reader(im, dump)
	}
	err := f.Feed(rdbparse.NewScanner(r, rdbparse.Options{}))
	if err != nil {
		res.Err = err.Error()
	}
	im.drain() // all batches are back
	s := &im.stats
	res.Read, res.Met, res.Errors = s.read.Load(), f.KeysRead(), im.Snapshot().Errors
	for i := range res.Errors {
		res.Errors[i].Example = "" // the first one, whichever that is
	}
	res.Counts[0], res.Counts[1], res.Counts[2] = s.expired.Load(), s.filtered.Load(), s.failed.Load()
	if sum := res.Counts[0] + res.Counts[1] + res.Counts[2] + res.Counts[3]; sum != res.Read {
		t.Errorf("%d keys read, and %d counted: %+v", res.Read, sum, res.Counts)
	}
	if res.Met != res.Read {
		t.Errorf("%d keys met, %d read", res.Met, res.Read)
	}
	return res, err
}

// allTypes is a dump of random values of all types that servers of a flavor read,
// small ones and some that no chunk has room for, in several databases.
func allTypes(tb testing.TB, flavor dataset.Flavor, databases int, seed uint64) []byte {
	tb.Helper()
	var buf bytes.Buffer
	r := dataset.NewRand(seed)
	w := dataset.NewWriter(&buf, flavor.Magic)
	for db := range databases {
		w.SelectDB(db * 3)
		for n := range 40 {
			for _, typ := range flavor.Types {
				if r.Chance(20) {
					w.ExpireMs(dataset.PastMs + int64(r.Intn(2))*(dataset.FutureMs-dataset.PastMs))
				}
				if r.Chance(10) {
					w.Idle(uint64(r.Intn(1 << 20)))
				}
				w.Key(typ, fmt.Appendf(nil, "%d:%d:%d", typ, n, db*r.Intn(2)), dataset.AppendRandom(nil, r, typ, 1+r.Intn(60)))
			}
		}
		long := make([]byte, maxChunk+r.Intn(maxChunk))
		r.Fill(long)
		w.Key(dataset.TypeString, []byte("long"), dataset.AppendRawString(nil, long))
		w.Key(dataset.TypeSet, []byte("empty"), []byte{0})
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// TestEncodersSame expects the same commands for the same lanes, and the same
// counts, whatever the number of encoders.
func TestEncodersSame(t *testing.T) {
	type test struct {
		name string
		dump []byte
		feedTest
	}
	everything := Databases{Only: AllDatabases}
	var tests []test
	for i, flavor := range dataset.Flavors() {
		prefix := Databases{Only: AllDatabases, Prefix: "db%d:"}
		tests = append(tests,
			test{"random of " + flavor.Name, allTypes(t, flavor, 1, uint64(i)), feedTest{opts: Options{Databases: everything}, to: redis80}},
			test{"prefix, " + flavor.Name, allTypes(t, flavor, 5, uint64(i)), feedTest{opts: Options{Databases: prefix}, to: redis86}},
			test{"databases, " + flavor.Name, allTypes(t, flavor, 5, uint64(i)), feedTest{opts: Options{Databases: everything}, to: redis80, many: true}},
			test{"older, " + flavor.Name, allTypes(t, flavor, 2, uint64(i)), feedTest{opts: Options{Databases: prefix, SkipDamaged: true}, to: redis60}},
			test{"older, " + flavor.Name + ", fields", allTypes(t, flavor, 2, uint64(i)), feedTest{opts: Options{Databases: prefix, DropFieldTTL: true}, to: valkey81}},
		)
	}
	dump := allTypes(t, dataset.Flavors()[0], 5, 99)
	tests = append(tests,
		test{"one database", dump, feedTest{opts: Options{Databases: Databases{Only: 3}}}},
		test{"second database", dump, feedTest{opts: Options{Databases: everything}}},
		test{"little memory", dump, feedTest{opts: Options{Databases: Databases{Only: 6}, Memory: 2 << 20}}},
		test{"replace", dump, feedTest{opts: Options{Databases: Databases{Only: 0}, Memory: 4 << 20, Conflict: ConflictReplace}}},
		test{"cut", dump[:len(dump)*2/3], feedTest{opts: Options{Databases: Databases{Only: AllDatabases, Prefix: "%d-"}}}},
	)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, err := tt.feed(t, -1, tt.dump)
			if want.Counts[3] < 20 {
				t.Fatalf("%d commands are too few: %v", want.Counts[3], err)
			}
			for _, n := range []int{1, 2, 4} {
				have, err := tt.feed(t, n, tt.dump)
				for cmd, n := range want.Commands {
					if have.Commands[cmd] != n {
						t.Fatalf("%d times in place of %d: %.100q", have.Commands[cmd], n, cmd)
					}
				}
				if !reflect.DeepEqual(have.counts(), want.counts()) {
					t.Errorf("%d encoders: %+v\nexpected %+v", n, have.counts(), want.counts())
				}
				if tt.name == "second database" && (!errors.Is(err, ErrDatabases) || have.Read == 0) {
					t.Errorf("%d encoders: %v", n, err)
				}
			}
		})
	}
}

// TestEncodersStopAtDamage expects a damaged value to stop the import, and all
// before it to be sent, also where there are others behind it.
func TestEncodersStopAtDamage(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	// It is the first of its chunk, so that one encoder meets it while another is
	// still at those before it. The first key of all is in no chunk.
	const before, behind = 1 + 15*maxChunk/leastEntry, 20_000
	for i := range before + behind {
		if i == before || i > before && i%5000 == 0 {
			w.Key(dataset.TypeHashListpack, fmt.Appendf(nil, "bad %d", i), dataset.AppendString(nil, []byte("this is no listpack")))
		}
		w.Key(dataset.TypeString, fmt.Appendf(nil, "key %d", i), dataset.AppendString(nil, "x"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ft := feedTest{opts: Options{Databases: Databases{Only: AllDatabases}}, to: redis60}
	for _, n := range []int{-1, 1, 2, 4} {
		have, err := ft.feed(t, n, buf.Bytes())
		var damage *DamagedError
		if !errors.As(err, &damage) || string(damage.Key) != fmt.Sprintf("bad %d", before) {
			t.Errorf("%d encoders: %v", n, err)
		}
		if have.Met != have.Read || have.Counts[2] < 1 || have.Counts[3] < before || n < 0 && have.Counts[3] > before {
			t.Errorf("%d encoders: %+v", n, have.counts())
		}
		for i := range before {
			cmd := string(form{dialect: dialect{absolute: true}}.restore(
				&rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: fmt.Appendf(nil, "key %d", i), Value: []byte("\x01x"), Idle: -1, Freq: -1}, 0))
			found := 0
			for m := range 3 {
				found += have.Commands[fmt.Sprintf("sink:%d/0 %s", m, cmd)]
			}
			if found != 1 {
				t.Fatalf("%d encoders: key %d is sent %d times", n, i, found)
			}
		}
	}
}

// readerFunc is a Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestEncodersStop stops an import in the middle of a dump. What was read must
// have been sent.
func TestEncodersStop(t *testing.T) {
	dump := feedSets(t)["small"]
	ft := feedTest{opts: Options{Databases: Databases{Only: AllDatabases}}, reader: func(im *Importer, dump []byte) io.Reader {
		r, left := bytes.NewReader(dump), len(dump)/2
		return readerFunc(func(p []byte) (int, error) {
			n, err := r.Read(p[:min(len(p), 64<<10)])
			if left -= n; left < 0 {
				im.Stop()
			}
			return n, err
		})
	}}
	for _, n := range []int{1, 2, 4} {
		have, err := ft.feed(t, n, dump)
		if !errors.Is(err, ErrStopped) || have.Met != have.Read || have.Read == 0 || have.Counts[3] >= 200_000 {
			t.Errorf("%d encoders: %v, %+v", n, err, have.counts())
		}
	}
}

// TestEncodersStopWithoutBatches stops an import while all batches are with
// masters that do not answer.
func TestEncodersStopWithoutBatches(t *testing.T) {
	dump := feedSets(t)["small"]
	for name, end := range map[string]func(im *Importer){
		"stop": (*Importer).Stop, "abort": func(im *Importer) { im.abort(ErrStopped) },
		"end": func(im *Importer) { im.cancel(ErrStopped) },
	} {
		t.Run(name, func(t *testing.T) {
			im, stop := newSinkTo(3, Options{Databases: Databases{Only: AllDatabases}, Encoders: 2, Memory: 4 << 20}, func(l *lane) { <-l.im.ctx.Done() })
			defer stop()
			f := im.NewFeeder()
			fed := make(chan error, 1)
			go func() { fed <- f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})) }()
			waitUntil(t, func() bool { return len(im.pool) == 0 })
			end(im)
			select {
			case err := <-fed:
				if !errors.Is(err, ErrStopped) {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Feed does not return")
			}
			if n := im.stats.read.Load(); n == 0 || n != f.KeysRead() {
				t.Errorf("%d keys counted, %d met", n, f.KeysRead())
			}
		})
	}
}

// waitUntil waits for a state.
func waitUntil(t *testing.T, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !reached(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

// TestEncodersSlowSource expects what was read to be sent when Flush is called
// while the reader waits for more.
func TestEncodersSlowSource(t *testing.T) {
	dump := feedSets(t)["small"]
	im, stop := newSink(3, Options{Encoders: 2})
	defer stop()
	f := im.NewFeeder()
	r := bytes.NewReader(dump)
	reader := readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p[:min(len(p), 300_000)])
		flushed := make(chan struct{})
		go func() { // as a timer does
			defer close(flushed)
			f.Flush()
		}()
		<-flushed
		if unsent := f.met - im.stats.read.Load(); unsent != 0 {
			t.Errorf("%d of %d keys are not sent", unsent, f.met)
		}
		return n, err
	})
	if err := f.Feed(rdbparse.NewScanner(reader, rdbparse.Options{})); err != nil {
		t.Fatal(err)
	}
	if n := im.stats.read.Load(); n != 300_000 || f.KeysRead() != n {
		t.Errorf("%d keys counted, %d met", n, f.KeysRead())
	}
	im.drain()
}

// TestEncodersOneFeeder feeds several dumps at once: one Feeder at a time has the
// encoders, and each dump is fed as a whole.
func TestEncodersOneFeeder(t *testing.T) {
	dump := feedSets(t)["mixed"]
	im, stop := newSink(3, Options{Encoders: 2})
	defer stop()
	var feeds sync.WaitGroup
	for range 3 {
		f := im.NewFeeder()
		feeds.Go(func() {
			for range 2 {
				f.NewSource()
				if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil || f.KeysRead() != 50_000 {
					t.Errorf("%d keys, %v", f.KeysRead(), err)
				}
			}
		})
	}
	feeds.Wait()
	if n := im.stats.read.Load(); n != 300_000 {
		t.Errorf("%d keys counted", n)
	}
	im.drain()
}

// TestEncodersAllocations expects nothing to be allocated per key.
func TestEncodersAllocations(t *testing.T) {
	allocs, keys := feedAllocations(t, feedSets(t)["small"], Options{Encoders: 2, Memory: 8 << 20}, 10)
	if allocs > 200 || keys != 300_000 {
		t.Errorf("%v allocations for %d keys", allocs, keys)
	}
}

// TestEncodersMemory expects chunks to be counted, and to be taken off the memory
// for batches.
func TestEncodersMemory(t *testing.T) {
	for _, masters := range []int{3, 30, 300} {
		im, stop := newSink(masters, Options{Encoders: 4})
		plain, stopPlain := newSink(masters, Options{Encoders: -1})
		f := im.NewFeeder()
		if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(feedSets(t)["mixed"]), rdbparse.Options{})); err != nil {
			t.Fatal(err)
		}
		most, plainMost := im.batches*im.batchSize+int(im.encoders.room()), plain.batches*plain.batchSize
		if peak := im.memory.peak.Load(); peak < im.encoders.room() || peak > im.opts.Memory/2+8<<20 {
			t.Errorf("%d masters: a peak of %d bytes, %d of chunks", masters, peak, im.encoders.room())
		}
		if most > plainMost*3/2 {
			t.Errorf("%d masters: %d bytes in batches and chunks, without encoders %d", masters, most, plainMost)
		}
		im.drain()
		stop()
		stopPlain()
	}
}

// TestEncodersNumber looks at how many encoders there are.
func TestEncodersNumber(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	everything := Databases{Only: AllDatabases}
	tests := []struct {
		procs, masters int
		opts           Options
		want           int
	}{
		{1, 50, Options{Databases: everything}, 0},
		{3, 50, Options{Databases: everything}, 0},
		{4, 50, Options{Databases: everything}, 2},
		{6, 8, Options{Databases: everything}, 3},
		{64, 50, Options{Databases: everything}, 4},
		{64, 7, Options{Databases: everything}, 0},
		{64, 75, Options{Databases: everything, Lanes: 4}, 2},
		{64, 300, Options{Databases: everything}, 2},
		{64, 3000, Options{Databases: everything}, 1},
		{64, 50, Options{Databases: everything, Encoders: -1}, 0},
		{1, 3, Options{Databases: everything, Encoders: 2}, 2},
		{64, 50, Options{Databases: everything, Marks: true}, 4},
		{64, 50, Options{Databases: everything, RateKeys: 10}, 0},
		{64, 50, Options{Databases: everything, RateKeys: leastRateKeys}, 4},
		{64, 50, Options{Databases: everything, RateKeys: leastRateKeys, Rate: 10}, 0},
		{64, 50, Options{Databases: everything, Rate: leastRate}, 4},
		{64, 50, Options{Databases: everything, Rate: 10, Encoders: 2}, 2},
		{64, 50, Options{Databases: Databases{Only: AllDatabases, Merge: true}}, 0},
		{64, 50, Options{Databases: Databases{Only: 2, Merge: true}}, 4},
		{64, 50, Options{Databases: Databases{Only: AllDatabases, Merge: true, Prefix: "db%d:"}}, 4},
		{64, 50, Options{Databases: Databases{Only: AllDatabases, Prefix: "old:"}}, 0},
		{64, 50, Options{Databases: Databases{Only: AllDatabases, Prefix: "%d"}}, 0},
		{64, 50, Options{Databases: Databases{Only: AllDatabases, Prefix: "%d0"}}, 0},
	}
	for _, tt := range tests {
		runtime.GOMAXPROCS(tt.procs)
		if got := tt.opts.withDefaults().encoders(tt.masters); got != tt.want {
			t.Errorf("%d processors, %d masters, %+v: %d, expected %d", tt.procs, tt.masters, tt.opts, got, tt.want)
		}
	}
	if im, stop := newSink(3, Options{Encoders: 2, Memory: 64 << 10}); im.encoders.count() > 0 {
		t.Error("there is no room for chunks in 64 KiB")
		stop()
	} else {
		stop()
	}
}

// TestChunk expects entries to come out of a chunk as they went in.
func TestChunk(t *testing.T) {
	typ := rdbparse.TypeHashTmplLPRef.Info()
	entries := []rdbparse.Entry{
		{Type: typ, Key: []byte{}, Value: []byte{0}, Idle: -1, Freq: -1},
		{Type: typ, Key: []byte("k"), Value: []byte("value"), Meta: []byte{243, 0}, Fields: []byte{}, DB: math.MaxInt32, Idle: math.MaxInt64, Freq: 255, Offset: math.MaxInt64},
		{Type: typ, Key: []byte("key"), Value: []byte("v"), Fields: []byte("fields"), Expires: true, ExpireAt: math.MinInt64, Idle: 0, Freq: 0, Offset: 9},
	}
	c := &chunk{buf: make([]byte, 0, 100), keys: make([]packed, 0, 3)}
	for i := range entries {
		c.add(&entries[i])
	}
	if c.fits(1) {
		t.Error("a full chunk has room")
	}
	var e rdbparse.Entry
	rest := c.buf
	for i := range c.keys {
		if rest = c.keys[i].unpack(&e, rest); !reflect.DeepEqual(e, entries[i]) {
			t.Errorf("%+v, expected %+v", e, entries[i])
		}
		if cap(e.Key) != len(e.Key) || cap(e.Value) != len(e.Value) {
			t.Error("an append would overwrite what follows")
		}
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes more", len(rest))
	}
}
