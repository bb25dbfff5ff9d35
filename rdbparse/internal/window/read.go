package window

import (
	"encoding/binary"
	"errors"
	"math"
)

// Errors of the encodings of lengths and strings. They are wrapped by the
// parser that knows the offset.
var (
	ErrLength  = errors.New("byte is no length")
	ErrTooBig  = errors.New("length does not fit into memory")
	ErrDouble  = errors.New("text is no number")
	ErrLZFSize = errors.New("compressed string has an impossible length")
)

// Byte returns the next byte.
func (w *Window) Byte() byte {
	if w.i >= len(w.b) && !w.fill(1) || w.err != nil {
		return 0
	}
	c := w.b[w.i]
	w.i++
	return c
}

// Peek returns the next byte without moving the cursor.
func (w *Window) Peek() byte {
	if !w.Need(1) {
		return 0
	}
	return w.b[w.i]
}

// Bytes returns the next n bytes, borrowed, or nil if there are fewer.
func (w *Window) Bytes(n int) []byte {
	if !w.Need(n) {
		return nil
	}
	p := w.b[w.i : w.i+n : w.i+n]
	w.i += n
	return p
}

// Uint32 reads 4 bytes, little-endian.
func (w *Window) Uint32() uint32 {
	if p := w.Bytes(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

// Uint64 reads 8 bytes, little-endian.
func (w *Window) Uint64() uint64 {
	if p := w.Bytes(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Skip moves the cursor over n bytes. Where no mark is set it needs no more
// memory than the buffer, however large n is.
func (w *Window) Skip(n uint64) {
	for w.err == nil {
		at := uint64(len(w.b) - w.i)
		if n <= at {
			w.i += int(n)
			return
		}
		if w.src == nil || w.mark >= 0 {
			if n > math.MaxInt/2 {
				w.Fail(ErrTooBig)
				return
			}
			if w.fill(int(n)) {
				w.i += int(n)
			}
			return
		}
		if w.stop > 0 && n > uint64(max(w.stop-w.Offset(), 0)) {
			w.Fail(ErrTooLong)
			return
		}
		w.i += int(at)
		n -= at
		if !w.fill(1) {
			return
		}
	}
}

// Len reads a length: 6, 14, 32 or 64 bits, as rdbLoadLen of the servers does,
// but refuses what no server writes.
func (w *Window) Len() uint64 {
	if w.i < len(w.b) {
		if c := w.b[w.i]; c < 0x40 && w.err == nil {
			w.i++
			return uint64(c)
		}
	}
	return w.lenSlow()
}

func (w *Window) lenSlow() uint64 {
	c := w.Peek()
	switch {
	case w.err != nil:
		return 0
	case c < 0x40:
		w.i++
		return uint64(c)
	case c < 0x80:
		if p := w.Bytes(2); p != nil {
			return uint64(p[0]&0x3f)<<8 | uint64(p[1])
		}
	case c == 0x80:
		if p := w.Bytes(5); p != nil {
			return uint64(binary.BigEndian.Uint32(p[1:]))
		}
	case c == 0x81:
		if p := w.Bytes(9); p != nil {
			return binary.BigEndian.Uint64(p[1:])
		}
	default:
		w.Fail(ErrLength)
	}
	return 0
}

// StringForm tells how a string is stored.
type StringForm uint8

// The forms of a string.
const (
	Raw   StringForm = iota // Size bytes as they are
	Int8                    // 1 byte, signed
	Int16                   // 2 bytes, little-endian, signed
	Int32                   // 4 bytes, little-endian, signed
	LZF                     // Size bytes that give Plain bytes
)

// A StringHead is what stands before the bytes of a string.
type StringHead struct {
	Form  StringForm
	Size  uint64 // bytes that follow in the dump
	Plain uint64 // bytes of the string itself; for integers, of no meaning
}

// String reads the head of a string. The cursor is then at its first byte, and
// Size bytes belong to it.
func (w *Window) String() StringHead {
	c := w.Peek()
	if c < 0xc0 {
		n := w.Len()
		return StringHead{Form: Raw, Size: n, Plain: n}
	}
	w.i++
	switch c {
	case 0xc0:
		return StringHead{Form: Int8, Size: 1}
	case 0xc1:
		return StringHead{Form: Int16, Size: 2}
	case 0xc2:
		return StringHead{Form: Int32, Size: 4}
	case 0xc3:
		size := w.Len()
		plain := w.Len()
		if w.err == nil && (size == 0 || plain == 0 || plain/maxLZFRatio > size) {
			w.Fail(ErrLZFSize)
			return StringHead{}
		}
		w.unpacked = max(w.unpacked, plain)
		return StringHead{Form: LZF, Size: size, Plain: plain}
	}
	w.i--
	w.Fail(ErrLength)
	return StringHead{}
}

// maxLZFRatio bounds what LZF can make of its input: a back reference of 3 bytes
// gives at most 264.
const maxLZFRatio = 264

// SkipString moves the cursor over one string.
func (w *Window) SkipString() {
	h := w.String()
	if w.err == nil {
		w.Skip(h.Size)
	}
}

// SkipStrings moves the cursor over n strings.
func (w *Window) SkipStrings(n uint64) {
	for n > 0 && w.err == nil {
		// The common case works on locals: short plain strings at hand.
		b, i := w.b, w.i
		for n > 0 {
			next := shortString(b, i)
			if next > len(b) {
				break
			}
			i = next
			n--
		}
		w.i = i
		if n > 0 {
			w.SkipString()
			n--
		}
	}
}

// SkipStringsAnd8 moves the cursor over n times a string and 8 bytes.
func (w *Window) SkipStringsAnd8(n uint64) {
	for n > 0 && w.err == nil {
		b, i := w.b, w.i
		for n > 0 {
			next := shortString(b, i) + 8
			if next > len(b) {
				break
			}
			i = next
			n--
		}
		w.i = i
		if n > 0 {
			w.SkipString()
			w.Skip(8)
			n--
		}
	}
}

// shortString returns the end of the plain string with a 6-bit or 14-bit length
// at b[i:], or math.MaxInt/2 if another kind of string or the end of b is there.
// The end may lie behind b.
func shortString(b []byte, i int) int {
	if i+1 < len(b) {
		c := b[i]
		if c < 0x40 {
			return i + 1 + int(c)
		}
		if c < 0x80 {
			return i + 2 + int(c&0x3f)<<8 + int(b[i+1])
		}
	}
	return math.MaxInt / 2
}

// SkipDouble moves the cursor over a score of the oldest sorted set encoding: a
// length and that many characters, or 253 NaN, 254 +inf, 255 -inf.
func (w *Window) SkipDouble() {
	if n := w.Byte(); n < 253 {
		w.Skip(uint64(n))
	}
}
