package element

import (
	"encoding/binary"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A BigHash gives a hash whose fields expire in the encoding of Redis 7.4,
// TypeHashMetadata, as Convert does it, but piece by piece. It holds what a Reader of a
// big value does.
type BigHash struct {
	v    *rdbparse.BigValue
	hold int

	count, earliest uint64
	size            int64
	long            []int64 // expiries of the fields whose values are long: they may stand behind these
}

// hashPiece is about how many bytes of a BigHash are given at a time.
const hashPiece = 32 << 10

// MeasureHash reads all of a big hash, to know what has to be said before its fields. The
// Reader that it uses holds up to hold bytes, as OfBig says. An expiry that the encoding
// has no room for is an ErrFieldExpiry, a hash without fields ErrEmpty; any other error
// is the Reader's.
func MeasureHash(v *rdbparse.BigValue, hold int) (*BigHash, error) {
	h := &BigHash{v: v, hold: hold, earliest: noExpiry}
	r := OfBig(v, hold)
	var head []byte
	for r.Next() {
		el := r.Element()
		long := el.Long
		head = appendText(head[:0], el.Key)
		if long > 0 {
			if r.Parts(nil) != nil {
				break
			}
			h.long = append(h.long, el.ExpireAt)
		}
		if el.ExpireAt > maxExpiry {
			return nil, fmt.Errorf("%w: field %s: %d is later than Redis can hold", ErrFieldExpiry, quote(el.Key), el.ExpireAt)
		}
		if el.ExpireAt != 0 {
			h.earliest = min(h.earliest, uint64(el.ExpireAt))
		}
		head = appendHashTTL(head, el.ExpireAt, 0)
		h.size += int64(len(head))
		size := max(long, int64(len(el.Value)))
		h.size += int64(len(appendLen(head[:0], uint64(size)))) + size
		h.count++
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if h.count == 0 {
		return nil, ErrEmpty
	}
	h.size += 8 + int64(len(appendLen(head[:0], h.count)))
	return h, nil
}

// appendHashTTL appends the expiry of a field. Where there is one it always takes 9
// bytes, so that the size of a hash does not depend on its earliest one.
func appendHashTTL(dst []byte, at int64, earliest uint64) []byte {
	if at == 0 {
		return append(dst, 0)
	}
	return binary.BigEndian.AppendUint64(append(dst, 0x81), uint64(at)-earliest+1)
}

// Size returns how many bytes Copy gives.
func (h *BigHash) Size() int64 { return h.size }

// Copy gives the bytes of the hash to f, piece by piece: borrowed, valid until f returns.
// An error of f ends the copying and is returned as it is; any other is the Reader's.
func (h *BigHash) Copy(f func(p []byte) error) error {
	r, long := OfBig(h.v, h.hold), h.long
	buf := binary.LittleEndian.AppendUint64(make([]byte, 0, 2*hashPiece), h.earliest)
	buf = appendLen(buf, h.count)
	for r.Next() {
		el := r.Element()
		at := el.ExpireAt
		if el.Long > 0 {
			if len(long) == 0 {
				return fmt.Errorf("%w: it has changed since it was measured", ErrDamaged)
			}
			at, long = long[0], long[1:]
		}
		buf = appendText(appendHashTTL(buf, at, h.earliest), el.Key)
		if el.Long == 0 {
			buf = appendText(buf, el.Value)
		} else {
			buf = appendLen(buf, uint64(el.Long))
		}
		if len(buf) < hashPiece && el.Long == 0 {
			continue
		}
		if err := f(buf); err != nil {
			return err
		}
		buf = buf[:0]
		if el.Long > 0 {
			if err := r.Parts(f); err != nil {
				return err
			}
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	return f(buf)
}
