package element

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

// A note is a copy of an element that is to be looked at more closely, with its
// long parts cut.
type note struct {
	kind            Kind
	sum             Digest
	key, value      []byte
	size            int // of the whole value
	group, consumer []byte
	el              Element // its numbers
}

// Bounds on what is kept for finding a difference.
const (
	maxNotes   = 1 << 16 // elements of one bucket
	perBucket  = 1 << 10 // elements that a bucket should have
	maxBuckets = 1 << 16
)

// locate finds a difference between two values of about n elements without order
// whose digests differ. It does so in two passes: the first adds the elements up
// by buckets, the second keeps those of the first bucket that differs. So the
// memory is bounded however many there are.
func (c Comparer) locate(a, b Value, n uint64) (Difference, error) {
	shift := min(bits.Len64(n/perBucket), bits.Len(maxBuckets-1))
	mask := uint64(1)<<shift - 1
	buckets := make([]Digest, mask+1)
	err := c.eachOf(a, b, func(second bool, d *Digester, _ *Element) {
		bucket := &buckets[d.bucket()&mask]
		if second {
			bucket.sub(d.hash())
		} else {
			bucket.add(d.hash())
		}
	})
	if err != nil {
		return Difference{}, err
	}
	want := uint64(0)
	for want < mask && buckets[want] == (Digest{}) {
		want++
	}
	var notes [2]map[string]note
	notes[0], notes[1] = map[string]note{}, map[string]note{}
	err = c.eachOf(a, b, func(second bool, d *Digester, el *Element) {
		side := 0
		if second {
			side = 1
		}
		if d.bucket()&mask == want && len(notes[side]) < maxNotes {
			notes[side][string(d.kind)+string(d.id)] = d.note(el)
		}
	})
	if err != nil || len(notes[0]) == maxNotes || len(notes[1]) == maxNotes {
		return Difference{"elements"}, err
	}
	return firstOf(notes[0], notes[1]), nil
}

// bucket returns a number that spreads elements over buckets, the same in every
// run, so that the same difference is told every time.
func (d *Digester) bucket() uint64 { return crc64.Update(uint64(d.kind), d.id) }

// eachOf calls f for every element of both values that is compared.
func (c Comparer) eachOf(a, b Value, f func(second bool, d *Digester, el *Element)) error {
	for i, v := range []Value{a, b} {
		d := c.Digester(a.Type, b.Type)
		r := Open(v)
		for r.Next() {
			if k := r.Element().Kind; k != Entry && k != Stream && d.canon(r.Element()) {
				f(i == 1, d, r.Element())
			}
		}
		if r.Err() != nil {
			return r.Err()
		}
	}
	return nil
}

func (d *Digester) note(el *Element) note {
	return note{
		kind: d.kind, sum: d.hash(), key: cut(el.Key), value: cut(el.Value), size: len(el.Value),
		group: cut(d.group), consumer: cut(d.consumer),
		el: Element{Score: el.Score, ExpireAt: el.ExpireAt, Index: el.Index, ID: el.ID,
			Read: el.Read, Time: el.Time, Active: el.Active, Count: el.Count},
	}
}

