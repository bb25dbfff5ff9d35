package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// newSink returns an Importer whose lanes lead nowhere: what is put into them
// goes straight back into the pool. stop ends it.
func newSink(masters int, opts Options) (im *Importer, stop func()) {
	return newSinkAway(masters, 0, opts)
}

// newSinkAway is newSink for masters so far away that what is put into a lane
// comes back after rtt.
func newSinkAway(masters int, rtt time.Duration, opts Options) (im *Importer, stop func()) {
	opts.Databases.Only = AllDatabases
	if rtt == 0 {
		return newSinkTo(masters, opts, (*lane).swallow)
	}
	return newSinkTo(masters, opts, func(l *lane) { l.swallowAfter(rtt) })
}

// newSinkTo is newSink with run in place of what each lane does.
func newSinkTo(masters int, opts Options, run func(*lane)) (im *Importer, stop func()) {
	im = &Importer{opts: opts.withDefaults(), redo: newQueue(), stopped: make(chan struct{}),
		byPlace: make(map[place]*lane), paces: make(map[string]*pace)}
	im.ctx, im.cancel = context.WithCancelCause(context.Background())
	im.reading, im.endRead = context.WithCancel(im.ctx)
	im.target = target{care: makeCare(element.ServerVersion{Version: 700}, false), maxCommand: maxBulkDefault,
		version: element.ServerVersion{Version: 700}}
	im.dialect = dialect{absolute: true}
	im.marks.startMarks(Mark{}, false)
	im.clock.now.Store(1)
	nodes := make([]slotter.Master, masters)
	owned := make([][]slotter.Range, masters)
	for i := range nodes {
		nodes[i] = slotter.Master{ID: fmt.Sprint(i), Addr: fmt.Sprintf("sink:%d", i)}
		owned[i] = []slotter.Range{{First: uint16(i * slotter.Slots / masters), Last: uint16((i+1)*slotter.Slots/masters - 1)}}
	}
	m, err := slotter.NewMap(nodes, owned)
	if err != nil {
		panic(err)
	}
	im.makePool(masters)
	im.slotMap.Store(m)
	im.setRoutes(newRoutes(m))
	for _, n := range nodes {
		p := place{addr: n.Addr}
		l := newLane(im, p, len(im.lanes))
		im.lanes = append(im.lanes, l)
		im.byPlace[p] = l
		im.work.Go(func() { run(l) })
	}
	return im, func() {
		im.cancel(nil)
		im.work.Wait()
	}
}

// swallow takes what is in the queue of l and gives it back to the pool.
func (l *lane) swallow() { l.swallowBy(l.im.put) }

// swallowBy gives each batch in the queue of l to give.
func (l *lane) swallowBy(give func(*batch)) {
	for {
		if b := l.queue.take(); b != nil {
			give(b)
			continue
		}
		select {
		case <-l.queue.ready:
		case <-l.im.ctx.Done():
			return
		}
	}
}

// swallowAfter does so with each batch a time rtt later.
func (l *lane) swallowAfter(rtt time.Duration) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for away := newQueue(); ; {
		for b := l.queue.take(); b != nil; b = l.queue.take() {
			b.due = time.Now().Add(rtt)
			away.put(b)
		}
		for away.first != nil && time.Until(away.first.due) <= 0 {
			l.im.put(away.take())
		}
		wait := time.Hour
		if away.first != nil {
			wait = time.Until(away.first.due)
		}
		timer.Reset(wait)
		select {
		case <-l.queue.ready:
		case <-timer.C:
		case <-l.im.ctx.Done():
			return
		}
	}
}

// benchDump returns the dump that RDBIMPORT_BENCH_FILE names, or a small one of
// mixed keys.
func benchDump(tb testing.TB) []byte {
	tb.Helper()
	if name := os.Getenv("RDBIMPORT_BENCH_FILE"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		return data
	}
	var buf bytes.Buffer
	if _, err := dataset.Mixed(&buf, 50000, 1); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// BenchmarkFeed scans and encodes a dump for sinks in place of masters.
func BenchmarkFeed(b *testing.B) {
	dump := benchDump(b)
	for _, masters := range []int{3, 30, 300} {
		for _, rtt := range []time.Duration{0, 50 * time.Millisecond} {
			name := fmt.Sprintf("masters=%d", masters)
			if rtt > 0 {
				name += fmt.Sprintf("/away=%v", rtt)
			}
			b.Run(name, func(b *testing.B) {
				im, stop := newSinkAway(masters, rtt, Options{})
				defer stop()
				f := im.NewFeeder()
				b.SetBytes(int64(len(dump)))
				b.ReportAllocs()
				for b.Loop() {
					f.NewSource()
					if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(im.stats.read.Load())/b.Elapsed().Seconds()/1e6, "Mkeys/s")
			})
		}
	}
}

// feedAllocations returns how much is allocated while a dump is scanned and encoded for
// sinks, and how many keys it has, when that has been done some times: until every batch
// has been used and has its size.
func feedAllocations(t *testing.T, dump []byte, opts Options, times int) (allocs float64, keys int64) {
	t.Helper()
	im, stop := newSink(3, opts)
	defer stop()
	f := im.NewFeeder()
	feed := func() {
		f.NewSource()
		if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
			t.Fatal(err)
		}
	}
	for range times {
		feed()
	}
	before := im.stats.read.Load()
	allocs = testing.AllocsPerRun(3, feed)
	return allocs, (im.stats.read.Load() - before) / 4
}

// TestFeedAllocations expects scanning and encoding to allocate nothing per key.
func TestFeedAllocations(t *testing.T) {
	allocs, keys := feedAllocations(t, benchDump(t), Options{}, 20)
	if keys < 10000 {
		t.Fatalf("%d keys a run are too few", keys)
	}
	// A scanner and its buffer are made for each run, and nothing else.
	if allocs > 50 {
		t.Errorf("%v allocations for %d keys", allocs, keys)
	}
}
