package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// verifyFeed is where the goroutine that calls Check stands.
type verifyFeed struct {
	source databases
	only   claim
	db     uint32 // on the target

	databases knownDatabases
	prefix    prefix
	routes    *routes
	lanes     map[place]*verifyLane
	turn      int
	filling   []*verifyBatch // by master, nil if none
	met       int64          // keys of this source
	wait      *verifyWait    // of values that are compared in ranges
}

func (f *verifyFeed) init(v *Verifier) {
	f.source.many, f.only.why = v.severalDatabases(), OneDatabase(v.cluster)
	f.db = v.db
	f.lanes = make(map[place]*verifyLane)
	f.wait = v.waits.add(MasterSilent)
	f.adopt(v.routes.Load())
}

func (f *verifyFeed) adopt(r *routes) {
	f.routes = r
	f.filling = make([]*verifyBatch, len(r.masters))
}

// severalDatabases reports whether each database of the dump has one of its own
// on the target.
func (v *Verifier) severalDatabases() bool {
	return OneDatabase(v.cluster) == ""
}

// A verifyBatch holds keys and values of the dump until the target's are there.
type verifyBatch struct {
	place place
	buf   []byte
	keys  []verifyKey
	large int64 // bytes taken for a large value
}

// A verifyKey is one key of a batch. Its bytes lie in the batch's buffer, the
// value with its type before it, as in a payload.
type verifyKey struct {
	typ              *rdbparse.TypeInfo
	key, value, end  int32 // where they begin in the buffer; the value's fields end at end
	meta, fields     int32 // bytes of KEY_META before the type, of the fields behind the value
	settled, expires bool
	long             bool // the target's value is too long to be held
	big, faded       bool // its value is not held; all of its fields may have expired
	expireAt         int64
	offset           int64
}

func (b *verifyBatch) key(i int) []byte { return b.buf[b.keys[i].key:b.keys[i].value] }

// bytes is the value as it stands in a payload.
func (b *verifyBatch) bytes(i int) []byte {
	k := &b.keys[i]
	return b.buf[k.value : k.end-k.fields]
}

// value is the value for a comparison in meaning.
func (b *verifyBatch) value(i int) element.Value {
	k := &b.keys[i]
	v := element.Value{Type: k.typ, Raw: b.buf[k.value+k.meta+1 : k.end-k.fields]}
	if k.meta > 0 {
		v.Meta = b.buf[k.value : k.value+k.meta]
	}
	if k.fields > 0 {
		v.Fields = b.buf[k.end-k.fields : k.end]
	}
	return v
}

// add copies an entry.
func (b *verifyBatch) add(prefix []byte, e *rdbparse.Entry) {
	k := verifyKey{typ: e.Type, expires: e.Expires, expireAt: e.ExpireAt, offset: e.Offset, key: int32(len(b.buf))}
	b.buf = append(b.buf, prefix...)
	b.buf = append(b.buf, e.Key...)
	k.value, k.meta, k.fields = int32(len(b.buf)), int32(len(e.Meta)), int32(len(e.Fields))
	b.buf = append(b.buf, e.Meta...)
	b.buf = append(b.buf, e.Type.Type.Byte())
	b.buf = append(b.buf, e.Value...)
	b.buf = append(b.buf, e.Fields...)
	k.end = int32(len(b.buf))
	b.keys = append(b.keys, k)
}

// Check compares all entries that sc has. It returns when the last one is on its
// way: see Close. The error is the scanner's, or the one that ended the
// comparison.
func (v *Verifier) Check(sc *rdbparse.Scanner) error {
	defer v.Flush()
	for sc.Next() {
		e := sc.Entry()
		var err error
		switch e.Record {
		case rdbparse.RecordKey:
			err = v.checkKey(sc)
		case rdbparse.RecordFunction:
			err = v.checkFunction(e)
		}
		if err != nil {
			if !errors.Is(err, ErrStopped) {
				v.fail(err)
			}
			return err
		}
	}
	return sc.Err()
}

// NewSource tells v that the next entries are of another dump.
func (v *Verifier) NewSource() { v.feed.source.begun, v.feed.met = false, 0 }

// KeysRead returns how many keys of the present source have been met.
func (v *Verifier) KeysRead() int64 { return v.feed.met }

// Flush has the keys compared that wait for others. A reader of a slow source
// calls it before it waits.
func (v *Verifier) Flush() {
	for m, b := range v.feed.filling {
		if b != nil {
			v.feed.filling[m] = nil
			v.lane(b.place).todo <- b // has room for all there are
		}
	}
}

