package element

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// Options are the settings of Convert. The zero value loses nothing.
type Options struct {
	// DropFieldExpiry allows a hash whose fields expire to be written in an
	// encoding that cannot say so. The fields then stay for ever.
	DropFieldExpiry bool
	// Now is the time in milliseconds since the epoch, by the target's clock. Where
	// the expiry of fields cannot be written, those that had expired at Now are left
	// out, so that nothing comes back to life. If none remains, the result is
	// ErrEmpty: the key would not exist either.
	Now int64
	// Back are the back lengths that the listpacks of a stream get, as
	// Action.Back says; 0 leaves them as they are.
	Back BackLengths
}

// Convert appends to dst the bytes of v rewritten as type to: what stands behind
// the type byte in a payload for RESTORE. Plan tells which type that should be.
// The whole of v is checked on the way: a damaged one gives an *Error, and then,
// as with any error, dst comes back as it was.
//
// Nothing is lost but, in a stream, what the older encoding has no room for:
// first id, greatest deleted id, entries added and entries read (before Redis
// 7.0), a consumer's active time (before 7.2), idempotent producers (before 8.6).
// Entries that a consumer has given back (8.8) go to a consumer named
// NackConsumer, since older servers crash on a pending entry that has none.
func Convert(dst []byte, v Value, to rdbparse.Type, opts Options) ([]byte, error) {
	from := len(dst)
	out, err := convert(dst, v, to, opts)
	if err != nil {
		return dst[:from], err
	}
	return out, nil
}

func convert(dst []byte, v Value, to rdbparse.Type, opts Options) ([]byte, error) {
	if v.Type == nil {
		return dst, fmt.Errorf("%w: no type", ErrOpaque)
	}
	same := v.Type.Type == to
	if same && (opts.Back == 0 || v.Type.Kind != rdbparse.KindStream) {
		return append(dst, v.Raw...), nil
	}
	if !same && !slices.Contains(targets(v.Type.Type), to) {
		return dst, fmt.Errorf("%w: %v to %v", ErrConversion, v.Type.Type, to)
	}
	switch {
	case v.Type.Kind == rdbparse.KindStream:
		return cutStream(dst, v, to, opts.Back)
	case to == rdbparse.TypeHashTmplLP || to == rdbparse.TypeHashTmplArray:
		return inlineTemplate(dst, v)
	}
	return plain(dst, v, to, opts)
}

// plain writes the elements of a collection one by one. The count stands before
// them and is known behind them only: it is put in at the end.
func plain(dst []byte, v Value, to rdbparse.Type, opts Options) ([]byte, error) {
	from := len(dst)
	r := Open(v)
	var count, earliest uint64
	if to == rdbparse.TypeHashMetadata {
		var err error
		if earliest, err = earliestExpiry(v); err != nil {
			return dst, err
		}
	}
	for r.Next() {
		el := r.Element()
		if el.ExpireAt != 0 && el.Kind == Field && !hasFieldExpiry(to) {
			if el.ExpireAt <= opts.Now {
				continue
			}
			if !opts.DropFieldExpiry {
				return dst, fmt.Errorf("%w: field %s", ErrFieldExpiry, quote(el.Key))
			}
		}
		dst = appendElement(dst, el, to, earliest)
		count++
	}
	if err := r.Err(); err != nil {
		return dst, err
	}
	if count == 0 {
		return dst, ErrEmpty
	}
	var head [17]byte
	h := head[:0]
	if to == rdbparse.TypeHashMetadata {
		h = binary.LittleEndian.AppendUint64(h, earliest)
	}
	return slices.Insert(dst, from, appendLen(h, count)...), nil
}

// appendElement appends an element as it stands in a plain encoding.
func appendElement(dst []byte, el *Element, to rdbparse.Type, earliest uint64) []byte {
	switch to {
	case rdbparse.TypeList:
		return appendText(dst, el.Value)
	case rdbparse.TypeSet:
		return appendText(dst, el.Key)
	case rdbparse.TypeZSet:
		return appendOldScore(appendText(dst, el.Key), el.Score)
	case rdbparse.TypeZSet2:
		return binary.LittleEndian.AppendUint64(appendText(dst, el.Key), math.Float64bits(el.Score))
	case rdbparse.TypeHashMetadata:
		ttl := uint64(0)
		if el.ExpireAt != 0 {
			ttl = uint64(el.ExpireAt) - earliest + 1
		}
		return appendText(appendText(appendLen(dst, ttl), el.Key), el.Value)
	case rdbparse.TypeHash2:
		at := int64(-1)
		if el.ExpireAt != 0 {
			at = el.ExpireAt
		}
		dst = appendText(appendText(dst, el.Key), el.Value)
		return binary.LittleEndian.AppendUint64(dst, uint64(at))
	}
	return appendText(appendText(dst, el.Key), el.Value) // TypeHash
}

// appendOldScore appends a score as text, with digits enough to be exact.
func appendOldScore(dst []byte, score float64) []byte {
	switch {
	case math.IsInf(score, 1):
		return append(dst, scoreInf)
	case math.IsInf(score, -1):
		return append(dst, scoreNegInf)
	}
	at := len(dst)
	dst = strconv.AppendFloat(append(dst, 0), score, 'g', 17, 64)
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// noExpiry is what Redis writes for the earliest expiry of a hash without any.
const noExpiry = 1 << 48

// earliestExpiry returns the earliest expiry of the fields of a hash.
func earliestExpiry(v Value) (uint64, error) {
	earliest := uint64(noExpiry)
	r := Open(v)
	for r.Next() {
		at := r.Element().ExpireAt
		if at > maxExpiry { // some eight thousand years ahead
			return 0, fmt.Errorf("%w: field %s: %d is later than Redis can hold", ErrFieldExpiry, quote(r.Element().Key), at)
		}
		if at != 0 {
			earliest = min(earliest, uint64(at))
		}
	}
	return earliest, r.Err()
}

// inlineTemplate writes a hash whose field names are in a record of the dump as
// one that carries them: type 30 as 29, 32 as 31. The values stay as they are.
func inlineTemplate(dst []byte, v Value) ([]byte, error) {
	r := Open(v)
	var n uint64
	for r.Next() {
		n++
	}
	if err := r.Err(); err != nil {
		return dst, err
	}
	if n == 0 {
		return dst, ErrEmpty
	}
	values := v.Raw
	if v.Type.Type == rdbparse.TypeHashTmplArrayRef { // the template's id goes
		w := window.Of(values)
		w.Len()
		values = values[w.Offset():]
	}
	dst = appendLen(append(dst, namesPlain), n)
	dst = append(dst, v.Fields...)
	return append(dst, values...), nil
}
