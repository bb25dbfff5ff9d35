package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rdbimport/rdbimport/pipeline/internal/prefetch"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// A Feeder renders the entries of one dump at a time into batches and hands
// these to the lanes. It belongs to one goroutine; an Importer may have several.
type Feeder struct {
	im      *Importer
	routes  *routes
	db      uint32    // on the target
	lanes   []*lane   // of db, by master; nil where none was needed yet
	turn    []int     // by master, which of its lanes is next
	filling []filling // by master
	// owner is routes.owner in half the memory, so that it leaves room in the
	// processor's nearest cache; manyMasters stands for any that is larger.
	owner [slotter.Slots]uint8

	source databases
	form   form
	counts feedCounts
	held   int64 // bytes that are counted in Importer.memory

	peers int // how many Feeders render the dump, if it is more than one
	// origin is the Feeder that scans what this one renders: itself, but for those
	// of encoders.
	origin *Feeder
	// encoders render what this Feeder scans, nil where it does so itself.
	encoders *encoders

	scanner *rdbparse.Scanner
	value   *rdbparse.BigValue // the large one that it is at, or was last

	// Of the large values that carriers were given: how many of them turned out not
	// to count as met, and the first error that stops the import.
	carried    sync.WaitGroup
	uncarried  atomic.Int64
	carriedErr atomic.Pointer[error]

	// For marks: the keys met in this source and those before the mark from which
	// it goes on.
	met, before    int64
	from, nextMark int64

	// For values that are rewritten, or checked for a server that would exit on them.
	converted  rdbparse.Entry
	convertBuf []byte
	checker    *element.Checker // nil where none was
}

// filling is a batch that is being filled. What a key needs of it lies here, one
// behind the other, and not in the batch, so that it is near where there are hundreds
// of masters.
type filling struct {
	buf   []byte
	cmds  []command
	batch *batch // nil if none
	_     int    // 64 bytes, a line of the processor's cache
}

// NewFeeder returns a Feeder of im.
func (im *Importer) NewFeeder() *Feeder {
	f := &Feeder{im: im, db: im.target.db, form: form{dialect: im.dialect}}
	f.origin = f
	im.mu.Lock()
	im.stats.feeders++
	im.setRoutes(im.routes.Load())
	im.mu.Unlock()
	f.source.init(im)
	f.adopt(im.routes.Load())
	return f
}

// Feed imports all entries that sc has. It returns when the last one is on its
// way, not when it has arrived: see Importer.Close. The error is the scanner's,
// or the one that stopped the import.
func (f *Feeder) Feed(sc *rdbparse.Scanner) error {
	f.encoders = f.im.encoders.begin(f)
	err := f.scan(sc)
	if f.encoders != nil {
		err = f.encoders.end(err)
		f.encoders = nil
	}
	err = cmp.Or(f.joinCarriers(), err)
	f.Flush()
	return err
}

func (f *Feeder) scan(sc *rdbparse.Scanner) error {
	im := f.im
	f.scanner = sc
	for sc.Next() {
		if im.stopping.Load() {
			return im.failure
		}
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			if err := f.record(e); err != nil {
				return f.failed(err)
			}
			continue
		}
		var err error
		if f.encoders == nil {
			err = f.key(e)
		} else {
			err = f.share(e)
		}
		if err != nil {
			im.marks.keepBelow(e.Offset)
			return f.failed(err)
		}
		if e.Offset >= f.nextMark {
			f.mark(sc)
		}
	}
	return sc.Err()
}

// failed stops the import because of err, or because of what the encoders have met
// before it.
func (f *Feeder) failed(err error) error {
	if f.encoders != nil {
		err = cmp.Or(f.encoders.settle(), err)
	}
	f.im.fail(err)
	return err
}

// KeysRead returns how many keys of the present source f has met.
func (f *Feeder) KeysRead() int64 { return f.met }