// checkKey puts one key into a batch.
func (v *Verifier) checkKey(sc *rdbparse.Scanner) error {
	e := sc.Entry()
	f := &v.feed
	if f.source.changes(e) {
		p, err := f.source.next(e, v.opts.Databases, v.db, &f.only)
		if err != nil {
			return err
		}
		if p.db != f.db {
			if err := f.databases.find(v.ctx, v.cluster, v.routes.Load(), p.db); err != nil {
				return fmt.Errorf("key %q: %w", e.Key, err)
			}
			v.Flush()
		}
		f.db, f.prefix = p.db, append(f.prefix[:0], p.prefix...)
	}
	f.met++
	v.counts.read.Add(1)
	if f.source.leavesOut(e) {
		v.counts.filtered.Add(1)
		return nil
	}
	slot := f.prefix.slot(e.Key)
	if !v.sampled(slot) {
		v.counts.skipped.Add(1)
		return nil
	}
	if v.hashes != nil {
		v.hashes.add(f.db, f.prefix, e.Key)
	}
	size := len(f.prefix) + len(e.Key) + len(e.Meta) + 1 + len(e.Value) + len(e.Fields)
	if e.Big {
		return v.checkBig(e, sc.BigValue())
	}
	if r := v.routes.Load(); r != f.routes {
		v.Flush()
		f.adopt(r)
	}
	m := f.routes.owner[slot]
	b := f.filling[m]
	if b == nil || len(b.buf)+size > cap(b.buf) {
		var err error
		if b, err = v.nextBatch(int(m), size); err != nil {
			v.counts.read.Add(-1)
			return err
		}
	}
	b.add(f.prefix, e)
	if size > v.batch {
		f.filling[m] = nil
		v.lane(b.place).todo <- b
	}
	return nil
}

// sampled reports whether keys of a slot are compared. The slots are spread
// evenly.
func (v *Verifier) sampled(slot uint16) bool { return int(slot)*v.sample%slotter.Slots < v.sample }

// nextBatch hands over the batch being filled for a master and returns one that
// has room for size bytes.
func (v *Verifier) nextBatch(m, size int) (*verifyBatch, error) {
	f := &v.feed
	if b := f.filling[m]; b != nil {
		f.filling[m] = nil
		v.lane(b.place).todo <- b
	}
	b, err := v.takeBatch(size)
	if err != nil {
		return nil, err
	}
	f.turn = (f.turn + 1) % v.opts.Lanes
	b.place = place{f.routes.masters[m], f.db, f.turn}
	f.filling[m] = b
	return b, nil
}

// takeBatch takes a batch from the pool. While it waits nothing is held back, so
// that all batches there are come back to it in the end.
func (v *Verifier) takeBatch(size int) (*verifyBatch, error) {
	if v.reading.Err() != nil {
		return nil, v.whyStopped()
	}
	var b *verifyBatch
	select {
	case b = <-v.pool:
	default:
		v.Flush()
		select {
		case b = <-v.pool:
		case <-v.reading.Done():
			return nil, v.whyStopped()
		}
	}
	switch {
	case size > v.batch:
		v.Flush()
		b.large = min(int64(size), v.most)
		if err := v.large.Acquire(v.reading, b.large); err != nil {
			b.large = 0
			v.pool <- b
			return nil, v.whyStopped()
		}
		b.buf = make([]byte, 0, size)
	case cap(b.buf) == 0:
		b.buf = make([]byte, 0, v.batch)
	}
	return b, nil
}

// put gives a batch back.
func (v *Verifier) put(b *verifyBatch) {
	if b.large > 0 {
		v.large.Release(b.large)
		b.large, b.buf = 0, nil
	}
	b.buf, b.keys = b.buf[:0], b.keys[:0]
	v.pool <- b
}

func (v *Verifier) whyStopped() error {
	return fmt.Errorf("comparison stopped: %w", context.Cause(v.reading))
}

// lane returns the lane to a place, and starts it if there is none yet.
func (v *Verifier) lane(p place) *verifyLane {
	l := v.feed.lanes[p]
	if l == nil {
		l = &verifyLane{v: v, place: p, todo: make(chan *verifyBatch, cap(v.pool)), wait: v.waits.add(MasterSilent)}
		v.feed.lanes[p] = l
		v.lanes.Go(l.run)
	}
	return l
}

func (f *verifyFeed) closeLanes() {
	for _, l := range f.lanes {
		close(l.todo)
	}
}
