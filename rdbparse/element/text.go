package element

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// maxText is the longest string that is opened: no server can hold a longer one
// in any of its encodings.
const maxText = min(4<<30, math.MaxInt/2)

// A span is a string that has been read: a part of the window behind its mark,
// or one of the reader's scratch buffers, if from is negative.
type span struct{ from, to, slot int }

// text reads a string. The window's mark must be set: what stands in the dump as
// it is stays there, and only the rest is written to the first scratch buffer.
func (r *Reader) text() span {
	w := r.w
	h := w.String()
	if h.Form == window.Raw && h.Size <= r.most {
		n := len(w.Bytes(int(h.Size)))
		return span{w.Pos() - n, w.Pos(), 0}
	}
	return r.textOf(h, 0)
}

// value is text for a string that may be long: then it becomes the element's, and
// only its head is read.
func (r *Reader) value(slot int) span {
	h := r.w.String()
	if h.Plain > r.most && h.Plain <= maxText && h.Size <= 2*h.Plain && r.big != nil {
		r.beginLong(h)
		return span{-1, -1, slot}
	}
	return r.textOf(h, slot)
}

// textOf reads the string behind its head.
func (r *Reader) textOf(h window.StringHead, slot int) span {
	w := r.w
	if w.Err() != nil || (h.Size > r.most || h.Plain > r.most) && !r.fits(h) {
		return span{}
	}
	p := w.Bytes(int(h.Size))
	if w.Err() != nil {
		return span{}
	}
	b := r.scratch[slot][:0]
	switch h.Form {
	case window.Raw:
		return span{w.Pos() - len(p), w.Pos(), slot}
	case window.Int8:
		b = strconv.AppendInt(b, int64(int8(p[0])), 10)
	case window.Int16:
		b = strconv.AppendInt(b, int64(int16(binary.LittleEndian.Uint16(p))), 10)
	case window.Int32:
		b = strconv.AppendInt(b, int64(int32(binary.LittleEndian.Uint32(p))), 10)
	case window.LZF:
		b = r.decompress(b, p, h.Plain)
	}
	r.scratch[slot] = b
	return span{-1, -1, slot}
}

// take returns a string that text has read.
func (r *Reader) take(s span) []byte {
	if s.from < 0 {
		return r.scratch[s.slot]
	}
	return r.w.Since(s.from, s.to)
}

// takeValue returns a string that value has read, nil for a long one.
func (r *Reader) takeValue(s span) []byte {
	if r.pending {
		return nil
	}
	return r.take(s)
}

// decompress makes b the plain bytes of an LZF string.
func (r *Reader) decompress(b, src []byte, plain uint64) []byte {
	if lzf.Size(src) != plain {
		r.fail(fmt.Errorf("%w: %w", ErrDamaged, lzf.ErrCorrupt))
		return b
	}
	b = slices.Grow(b[:0], int(plain))[:plain]
	if err := lzf.Decompress(b, src); err != nil {
		r.fail(fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	return b
}

// readBlob reads a string that is a blob, behind its head. The bytes are valid until
// the window is read again.
func (r *Reader) readBlob(h window.StringHead) []byte {
	w := r.w
	p := w.Bytes(int(h.Size))
	if h.Form == window.Raw || w.Err() != nil {
		return p
	}
	r.blob = r.decompress(r.blob, p, h.Plain)
	return r.blob
}

// appendText appends a string as servers write it, uncompressed.
func appendText(dst, text []byte) []byte {
	return append(appendLen(dst, uint64(len(text))), text...)
}

// appendLen appends a length in its shortest form.
func appendLen(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n))
	case n < 1<<14:
		return append(dst, 0x40|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0x80), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0x81), n)
}