// firstOf returns the difference that comes first in the order of the names.
func firstOf(a, b map[string]note) Difference {
	var first string
	found := false
	consider := func(name string) {
		if !found || name < first {
			first, found = name, true
		}
	}
	for name, x := range a {
		if y, ok := b[name]; !ok || x.sum != y.sum {
			consider(name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			consider(name)
		}
	}
	x, inA := a[first]
	y, inB := b[first]
	switch {
	case !found: // the same elements, some of them more than once
		return Difference{"elements that repeat"}
	case !inB:
		return differ("%s is missing", x.name())
	case !inA:
		return differ("%s is extra", y.name())
	}
	return Difference{x.against(y)}
}

// name says which element it is.
func (n note) name() string {
	switch n.kind {
	case Member, Scored:
		return "member " + quote(n.key)
	case Field:
		return "field " + quote(n.key)
	case Slot:
		return fmt.Sprintf("element %d of the array", n.el.Index)
	case Group:
		return "group " + quote(n.group)
	case Pending:
		return fmt.Sprintf("pending entry %v of group %s", n.el.ID, quote(n.group))
	case Consumer:
		return fmt.Sprintf("consumer %s of group %s", quote(n.consumer), quote(n.group))
	case Owned:
		return fmt.Sprintf("entry %v pending with consumer %s of group %s", n.el.ID, quote(n.consumer), quote(n.group))
	case Returned:
		return fmt.Sprintf("entry %v given back to group %s", n.el.ID, quote(n.group))
	case Producer:
		return "producer " + quote(n.consumer)
	case Produced:
		return fmt.Sprintf("id %s of producer %s", quote(n.key), quote(n.consumer))
	}
	return "record of idempotent producers"
}

// against says how two elements of the same name differ.
func (n note) against(m note) string {
	x, y := &n.el, &m.el
	switch n.kind {
	case Scored:
		return fmt.Sprintf("score of %s: %s against %s", n.name(), number(x.Score), number(y.Score))
	case Field:
		if x.ExpireAt != y.ExpireAt {
			return fmt.Sprintf("expiry of %s: %s against %s", n.name(), expiry(x.ExpireAt), expiry(y.ExpireAt))
		}
		return fmt.Sprintf("value of %s: %s", n.name(), n.values(m))
	case Slot:
		return fmt.Sprintf("%s: %s", n.name(), n.values(m))
	case Group:
		if x.ID != y.ID {
			return fmt.Sprintf("last id of %s: %v against %v", n.name(), x.ID, y.ID)
		}
		return fmt.Sprintf("entries read by %s: %d against %d", n.name(), int64(x.Read), int64(y.Read))
	case Pending:
		if x.Count != y.Count {
			return fmt.Sprintf("deliveries of %s: %d against %d", n.name(), x.Count, y.Count)
		}
		return fmt.Sprintf("delivery time of %s: %d against %d", n.name(), x.Time, y.Time)
	case Consumer:
		if x.Time != y.Time {
			return fmt.Sprintf("seen time of %s: %d against %d", n.name(), x.Time, y.Time)
		}
		return fmt.Sprintf("active time of %s: %d against %d", n.name(), x.Active, y.Active)
	}
	return n.name()
}

// values shows two values that differ, perhaps only where they have been cut.
func (n note) values(m note) string {
	if bytes.Equal(n.value, m.value) {
		return fmt.Sprintf("behind the first %d of %d against %d bytes", len(n.value), n.size, m.size)
	}
	return against(n.value, m.value)
}

func number(score float64) string {
	if math.IsInf(score, 0) {
		return strconv.FormatFloat(score, 'g', -1, 64)
	}
	return strconv.FormatFloat(score, 'g', 17, 64)
}

func expiry(at int64) string {
	if at == 0 {
		return "none"
	}
	return strconv.FormatInt(at, 10)
}

// maxQuoted is the most bytes of a name or value that a message shows.
const maxQuoted = 64

// cut returns a copy of what a message may show of p, and one byte more if there
// is more.
func cut(p []byte) []byte { return append([]byte(nil), p[:min(len(p), maxQuoted+1)]...) }

// quote returns p in quotes, cut to a sane length.
func quote(p []byte) string {
	if len(p) > maxQuoted {
		return strconv.Quote(string(p[:maxQuoted])) + "..."
	}
	return strconv.Quote(string(p))
}

// against shows two texts that differ, from shortly before where they do.
func against(a, b []byte) string {
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	if same <= maxQuoted/2 {
		return quote(a) + " against " + quote(b)
	}
	from := same - maxQuoted/4
	return fmt.Sprintf("from byte %d on %s against %s (of %d and %d bytes)", from, quote(a[from:]), quote(b[from:]), len(a), len(b))
}
