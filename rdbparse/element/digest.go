package element

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A Digest stands for the meaning of a value within this process: it is the same
// for the same elements, whatever their encoding and, where order has no meaning,
// their order. Digests are compared with ==.
//
// It is a sum of 128-bit hashes of the elements, keyed with seeds that are drawn
// when the process starts and never leave it. So nobody can build two values that
// collide, and two that differ by chance do so with a probability of about
// 2^-128, far below that of an undetected memory error.
type Digest struct{ n, a, b uint64 }

func (d *Digest) add(h Digest) { d.n, d.a, d.b = d.n+h.n, d.a+h.a, d.b+h.b }
func (d *Digest) sub(h Digest) { d.n, d.a, d.b = d.n-h.n, d.a-h.a, d.b-h.b }

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// features are what two encodings of a stream have in common; only that can be
// compared.
type features struct {
	offsets, active, idempotence, returned bool
	// orphans: entries that a consumer has given back stand on one side as such
	// and on the other with NackConsumer.
	orphans bool
}

func (c Comparer) common(a, b rdbparse.Type) features {
	low := min(a, b)
	return features{
		offsets: hasOffsets(low) && !c.NoOffsets, active: hasActiveTime(low), idempotence: hasIdempotence(low),
		returned: hasReturned(low), orphans: hasReturned(a) != hasReturned(b),
	}
}

// A Digester makes the Digest of a value of its elements, in constant memory. Two
// digests can be compared only if they were made with the same Comparer and the
// same pair of types.
type Digester struct {
	opts  Comparer
	feats features
	sum   Digest

	// What is being added, in a form that is the same for every encoding.
	kind  Kind
	id    []byte    // what tells it from its neighbours
	value []byte    // what it holds as bytes
	pairs [][]byte  // of an entry
	rest  [3]uint64 // what it holds as numbers

	index           uint64 // of the next item of a list
	group, consumer []byte // to which what follows belongs
	buf             []byte
	words           [48]byte
}

// Digester returns a Digester for comparing a value of type a with one of type b.
func (c Comparer) Digester(a, b *rdbparse.TypeInfo) *Digester {
	return &Digester{opts: c, feats: c.common(a.Type, b.Type)}
}

// Sum returns the digest of what has been added.
func (d *Digester) Sum() Digest { return d.sum }

// Add adds an element. The items of a list must come in order, and what belongs
// to a group or consumer of a stream behind it.
func (d *Digester) Add(el *Element) {
	if d.canon(el) {
		d.sum.add(d.hash())
	}
}

// hash returns the digest of what canon has prepared.
func (d *Digester) hash() Digest {
	return Digest{1, d.hash1(seeds[0]), d.hash1(seeds[1])}
}

func (d *Digester) hash1(seed maphash.Seed) uint64 {
	value := maphash.Bytes(seed, d.value)
	for _, p := range d.pairs {
		value = d.mix(seed, value, maphash.Bytes(seed, p), uint64(len(p)))
	}
	return d.mix(seed, uint64(d.kind), maphash.Bytes(seed, d.id), value, d.rest[0], d.rest[1], d.rest[2])
}

func (d *Digester) mix(seed maphash.Seed, words ...uint64) uint64 {
	for i, x := range words {
		binary.LittleEndian.PutUint64(d.words[8*i:], x)
	}
	return maphash.Bytes(seed, d.words[:8*len(words)])
}

// canon prepares an element. It returns false for one that is not compared.
func (d *Digester) canon(el *Element) bool {
	d.kind, d.id, d.value, d.pairs, d.rest = el.Kind, el.Key, nil, nil, [3]uint64{}
	switch el.Kind {
	case Text:
		d.id, d.value = nil, el.Value
	case ListItem:
		d.id, d.value = d.number(d.index), el.Value
		d.index++
	case Member:
	case Scored:
		d.rest[0] = scoreBits(el.Score)
	case Field:
		if el.ExpireAt != 0 && el.ExpireAt <= d.opts.Now {
			return false
		}
		d.value, d.rest[0] = el.Value, uint64(el.ExpireAt)
	case Slot:
		d.id, d.value = d.number(el.Index), el.Value
	case Entry:
		d.id, d.pairs = d.numbers(el.ID), el.Pairs
	case Stream:
		d.id = nil
		d.value = d.info(el.Info)
	default:
		return d.canonGroup(el)
	}
	return true
}

