package element

import "encoding/binary"

const (
	ziplistHeader = 10   // total bytes in 4, offset of the last element in 4, elements in 2
	ziplistLong   = 0xfe // 4 bytes of length follow
)

// Ziplist returns the elements of a ziplist.
func Ziplist(b []byte) (it Items) {
	it.ziplist(b, int64(len(b)))
	it.inMemory(b)
	return it
}

// ziplist begins to walk a ziplist of size bytes that starts with b.
func (it *Items) ziplist(b []byte, size int64) {
	it.b, it.i, it.form, it.count = b, ziplistHeader, formZiplist, -1
	switch {
	case size < ziplistHeader+1:
		it.fail("too short for a header")
	case int64(binary.LittleEndian.Uint32(b)) != size:
		it.fail("the header tells another length")
	default:
		it.tail = int64(binary.LittleEndian.Uint32(b[4:]))
		if n := int(binary.LittleEndian.Uint16(b[8:])); n != unknownCount {
			it.count = n
		}
	}
}

func (it *Items) nextZiplist() bool {
	p := it.b[it.i:it.end]
	if len(p) == 0 {
		if it.tail != it.offset()-int64(it.width) {
			return it.fail("the header tells another last element")
		}
		return it.finish()
	}
	if p[0] == endMark {
		return it.fail("end mark before the end")
	}
	before, head := ziplistBefore(p)
	if head > len(p) {
		return it.fail("element reaches beyond the end")
	}
	if before != it.width {
		return it.fail("wrong length of the element before")
	}
	p = p[head:]
	if len(p) == 0 {
		return it.fail("element reaches beyond the end")
	}
	code, text, num := ziplistCode(p)
	if code == 0 {
		return it.fail("no kind of element")
	}
	size := code + text + num
	if size > len(p) {
		return it.fail("element reaches beyond the end")
	}
	it.width = head + size
	it.i += it.width
	switch {
	case num > 0:
		it.setInt(littleEndian(p[1:size]))
	case p[0] > 0xf0:
		it.setInt(int64(p[0]&15) - 1)
	default:
		it.setText(p[code:size])
	}
	return true
}

// ziplistBefore returns the length of the element before the one that p starts with,
// and the bytes that it takes, which may be more than p has.
func ziplistBefore(p []byte) (before, head int) {
	if p[0] != ziplistLong {
		return int(p[0]), 1
	}
	if len(p) >= 5 {
		before = clip(binary.LittleEndian.Uint32(p[1:]))
	}
	return before, 5
}

// ziplistCode returns the bytes of the code that p starts with, and of the text
// or the number behind it; code is 0 if it is none.
func ziplistCode(p []byte) (code, text, num int) {
	switch c := p[0]; {
	case c < 0x40:
		return 1, int(c), 0
	case c < 0x80:
		if len(p) < 2 {
			return 0, 0, 0
		}
		return 2, int(c&0x3f)<<8 | int(p[1]), 0
	case c < 0xc0: // servers write 0x80 and pass over the six lower bits
		if len(p) < 5 {
			return 0, 0, 0
		}
		return 5, clip(binary.BigEndian.Uint32(p[1:])), 0
	case c == 0xc0:
		return 1, 0, 2
	case c == 0xd0:
		return 1, 0, 4
	case c == 0xe0:
		return 1, 0, 8
	case c == 0xf0:
		return 1, 0, 3
	case c == 0xfe:
		return 1, 0, 1
	case c > 0xf0 && c < 0xfe: // the number itself
		return 1, 0, 0
	}
	return 0, 0, 0
}
