package pipeline

import (
	"context"
	"math"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"golang.org/x/sync/semaphore"
)

// dumps is the memory for replies to DUMP that are not, byte for byte, what stands in the
// dump: they have to be held to be compared in meaning. The value of a key that exists may
// have any size, however small that in the dump is.
type dumps struct {
	most   int64 // bytes in all
	free   *semaphore.Weighted
	counts *memory // nil if nobody counts
}

// dumpsShare is the part of the budget that they may take.
const dumpsShare = 8

func newDumps(memory int64, counts *memory) *dumps {
	most := max(memory/dumpsShare, 1)
	return &dumps{most: most, free: semaphore.NewWeighted(most), counts: counts}
}

// A dump is a reply to DUMP.
type dump struct {
	refused string // the error that it is
	gone    bool   // there is no such key
	same    bool   // the value is that of the dump, byte for byte
	have    []byte // else what the reply is, until it is given back
	long    bool   // or it is too long to be held

	room int64 // to be given back
}

// read reads a reply to DUMP about a key that stands in the dump with the bytes want, the
// type before it included. What is the same there as here is not held.
func (t *dumps) read(ctx context.Context, r *replyReader, want []byte) (d dump, err error) {
	rep, n, err := r.head()
	switch {
	case err != nil:
		return d, err
	case rep.kind == '-':
		d.refused = string(rep.text)
		return d, nil
	case rep.null:
		d.gone = true
		return d, nil
	}
	same, err := r.common(want, n)
	if err != nil {
		return d, err
	}
	left := n - int64(same)
	if same == len(want) && left == rdbparse.FooterSize {
		d.same = true
		return d, r.discard(left)
	}
	if n > t.most {
		d.long = true
		return d, r.discard(left)
	}
	if n > replyBuffer {
		if err := t.free.Acquire(ctx, n); err != nil {
			return d, err
		}
		t.took(&d, n)
	}
	if err = r.rest(want[:same], int(n)); err != nil {
		t.give(&d)
		return d, err
	}
	d.have = r.big
	return d, nil
}

// took notes that d has taken n bytes.
func (t *dumps) took(d *dump, n int64) {
	d.room += n
	if t.counts != nil {
		t.counts.add(n)
	}
}

// give gives back what d holds.
func (t *dumps) give(d *dump) {
	if d.have = nil; d.room > 0 {
		t.free.Release(d.room)
		t.took(d, -d.room)
	}
}

// unpack takes the room for opening want and what d has: parts that are compressed, of both
// the longest. It reports false, and gives back what d holds, where that is too much.
func (t *dumps) unpack(d *dump, want element.Value) bool {
	most := int64(0)
	if len(want.Raw) > replyBuffer {
		most = rdbparse.Unpacked(want.Type, want.Raw)
	}
	if len(d.have) > replyBuffer {
		if v, err := element.ParsePayload(d.have); err == nil { // else it is not opened
			most = max(most, rdbparse.Unpacked(v.Type, v.Raw))
		}
	}
	if most > replyBuffer {
		if most > math.MaxInt64/2 || !t.free.TryAcquire(2*most) { // to wait would be with what others wait for
			t.give(d)
			d.long = true
			return false
		}
		t.took(d, 2*most)
	}
	return true
}
