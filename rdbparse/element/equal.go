package element

import (
	"bytes"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A Comparer compares values in meaning. The zero value compares everything that
// both encodings can hold:
//
//   - strings by their text, lists in order, sets and hashes without order;
//   - scores by their bits, but minus zero is zero (see scoreBits);
//   - the expiry of every field of a hash, exactly;
//   - streams: entries with their fields in order, last id, groups with their last
//     id, pending entries with delivery time, count and owner, consumers and
//     when they were last seen. First id, greatest deleted id, entries added and
//     entries read where both have them (Redis 7.0), a consumer's active time where
//     both have it (7.2), idempotent producers (8.6) and entries given back (8.8)
//     likewise. Where there is no entry, servers note one first id or another, so
//     that does not count;
//   - KEY_META where both values have it;
//   - vector sets by their settings, elements, attributes and vectors, without
//     the links between the elements, which servers make anew;
//   - other values that cannot be opened, modules' above all, byte by byte.
type Comparer struct {
	// Now leaves out fields that had expired at that time, in milliseconds since
	// the epoch: servers remove them at leisure. 0 leaves out none.
	Now int64
	// ByCommands tells that the second value may have been written by commands, which
	// set less than RESTORE does. They cannot set when consumers were seen and active.
	// Nor can they, where a group waits for an entry that the stream has not, and the
	// first value knows of none that was deleted, leave that so: the second value may
	// have such an entry as the greatest that was.
	ByCommands bool
	// NoOffsets leaves out what Redis 7.0 has added to streams: the second value may
	// have been written in the encoding before.
	NoOffsets bool
}

// Equal reports whether two values mean the same. Equal bytes of the same type
// always do.
func Equal(a, b Value) (bool, error) { return Comparer{}.Equal(a, b) }

// Diff returns the first difference between two values, an empty one if they mean
// the same.
func Diff(a, b Value) (Difference, error) { return Comparer{}.Diff(a, b) }

// Equal reports whether two values mean the same.
func (c Comparer) Equal(a, b Value) (bool, error) {
	diff, err := c.compare(a, b, false)
	return diff.Same() && err == nil, err
}

// Diff returns a difference between two values, an empty one if they mean the
// same: in lists and streams the first, else one that is always the same one.
func (c Comparer) Diff(a, b Value) (Difference, error) { return c.compare(a, b, true) }

// A Difference says in a short phrase what tells one value from another: what the
// first has and the second has not "is missing", what only the second has "is
// extra", and of two things that differ the first's comes first. Names and values
// in it are quoted and cut to a sane length. Items of a list are counted from 0.
type Difference struct{ What string }

// Same reports whether there is no difference.
func (d Difference) Same() bool { return d.What == "" }

// String returns the phrase, or "none".
func (d Difference) String() string {
	if d.Same() {
		return "none"
	}
	return d.What
}

func differ(format string, args ...any) Difference {
	return Difference{fmt.Sprintf(format, args...)}
}

// compare compares two values. Unless locate is set, the difference may be told
// in general terms only.
func (c Comparer) compare(a, b Value, locate bool) (Difference, error) {
	if a.Type == nil || b.Type == nil {
		return Difference{}, fmt.Errorf("%w: no type", ErrOpaque)
	}
	if a.Meta != nil && b.Meta != nil && !bytes.Equal(a.Meta, b.Meta) {
		return Difference{"metadata of the key"}, nil
	}
	if identical(a, b) {
		return Difference{}, nil
	}
	if a.Type.Kind != b.Type.Kind {
		return differ("type: %s against %s", a.Type.Kind, b.Type.Kind), nil
	}
	if !CanOpen(a.Type) || !CanOpen(b.Type) {
		if isVectorSet(a) && isVectorSet(b) {
			if diff, ok := c.compareVectorSets(a, b); ok {
				return diff, nil
			}
		}
		return opaque(a, b), nil
	}
	switch a.Type.Kind {
	case rdbparse.KindString, rdbparse.KindList:
		return compareOrdered(a, b)
	case rdbparse.KindStream:
		return c.compareStreams(a, b, locate)
	}
	return c.compareSums(a, b, locate)
}

// opaque says how two values differ that cannot be opened and are not identical.
func opaque(a, b Value) Difference {
	switch {
	case a.Type.Type != b.Type.Type:
		return differ("encoding: %v against %v, which cannot be opened to compare them", a.Type.Type, b.Type.Type)
	case a.Type.Kind == rdbparse.KindModule && rdbparse.ModuleName(a.Raw) != rdbparse.ModuleName(b.Raw):
		return differ("module type: %s against %s", rdbparse.ModuleName(a.Raw), rdbparse.ModuleName(b.Raw))
	}
	return differ("bytes of the %s value (%d against %d)", a.Type.Kind, len(a.Raw), len(b.Raw))
}

// compareOrdered compares strings and lists, element by element.
func compareOrdered(a, b Value) (Difference, error) {
	ra, rb := Open(a), Open(b)
	for n := 0; ; n++ {
		oka, okb := ra.Next(), rb.Next()
		if err := firstError(ra, rb); err != nil {
			return Difference{}, err
		}
		ea, eb := ra.Element(), rb.Element()
		switch {
		case !oka && !okb:
			return Difference{}, nil
		case !okb:
			return differ("element %d of the list is missing: %s", n, quote(ea.Value)), nil
		case !oka:
			return differ("element %d of the list is extra: %s", n, quote(eb.Value)), nil
		case bytes.Equal(ea.Value, eb.Value):
		case ea.Kind == Text:
			return differ("string: %s", against(ea.Value, eb.Value)), nil
		default:
			return differ("element %d of the list: %s", n, against(ea.Value, eb.Value)), nil
		}
	}
}

func firstError(a, b *Reader) error {
	if err := a.Err(); err != nil {
		return fmt.Errorf("first value: %w", err)
	}
	if err := b.Err(); err != nil {
		return fmt.Errorf("second value: %w", err)
	}
	return nil
}

// compareSums compares values whose elements have no order.
func (c Comparer) compareSums(a, b Value, locate bool) (Difference, error) {
	ra, rb := Open(a), Open(b)
	sa, sb := c.sum(ra, a, b), c.sum(rb, a, b)
	if err := firstError(ra, rb); err != nil || sa == sb {
		return Difference{}, err
	}
	if !locate {
		return Difference{"elements"}, nil
	}
	return c.locate(a, b, max(sa.n, sb.n))
}

// sum returns the digest of what r has still to give.
func (c Comparer) sum(r *Reader, a, b Value) Digest {
	d := c.Digester(a.Type, b.Type)
	for r.Next() {
		d.Add(r.Element())
	}
	return d.Sum()
}

// compareStreams compares the entries one by one, then the rest.
func (c Comparer) compareStreams(a, b Value, locate bool) (Difference, error) {
	ra, rb := Open(a), Open(b)
	for {
		if !ra.Next() || !rb.Next() {
			return Difference{}, firstError(ra, rb) // a stream has its header
		}
		ea, eb := ra.Element(), rb.Element()
		if ea.Kind == Entry || eb.Kind == Entry {
			if diff := compareEntries(ea, eb); !diff.Same() {
				return diff, nil
			}
			continue
		}
		if c.ByCommands && ea.Info.MaxDeletedID == (ID{}) && c.waitsFor(a, eb.Info.MaxDeletedID) {
			eb.Info.MaxDeletedID = ID{}
		}
		if diff := compareInfo(&ea.Info, &eb.Info, c.common(a.Type.Type, b.Type.Type)); !diff.Same() {
			return diff, nil
		}
		break
	}
	sa, sb := c.sum(ra, a, b), c.sum(rb, a, b)
	if err := firstError(ra, rb); err != nil || sa == sb {
		return Difference{}, err
	}
	if !locate {
		return Difference{"groups"}, nil
	}
	return c.locate(a, b, max(sa.n, sb.n))
}

// compareEntries compares two elements of which one at least is an entry of a
// stream.
func compareEntries(a, b *Element) Difference {
	switch {
	case b.Kind != Entry || a.Kind == Entry && a.ID.less(b.ID):
		return differ("entry %v is missing", a.ID)
	case a.Kind != Entry || b.ID.less(a.ID):
		return differ("entry %v is extra", b.ID)
	case len(a.Pairs) != len(b.Pairs):
		return differ("number of fields of entry %v: %d against %d", a.ID, len(a.Pairs)/2, len(b.Pairs)/2)
	}
	for i := range a.Pairs {
		if bytes.Equal(a.Pairs[i], b.Pairs[i]) {
			continue
		}
		if i%2 == 0 {
			return differ("field %d of entry %v: %s", i/2, a.ID, against(a.Pairs[i], b.Pairs[i]))
		}
		return differ("value of field %s of entry %v: %s", quote(a.Pairs[i-1]), a.ID, against(a.Pairs[i], b.Pairs[i]))
	}
	return Difference{}
}

func (id ID) less(other ID) bool {
	return id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq
}

// waitsFor reports whether a group of the stream v waits for an entry.
func (c Comparer) waitsFor(v Value, id ID) bool {
	for r := Open(v); r.Next(); {
		if el := r.Element(); el.Kind == Pending && el.ID == id {
			return id != ID{}
		}
	}
	return false
}

func compareInfo(a, b *StreamInfo, f features) Difference {
	switch {
	case a.LastID != b.LastID:
		return differ("last id of the stream: %v against %v", a.LastID, b.LastID)
	case a.Length != b.Length:
		return differ("length of the stream: %d against %d", a.Length, b.Length)
	case !f.offsets:
	case a.FirstID != b.FirstID && a.Length > 0:
		return differ("first id of the stream: %v against %v", a.FirstID, b.FirstID)
	case a.MaxDeletedID != b.MaxDeletedID:
		return differ("greatest deleted id of the stream: %v against %v", a.MaxDeletedID, b.MaxDeletedID)
	case a.EntriesAdded != b.EntriesAdded:
		return differ("entries added to the stream: %d against %d", a.EntriesAdded, b.EntriesAdded)
	}
	return Difference{}
}