// mark notes how far the dump has been read. What has waited for a batch to become full
// while as many bytes were read as the budget has is handed over, so that marks follow: a
// master may be given few keys, or none but one.
func (f *Feeder) mark(sc *rdbparse.Scanner) {
	im, at := f.im, sc.Entry().Offset
	if !im.opts.Marks {
		f.nextMark = none
		return
	}
	im.marks.pass(sc, f.before+f.met)
	f.nextMark = im.marks.next
	if at < im.marks.look {
		return
	}
	im.marks.look = at + im.opts.Memory
	if im.unsettled() < at-im.opts.Memory {
		f.Flush()
	}
}

// SkipTo makes f leave out all keys of the next source that stand before m: an
// earlier import has settled them. They are not counted.
func (f *Feeder) SkipTo(m Mark) {
	f.from, f.before = m.Offset, m.Keys
	f.im.marks.startMarks(m, true)
	f.nextMark = f.im.marks.next
}

// WaitSettled returns when all that f was given is settled. The error is the one for
// which the import stops: a key that is settled may be why, and is then to be met again.
func (f *Feeder) WaitSettled() error {
	f.Flush()
	im := f.im
	t := time.NewTicker(settledLook)
	defer t.Stop()
	for slices.ContainsFunc(im.allBatches(), func(b *batch) bool { return b.feeder.Load() == f && b.low.Load() != none }) {
		select {
		case <-t.C:
		case <-im.reading.Done():
			return im.whyStopped()
		}
	}
	if im.stopping.Load() {
		return im.whyStopped()
	}
	return nil
}

// settledLook is how often WaitSettled looks.
const settledLook = time.Millisecond

// Flush hands over the batches that are not full, as fast as the rate allows. A
// reader of a slow source calls it before it waits; if it does so from another
// goroutine, f's must be waiting for that reader.
func (f *Feeder) Flush() {
	if f.encoders != nil {
		_ = f.encoders.settle() // an error stops the import
	}
	f.flush()
}

// flush hands over the batches that f itself fills.
func (f *Feeder) flush() {
	for m := range f.filling {
		_ = f.handOver(m) // an error stops the import
	}
	f.publish()
}

// publish lets Snapshot see the counts.
func (f *Feeder) publish() {
	f.im.stats.addFeed(&f.counts)
	f.im.memory.hold(&f.held, f.size())
}

// key renders one key. This is the path of every key: it allocates nothing,
// takes no lock and asks no clock.
func (f *Feeder) key(e *rdbparse.Entry) error {
	if e.Offset < f.from {
		return nil
	}
	f.met++
	f.counts.read++
	if f.source.changes(e) {
		if err := f.changeDB(e); err != nil {
			return f.unread(err)
		}
	}
	if f.source.leavesOut(e) {
		f.counts.filtered++
		return nil
	}
	if e.Big {
		return f.big(e)
	}
	out, ttl, size := e, int64(0), f.form.room(e)
	if e.Expires || size > f.im.target.maxCommand || f.im.target.needsCare(e) {
		var err error
		if out, err = f.sendable(e); out == nil {
			if err == errInPieces {
				return f.inPieces(e)
			}
			return err
		}
		ttl, size = f.im.ttl(out), f.form.room(out)
	}
	var slot uint16
	if len(f.form.prefix) == 0 {
		slot = slotter.Slot(e.Key)
	} else {
		slot = f.form.prefix.slot(e.Key)
	}
	if r := f.im.routes.Load(); r != f.routes {
		f.adopt(r)
	}
	m := int(f.owner[slot])
	if m == manyMasters {
		m = int(f.routes.owner[slot])
	}
	b := &f.filling[m]
	if len(b.buf)+size > cap(b.buf) { // or there is none
		if err := f.nextBatch(m, size, e.Offset); err != nil {
			return f.unread(err)
		}
	}
	n := len(b.buf)
	n += f.form.putRestore(b.buf[n:cap(b.buf)], out, ttl)
	b.buf = b.buf[:n]
	b.cmds = append(b.cmds, command{offset: e.Offset, end: uint32(n)})
	prefetch.Ahead(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b.buf)), n), unsafe.Pointer(unsafe.SliceData(b.cmds[len(b.cmds):])))
	if out != e {
		b.noteOrigin(e, out)
	}
	if n > f.im.fullBytes || len(b.cmds) >= f.im.fullKeys {
		return f.handOver(m) // if it is larger than others, it must not wait while it holds so much memory
	}
	return nil
}