// scoreBits returns the bits of a score. Minus zero counts as zero: Redis 7.0 and
// newer, and Valkey, store a score that is a whole number as an integer in a
// listpack, which has no minus zero, so a value that has been through such a
// server has lost the sign. ZADD and ZRANGE treat the two as the same score.
func scoreBits(score float64) uint64 { return math.Float64bits(score + 0) }

// canonGroup prepares an element behind the entries of a stream.
func (d *Digester) canonGroup(el *Element) bool {
	switch el.Kind {
	case Group:
		d.group = append(d.group[:0], el.Key...)
		d.consumer = d.consumer[:0]
		d.id = d.place(nil, ID{})
		d.rest = [3]uint64{el.ID.Ms, el.ID.Seq, 0}
		if d.feats.offsets {
			d.rest[2] = el.Read
		}
	case Pending:
		d.id = d.place(nil, el.ID)
		d.rest = [3]uint64{uint64(el.Time), el.Count}
	case Consumer:
		d.consumer = append(d.consumer[:0], el.Key...)
		if d.feats.orphans && string(el.Key) == NackConsumer {
			return false
		}
		d.id = d.place(d.consumer, ID{})
		if !d.opts.ByCommands {
			d.rest[0] = uint64(el.Time)
			if d.feats.active {
				d.rest[1] = uint64(el.Active)
			}
		}
	case Owned:
		d.id = d.place(d.consumer, el.ID)
	case Returned:
		d.id = d.place(nil, el.ID)
		if !d.feats.returned { // where the conversion puts it
			d.kind, d.id = Owned, d.place([]byte(NackConsumer), el.ID)
		}
	case Producer:
		d.consumer = append(d.consumer[:0], el.Key...)
		fallthrough
	case Produced:
		d.group = d.group[:0]
		d.id = d.place(d.consumer, ID{})
		if el.Kind == Produced {
			d.buf = append(d.buf, el.Key...)
			d.id, d.rest = d.buf, [3]uint64{el.ID.Ms, el.ID.Seq}
		}
		return d.feats.idempotence
	case Idempotent, Idempotency:
		d.id, d.rest = nil, [3]uint64{uint64(el.Time), el.Count}
		return d.feats.idempotence
	}
	return true
}

// place names an element of a stream by its group, a consumer and an id.
func (d *Digester) place(consumer []byte, id ID) []byte {
	b := appendText(d.buf[:0], d.group)
	b = appendText(b, consumer)
	b = binary.BigEndian.AppendUint64(b, id.Ms)
	d.buf = binary.BigEndian.AppendUint64(b, id.Seq)
	return d.buf
}

func (d *Digester) number(n uint64) []byte {
	d.buf = binary.BigEndian.AppendUint64(d.buf[:0], n)
	return d.buf
}

func (d *Digester) numbers(id ID) []byte {
	d.buf = binary.BigEndian.AppendUint64(d.number(id.Ms), id.Seq)
	return d.buf
}

// info returns what is compared of a stream's header.
func (d *Digester) info(info StreamInfo) []byte {
	b := d.buf[:0]
	for _, n := range []uint64{info.Length, info.LastID.Ms, info.LastID.Seq} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	if d.feats.offsets {
		if info.Length == 0 {
			info.FirstID = ID{}
		}
		for _, n := range []uint64{info.FirstID.Ms, info.FirstID.Seq, info.MaxDeletedID.Ms, info.MaxDeletedID.Seq, info.EntriesAdded} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
	}
	d.buf = b
	return b
}
