// Package listpack knows how a listpack is laid out.
//
// It is a header, elements and an end mark. Each element is one or more bytes that say
// what it is, a text or a number, and its back length: how many bytes those are, for
// reading backwards, in units of 7 bits.
package listpack

import "encoding/binary"

// Parts of a listpack that are not elements.
const (
	Header       = 6         // bytes: of all in 4, elements in 2
	UnknownCount = 1<<16 - 1 // elements in a header that has no room for their number
	End          = 0xff      // the last byte
)

// Text returns the bytes before the text that p starts with, and of the text; 0 for
// an element that is none. What p is too short for counts as 0. A length that no
// listpack has is cut to one that can be added to.
func Text(p []byte) (head, text int) {
	switch c := p[0]; {
	case c >= 0x80 && c < 0xc0:
		return 1, int(c & 0x3f)
	case c >= 0xe0 && c < 0xf0:
		if len(p) >= 2 {
			text = int(c&0x0f)<<8 | int(p[1])
		}
		return 2, text
	case c == 0xf0:
		if len(p) >= 5 {
			text = int(min(binary.LittleEndian.Uint32(p[1:]), 1<<30))
		}
		return 5, text
	}
	return 0, 0
}

// Number returns how many bytes a number takes that begins with c, which tells part of
// it, and how many of them stand behind c as a number of their own. Both are 0 for what
// is no number.
func Number(c byte) (size, own int) {
	switch {
	case c < 0x80:
		return 1, 0
	case c >= 0xc0 && c < 0xe0:
		return 2, 0
	case c > 0xf0 && c <= 0xf4:
		own = [...]int{2, 3, 4, 8}[c-0xf1]
		return 1 + own, own
	}
	return 0, 0
}

// Count returns the number of elements of a listpack, from its header where it fits
// there, else by walking it. It reports whether b is one as far as it has looked.
func Count(b []byte) (n uint64, ok bool) {
	if len(b) < Header+1 || int(binary.LittleEndian.Uint32(b)) != len(b) {
		return 0, false
	}
	if n := binary.LittleEndian.Uint16(b[4:]); n != UnknownCount {
		return uint64(n), true
	}
	for i := Header; i < len(b); n++ {
		p := b[i:]
		if p[0] == End {
			return n, true
		}
		size, _ := Number(p[0])
		if size == 0 {
			head, text := Text(p)
			size = head + text
		}
		if size == 0 || size >= len(p) {
			break
		}
		i += size + BackSize(p[size:], size)
	}
	return 0, false
}

// BackBytes returns how many bytes the back length of an element of size bytes takes.
// Most servers spend a byte more than needed on some sizes, which are an edge: the
// length may take one byte less there.
func BackBytes(size int) (n int, edge bool) {
	switch {
	case size <= 1<<7-1:
		return 1, false
	case size < 1<<14-1:
		return 2, false
	case size < 1<<21-1:
		return 3, size == 1<<14-1
	case size < 1<<28-1:
		return 4, size == 1<<21-1
	}
	return 5, size == 1<<28-1
}

// BackSize returns how many bytes the back length takes that p starts with, of an
// element of size bytes. At an edge the first byte tells: it holds the seven highest
// bits, all set in the shorter form.
func BackSize(p []byte, size int) int {
	n, edge := BackBytes(size)
	if edge && p[0] != 0 {
		n--
	}
	return n
}
