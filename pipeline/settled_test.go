package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// settledKeys are the keys of a dump, in order, and which of them are settled.
type settledKeys struct {
	offsets []int64
	index   map[int64]int // by offset
	settled []atomic.Bool
	ends    int64 // offset behind the last one
}

func newSettledKeys(t *testing.T, dump []byte) *settledKeys {
	t.Helper()
	k := &settledKeys{index: make(map[int64]int)}
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			k.index[e.Offset] = len(k.offsets)
			k.offsets = append(k.offsets, e.Offset)
			p, _ := sc.Position()
			k.ends = p.Offset
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	k.settled = make([]atomic.Bool, len(k.offsets))
	return k
}

// settle gives b back as a lane does whose commands have all been accepted.
func (k *settledKeys) settle(im *Importer, b *batch) {
	for i := range b.cmds {
		k.settled[k.index[b.cmds[i].offset]].Store(true)
	}
	im.put(b)
}

// swallowInDisorder settles the batches in the queue of l, any of the last few that
// have come next.
func (k *settledKeys) swallowInDisorder(l *lane) {
	var held []*batch
	give := func(least int) {
		for len(held) > least {
			i := rand.IntN(len(held))
			b := held[i]
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
			k.settle(l.im, b)
		}
	}
	idle := time.NewTicker(time.Millisecond)
	defer idle.Stop()
	for {
		for b := l.queue.take(); b != nil; b = l.queue.take() {
			held = append(held, b)
			give(3)
		}
		select {
		case <-l.queue.ready:
		case <-idle.C:
			give(0)
		case <-l.im.ctx.Done():
			return
		}
	}
}

// watch expects every key before a mark of im to be settled, until done is closed, and
// returns the last mark, if there was one.
func (k *settledKeys) watch(t *testing.T, im *Importer, done <-chan struct{}) (m Mark, ok bool) {
	n := 0
	for last := false; ; runtime.Gosched() {
		m, ok = im.Settled()
		for ; ok && n < len(k.offsets) && k.offsets[n] < m.Offset; n++ {
			if !k.settled[n].Load() {
				t.Errorf("the mark %d passes the key at %d, which is not settled", m.Offset, k.offsets[n])
				return m, ok
			}
		}
		if int64(n) != m.Keys {
			t.Errorf("%d keys stand before %d, the mark says %d", n, m.Offset, m.Keys)
			return m, ok
		}
		if last {
			return m, ok
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
}

// settledDump is a dump of common keys, and with odd of some that no chunk has room for
// and one that is damaged.
func settledDump(t *testing.T, odd bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	r := dataset.NewRand(5)
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	for i := range 20_000 {
		size := r.Intn(400)
		switch {
		case !odd:
		case i%4000 == 0:
			size += maxChunk
		case i == 15_001:
			w.Key(dataset.TypeHashListpack, []byte("bad"), dataset.AppendString(nil, []byte("this is no listpack")))
		}
		value := make([]byte, size)
		r.Fill(value)
		w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendRawString(nil, value))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestSettled expects no mark to pass a key that is not settled, at any time, whatever
// the order in which encoders hand over batches and masters answer; and the last mark to
// be behind all that is settled, however the import ends.
func TestSettled(t *testing.T) {
	dump := settledDump(t, true)
	for _, how := range []string{"whole", "stop", "abort", "damage"} {
		for _, n := range []int{-1, 1, 2, 4} {
			t.Run(fmt.Sprintf("%s, %d encoders", how, n), func(t *testing.T) {
				for range 3 {
					testSettled(t, dump, how, n)
				}
			})
		}
	}
}

func testSettled(t *testing.T, dump []byte, how string, encoders int) {
	k := newSettledKeys(t, dump)
	opts := Options{Databases: Databases{Only: AllDatabases}, Marks: true, Encoders: encoders, Memory: 4 << 20}
	im, end := newSinkTo(5, opts, k.swallowInDisorder)
	defer end()
	if how == "damage" { // for such a target values are looked at
		im.target.oldest, im.target.version = redis60, serverVersion(redis60)
		im.target.care = makeCare(im.target.version, false)
	}
	done := make(chan struct{})
	var last Mark
	var watching sync.WaitGroup
	watching.Go(func() { last, _ = k.watch(t, im, done) })
	r, left := bytes.NewReader(dump), len(dump)/4+rand.IntN(len(dump)/2)
	f := im.NewFeeder()
	err := f.Feed(rdbparse.NewScanner(readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p[:min(len(p), 64<<10)])
		if left -= n; left < 0 && how == "stop" {
			im.Stop()
		} else if left < 0 && how == "abort" {
			im.abort(io.ErrUnexpectedEOF)
		}
		return n, err
	}), rdbparse.Options{}))
	if (err == nil) != (how == "whole") {
		t.Errorf("%s: %v", how, err)
	}
	if how != "abort" {
		im.drain()
	}
	close(done)
	watching.Wait()
	if how == "abort" {
		return
	}
	n := 0
	for n < len(k.offsets) && k.settled[n].Load() {
		n++
	}
	settled := k.ends
	if n < len(k.offsets) {
		settled = k.offsets[n]
	}
	// There is one a place, and a large value, behind the last.
	if behind := settled - last.Offset; behind > markEvery+2*maxChunk {
		t.Errorf("the last mark is at %d, and all is settled before %d", last.Offset, settled)
	}
}

