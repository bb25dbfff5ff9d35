package element

import "encoding/binary"

const (
	ziplistHeader = 10 // total bytes in 4, offset of the last element in 4, elements in 2
	ziplistEnd    = 0xff
	ziplistLong   = 0xfe // 4 bytes of length follow
)

// Ziplist returns the elements of a ziplist.
func Ziplist(b []byte) Items {
	it := Items{b: b, i: ziplistHeader, end: len(b) - 1, form: formZiplist, count: -1}
	switch {
	case len(b) < ziplistHeader+1:
		it.fail("too short for a header")
	case uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)):
		it.fail("the header tells another length")
	case b[it.end] != ziplistEnd:
		it.fail("no end mark")
	default:
		if n := int(binary.LittleEndian.Uint16(b[8:])); n != unknownCount {
			it.count = n
		}
	}
	return it
}

func (it *Items) nextZiplist() bool {
	p := it.b[it.i:it.end]
	if len(p) == 0 {
		if tail := int64(binary.LittleEndian.Uint32(it.b[4:])); tail != int64(it.i-it.width) {
			return it.fail("the header tells another last element")
		}
		return it.finish()
	}
	if p[0] == ziplistEnd {
		return it.fail("end mark before the end")
	}
	before, head := int(p[0]), 1
	if p[0] == ziplistLong {
		if len(p) < 5 {
			return it.fail("element reaches beyond the end")
		}
		before, head = clip(binary.LittleEndian.Uint32(p[1:])), 5
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