// sendable returns what is sent of an entry that is held: itself, or what it is
// converted to. It returns nil if that is nothing: e is then counted, unless the error
// is errInPieces. An entry that does not expire, has no more bytes than a command may
// have and needs no care is sent as it stands.
func (f *Feeder) sendable(e *rdbparse.Entry) (*rdbparse.Entry, error) {
	if f.im.clock.expired(e) {
		f.counts.expired++ // whatever else is the matter with it
		return nil, nil
	}
	out := e
	if f.im.target.needsCare(e) {
		var err error
		if out, err = f.convert(e); out == nil {
			return nil, err
		}
	}
	if f.form.room(out) > f.im.target.maxCommand {
		f.refuse(e, "the value is larger than one command may be on the target")
		return nil, nil
	}
	return out, nil
}

// end returns the batch that was being filled, nil if there is none.
func (to *filling) end() *batch {
	b := to.batch
	if b != nil {
		b.buf, b.cmds, b.open = to.buf, to.cmds, len(to.cmds)
		*to = filling{}
	}
	return b
}

// handOver gives the batch being filled for a master to its lane.
func (f *Feeder) handOver(m int) error {
	b := f.filling[m].end()
	if b == nil {
		return nil
	}
	f.im.memory.hold(&b.held, b.size())
	err := f.im.limit(len(b.buf), len(b.cmds), f.peers)
	b.given = time.Now()
	b.lane.queue.put(b)
	f.publish()
	return err
}

// nextBatch hands over the batch being filled for a master and begins one that
// has room for size bytes, of an entry at offset.
func (f *Feeder) nextBatch(m, size int, offset int64) error {
	if err := f.handOver(m); err != nil {
		return err
	}
	b, err := f.takeBatch(size)
	if err != nil {
		return err
	}
	b.lane = f.laneFor(m)
	b.feeder.Store(f.origin)
	b.low.Store(offset)
	f.filling[m] = filling{buf: b.buf, cmds: b.cmds, batch: b}
	return nil
}

// takeBatch takes a batch from the pool and gives it room for size bytes. There
// are more batches than can be open in all Feeders, and none that is open holds
// memory for large commands, so what is waited for comes sooner or later.
func (f *Feeder) takeBatch(size int) (*batch, error) {
	im := f.im
	var b *batch
	select {
	case b = <-im.pool:
	default:
		im.deepen()
		from := time.Now()
		select {
		case b = <-im.pool:
			f.waited(from)
		case <-im.reading.Done():
			return nil, im.whyStopped()
		}
	}
	switch {
	case size > im.batchSize:
		from := time.Now()
		buf, room, err := im.large.take(im.reading, size)
		if err != nil {
			im.pool <- b
			return nil, im.whyStopped()
		}
		f.waited(from)
		b.own, b.buf, b.large = b.buf, buf, room
	case cap(b.buf) == 0:
		b.buf = make([]byte, 0, im.batchSize)
	}
	im.memory.hold(&b.held, b.size())
	return b, nil
}

// waited counts the time since from, in which f waited for masters. Feeders of one
// dump wait together.
func (f *Feeder) waited(from time.Time) {
	f.im.stats.waited.Add(int64(time.Since(from)) / int64(max(f.peers, 1)))
}

// manyMasters is what Feeder.owner holds where it has no room for the index.
const manyMasters = 255

// adopt makes r the routes by which f sends. What is in open batches goes to
// where it was meant to go, and comes back with MOVED if that is wrong.
func (f *Feeder) adopt(r *routes) {
	f.flush()
	f.routes = r
	n := len(r.masters)
	f.lanes = make([]*lane, n)
	f.turn = make([]int, n)
	f.filling = make([]filling, n)
	for slot, m := range r.owner {
		f.owner[slot] = uint8(min(m, manyMasters))
	}
}