// TestSettledChunks expects no mark to pass what is still in chunks, while encoders wait
// for batches and nothing else is in flight.
func TestSettledChunks(t *testing.T) {
	dump := settledDump(t, false)
	for _, n := range []int{1, 2, 4} {
		k := newSettledKeys(t, dump)
		im, end := newSinkTo(3, Options{Databases: Databases{Only: AllDatabases}, Marks: true, Encoders: n}, func(l *lane) {
			l.swallowBy(func(b *batch) { k.settle(l.im, b) })
		})
		f := im.NewFeeder()
		r, given, from := bytes.NewReader(dump), 0, 0
		var taken []*batch
		err := f.Feed(rdbparse.NewScanner(readerFunc(func(p []byte) (int, error) {
			switch {
			case from == 0 && given > len(dump)/4:
				f.Flush()
				waitUntil(t, func() bool { return len(im.pool) == im.batches })
				for range im.batches {
					taken = append(taken, <-im.pool)
				}
				from = given
			case taken != nil && given-from > markEvery+maxChunk:
				if passed := im.marks.passed; len(passed) == 0 || passed[len(passed)-1].Offset <= int64(from) {
					t.Errorf("no mark was passed behind %d", from)
				}
				if m, ok := im.Settled(); !ok || m.Offset > int64(from) {
					t.Errorf("%d encoders: %v, the mark is at %d, and nothing behind %d was sent", n, ok, m.Offset, from)
				}
				for _, b := range taken {
					im.pool <- b
				}
				taken = nil
			}
			n, err := r.Read(p[:min(len(p), 16<<10)])
			given += n
			return n, err
		}), rdbparse.Options{}))
		if err != nil || from == 0 || taken != nil {
			t.Errorf("%d encoders: %v", n, err)
		}
		im.drain()
		end()
	}
}

// TestMarksFollow expects the marks of a dump to follow what is read of it where one
// master is given a single key, at the start, so that its batch is never full.
func TestMarksFollow(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0009")
	w.Key(dataset.TypeString, []byte("{b}"), dataset.AppendString(nil, []byte("x"))) // slot 3300
	for i := range 100_000 {
		w.Key(dataset.TypeString, fmt.Appendf(nil, "{a}%d", i), dataset.AppendRawString(nil, make([]byte, 80))) // slot 15495
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const memory = 1 << 20
	for _, n := range []int{-1, 1, 4} {
		im, end := newSink(3, Options{Marks: true, Encoders: n, Memory: memory})
		f := im.NewFeeder()
		r, given, looked := bytes.NewReader(buf.Bytes()), 0, false
		err := f.Feed(rdbparse.NewScanner(readerFunc(func(p []byte) (int, error) {
			if r.Len() < 64<<10 && !looked {
				looked = true
				waitUntil(t, func() bool {
					m, ok := im.Settled()
					return ok && m.Offset > int64(given)-4*memory
				})
			}
			n, err := r.Read(p[:min(len(p), 16<<10)])
			given += n
			return n, err
		}), rdbparse.Options{}))
		if err != nil || !looked {
			t.Errorf("%d encoders: %v", n, err)
		}
		im.drain()
		end()
	}
}

// TestWaitSettledFailed expects a source whose last key has stopped the import not to be
// taken for one that is finished, though nothing of it is in flight any more.
func TestWaitSettledFailed(t *testing.T) {
	var dump bytes.Buffer
	w := dataset.NewWriter(&dump, "REDIS0009")
	w.Key(dataset.TypeString, []byte("key"), dataset.AppendString(nil, "value"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	conflict := &ConflictError{Key: []byte("key")}
	im, stop := newSinkTo(3, Options{Databases: Databases{Only: AllDatabases}, Marks: true}, func(l *lane) {
		l.swallowBy(func(b *batch) { // as where a key exists with another value
			l.im.marks.keepBelow(b.cmds[0].offset)
			l.im.fail(conflict)
			l.im.put(b)
		})
	})
	defer stop()
	f := im.NewFeeder()
	if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump.Bytes()), rdbparse.Options{})); err != nil {
		t.Fatal(err)
	}
	im.drain()
	if err := f.WaitSettled(); !errors.Is(err, conflict) {
		t.Errorf("the source counts as finished: %v", err)
	}
}

// TestManyMarks: while one value is on its way for long few places behind it are kept, the
// last of them always; and from one near its end is gone on once it is settled.
func TestManyMarks(t *testing.T) {
	const large, last = 1000, 50 * mostMarks
	c := &carrier{}
	im := &Importer{carriers: &carriers{all: []*carrier{c}}}
	im.marks.startMarks(Mark{}, false)
	c.low.Store(large * markEvery)
	for i := int64(1); i <= last; i++ {
		im.marks.add(Mark{Position: rdbparse.Position{Offset: i * markEvery}, Keys: i})
		if n := len(im.marks.passed); n > mostMarks || im.marks.passed[n-1].Keys != i {
			t.Fatalf("%d places are kept, the last of them %+v", n, im.marks.passed[n-1])
		}
	}
	for _, low := range []int64{large, last / 2} {
		c.low.Store(low * markEvery)
		m, ok := im.Settled()
		if tooFar := m.Keys > low; tooFar || ok && m.Keys < low-4*last/mostMarks || m.Offset != m.Keys*markEvery {
			t.Errorf("%v, the mark is %+v, and settled is what stands before %d", ok, m, low)
		}
	}
	c.low.Store(none)
	if m, ok := im.Settled(); !ok || m.Keys != last {
		t.Errorf("%v, the mark is %+v, and all is settled", ok, m)
	}
}
