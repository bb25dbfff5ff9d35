package pipeline

import (
	"cmp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// encoders let one goroutine find the entries of a dump while others render
// them. The one that scans copies entries into chunks, which go round:
//
//	free ──► Feeder.share ──► full ──► an encoder's Feeder.key ──► free
//
// Whoever holds all chunks knows that nothing is being rendered, and may touch
// the encoders' Feeders until it gives them back: see settle.
//
// Encoders overtake each other, so a Mark goes by what has not left its chunk, too. The
// entries that one encoder is given stand in the dump one behind the other, and so do the
// commands of each batch that it fills.
//
// One Feeder at a time has the encoders. Where several sources are read at once,
// the others render for themselves, and fill the processors with that.
type encoders struct {
	im        *Importer
	chunkSize int // bytes of keys and values in a chunk
	chunks    []*chunk
	taken     atomic.Bool // by a Feeder

	each []*encoder
	free chan *chunk // nil before they are used
	full chan *chunk // made for each dump, and closed at its end
	work sync.WaitGroup

	// Of the Feeder that has them.
	owner   *Feeder
	filling *chunk // nil if none
	idle    []*chunk

	// failedAt is the offset of the first entry that stops the import, none if
	// there is none. Entries before it are still rendered, as they would be by a
	// single goroutine.
	failedAt atomic.Int64
	mu       sync.Mutex
	failure  error // guarded by mu
}

// An encoder is one goroutine that renders entries.
type encoder struct {
	set   *encoders
	f     *Feeder
	entry rdbparse.Entry
	left  int64 // entries that it was given and did not come to
}

// A chunk holds copies of entries.
type chunk struct {
	buf  []byte
	keys []packed

	// low is the offset in the dump of the first of them until all are in batches or
	// settled, none if there is none. It is read by others.
	low atomic.Int64
}

// packed is an Entry whose bytes stand in a chunk, behind those of the one before.
type packed struct {
	typ                      *rdbparse.TypeInfo
	offset, expireAt, idle   int64
	key, value, meta, fields int32 // bytes; -1 stands for nil
	db                       uint32
	freq                     int16
	expires                  bool
}

const packedSize = int(unsafe.Sizeof(packed{}))

// Sizes of chunks. A chunk is large enough that handing it on is no cost, and so
// small that what goes round stays in a processor's cache.
const (
	maxChunk = 128 << 10
	minChunk = 8 << 10
	// leastEntry is how many bytes of keys and values there are for each entry
	// that a chunk has room for.
	leastEntry = 64
	// chunksPerEncoder is how many chunks there are for each encoder: one that it
	// renders, and one that is next. Two more are on the scanner's side.
	chunksPerEncoder = 2
	chunksBeside     = 2
	// chunkShare is the part of the budget that chunks may take.
	chunkShare = 8
)

// Bounds of the number of encoders that is chosen. One that scans keeps 2 or 3
// busy, and the lanes and, on the same machine, the servers want processors too.
const (
	leastProcessors = 4 // below which there are none
	autoEncoders    = 4
	mostEncoders    = 64
	// A rate below these, in bytes and keys a second, one goroutine keeps, whatever
	// the values and the processor.
	leastRate     = 128 << 20
	leastRateKeys = 500_000
	// leastMasters is the number of masters below which there are none: a single
	// goroutine renders 4 million common keys a second, 10 and more of small ones,
	// more than that many masters take, and in all it needs the least time.
	leastMasters = 8
	// encoderBatch is the least size of a batch to which more than one encoder may
	// lead: each of them fills one for each lane.
	encoderBatch = 16 << 10
)

// encoders returns how many goroutines are to render entries beside the one that
// scans. There are none where entries must be sent in order, because two keys of a
// dump can be given one name, of which the last wins.
func (o Options) encoders(masters int) int {
	switch {
	case o.Databases.collide():
		return 0
	case o.Encoders != 0:
		return min(max(o.Encoders, 0), mostEncoders)
	case o.Rate > 0 && o.Rate < leastRate || o.RateKeys > 0 && o.RateKeys < leastRateKeys:
		return 0
	}
	procs := runtime.GOMAXPROCS(0)
	if procs < leastProcessors || masters < leastMasters {
		return 0
	}
	n := min(autoEncoders, procs/2)
	for n > 1 && o.Memory/2/int64((batchesPerLane+n)*masters*o.lanes()) < encoderBatch {
		n--
	}
	return n
}

// collide reports whether keys of two databases can be given the same name.
func (d Databases) collide() bool {
	if d.Only != AllDatabases || !d.Merge && d.Prefix == "" {
		return false
	}
	// What comes behind the number has to end it, so that names differ.
	_, behind, numbered := strings.Cut(d.Prefix, "%d")
	return !numbered || behind == "" || behind[0] == '%' || behind[0] >= '0' && behind[0] <= '9'
}

// newEncoders returns n encoders for im, nil if that is none or the budget has no
// room for them.
func newEncoders(im *Importer, n int) *encoders {
	chunks := chunksPerEncoder*n + chunksBeside
	each := im.opts.Memory / chunkShare / int64(chunks)
	size := min(int(each)*leastEntry/(leastEntry+packedSize), maxChunk)
	if n <= 0 || size < minChunk {
		return nil
	}
	t := &encoders{im: im, chunkSize: size, each: make([]*encoder, n)}
	for range chunks {
		c := &chunk{}
		c.low.Store(none)
		t.chunks = append(t.chunks, c)
	}
	return t
}

// count returns how many encoders there are; t may be nil.
func (t *encoders) count() int {
	if t == nil {
		return 0
	}
	return len(t.each)
}

// room returns how many bytes the chunks take; t may be nil.
func (t *encoders) room() int64 {
	if t == nil {
		return 0
	}
	return int64(len(t.chunks)) * int64(t.chunkSize+t.chunkSize/leastEntry*packedSize)
}

// low returns the least offset of an entry that may still be in a chunk, none if there is
// none; t may be nil.
func (t *encoders) low() int64 {
	low := int64(none)
	if t != nil {
		for _, c := range t.chunks {
			low = min(low, c.low.Load())
		}
	}
	return low
}

// begin gives the encoders to f for one dump. It returns nil if there are none, or
// another Feeder has them.
func (t *encoders) begin(f *Feeder) *encoders {
	if t == nil || !t.taken.CompareAndSwap(false, true) {
		return nil
	}
	if t.free == nil {
		t.build()
	}
	t.owner, t.failure = f, nil
	t.failedAt.Store(none)
	full := make(chan *chunk, len(t.chunks))
	t.full = full
	for _, w := range t.each {
		w.f.origin = f
		t.work.Go(func() {
			for c := range full {
				w.encode(c)
				t.free <- c
			}
		})
	}
	return t
}

// build gives chunks their memory, and makes Feeders.
func (t *encoders) build() {
	t.free = make(chan *chunk, len(t.chunks))
	t.idle = make([]*chunk, 0, len(t.chunks))
	for _, c := range t.chunks {
		c.buf, c.keys = make([]byte, 0, t.chunkSize), make([]packed, 0, t.chunkSize/leastEntry)
		t.free <- c
	}
	t.im.memory.add(t.room())
	for i := range t.each {
		w := &encoder{set: t, f: t.im.NewFeeder()}
		w.f.peers = len(t.each)
		t.each[i] = w
	}
}

// end waits until all is rendered and handed over, ends the goroutines, and gives
// the encoders back. err is what ended the scan; an error of an encoder comes
// before it, since the entry stands before the place that was scanned.
func (t *encoders) end(err error) error {
	err = cmp.Or(t.settle(), err)
	close(t.full)
	t.work.Wait()
	t.owner = nil
	t.taken.Store(false)
	return err
}

// settle waits until all that was shared is rendered, and hands over the batches
// that are not full. The error is the one for which an encoder stops the import.
func (t *encoders) settle() error {
	if c := t.filling; c != nil {
		t.filling = nil
		t.full <- c
	}
	// It does not wait for ever: when the import stops, encoders wait for no batch.
	for range t.chunks {
		t.idle = append(t.idle, <-t.free)
	}
	for _, w := range t.each {
		t.owner.met -= w.left
		w.left = 0
		w.f.flush()
	}
	for _, c := range t.idle {
		t.free <- c
	}
	t.idle = t.idle[:0]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failure != nil {
		t.im.fail(t.failure)
	}
	return t.failure
}

// fail notes that the entry at offset stops the import because of err. The
// earliest one counts.
func (t *encoders) fail(offset int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if offset < t.failedAt.Load() {
		t.failure = err
		t.failedAt.Store(offset)
	}
}

// share gives one key to the encoders. Like Feeder.key it allocates nothing. Keys
// for which this goroutine has to decide something it renders itself: the first of
// a database, as the second database may be one too many; those that are left out;
// those that are Big, and those that no chunk has room for.
func (f *Feeder) share(e *rdbparse.Entry) error {
	if f.source.ignored || e.Offset < f.from {
		return f.key(e)
	}
	t, size := f.encoders, entrySize(e)
	if e.Big || size > t.chunkSize || f.source.changes(e) {
		err := f.key(e)
		f.flush() // it is long until another one comes
		return err
	}
	c := t.filling
	if c == nil || !c.fits(size) {
		if c != nil {
			t.filling = nil
			t.full <- c
		}
		if t.failedAt.Load() != none {
			return t.settle()
		}
		c = <-t.free
		c.low.Store(e.Offset) // before a mark behind e is passed
		t.filling = c
	}
	f.met++
	c.add(e)
	return nil
}

// entrySize is how many bytes of a chunk's buffer e takes.
func entrySize(e *rdbparse.Entry) int {
	return len(e.Key) + len(e.Value) + len(e.Meta) + len(e.Fields)
}

// fits reports whether c has room for one more entry, of size bytes.
func (c *chunk) fits(size int) bool {
	return len(c.buf)+size <= cap(c.buf) && len(c.keys) < cap(c.keys)
}

func (c *chunk) empty() { c.buf, c.keys = c.buf[:0], c.keys[:0] }

// add copies e into c, which has room for it.
func (c *chunk) add(e *rdbparse.Entry) {
	k := packed{
		typ: e.Type, offset: e.Offset, expireAt: e.ExpireAt, idle: e.Idle,
		key: int32(len(e.Key)), value: int32(len(e.Value)), meta: -1, fields: -1,
		db: e.DB, freq: e.Freq, expires: e.Expires,
	}
	b := append(append(c.buf, e.Key...), e.Value...)
	if e.Meta != nil {
		k.meta = int32(len(e.Meta))
		b = append(b, e.Meta...)
	}
	if e.Fields != nil {
		k.fields = int32(len(e.Fields))
		b = append(b, e.Fields...)
	}
	c.buf, c.keys = b, append(c.keys, k)
}

// encode renders the entries of c and empties it. When the import stops the rest
// of them are left, and an import that goes on from a Mark must meet these again.
func (w *encoder) encode(c *chunk) {
	t, f, e := w.set, w.f, &w.entry
	met, rest := f.met, c.buf
	for i := range c.keys {
		k := &c.keys[i]
		if k.offset >= t.failedAt.Load() || t.im.stopping.Load() {
			t.im.marks.keepBelow(k.offset)
			break
		}
		rest = k.unpack(e, rest)
		if err := f.key(e); err != nil {
			t.im.marks.keepBelow(k.offset)
			t.fail(k.offset, err)
			break
		}
	}
	w.left += int64(len(c.keys)) - (f.met - met)
	c.empty()
	c.low.Store(none)
}

// unpack makes e the entry that k was made of. Its bytes begin b; what follows
// them is returned.
func (k *packed) unpack(e *rdbparse.Entry, b []byte) []byte {
	e.DB, e.Type, e.Offset = k.db, k.typ, k.offset
	e.Expires, e.ExpireAt, e.Idle, e.Freq = k.expires, k.expireAt, k.idle, k.freq
	e.Key, b = b[:k.key:k.key], b[k.key:]
	e.Value, b = b[:k.value:k.value], b[k.value:]
	e.Meta, e.Fields = nil, nil
	if k.meta >= 0 {
		e.Meta, b = b[:k.meta:k.meta], b[k.meta:]
	}
	if k.fields >= 0 {
		e.Fields, b = b[:k.fields:k.fields], b[k.fields:]
	}
	return b
}
