package element

import "encoding/binary"

const (
	listpackHeader = 6 // total bytes in 4, elements in 2
	listpackEnd    = 0xff
)

// Listpack returns the elements of a listpack.
func Listpack(b []byte) Items {
	it := Items{b: b, i: listpackHeader, end: len(b) - 1, form: formListpack, count: -1}
	switch {
	case len(b) < listpackHeader+1:
		it.fail("too short for a header")
	case uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)):
		it.fail("the header tells another length")
	case b[it.end] != listpackEnd:
		it.fail("no end mark")
	default:
		if n := int(binary.LittleEndian.Uint16(b[4:])); n != unknownCount {
			it.count = n
		}
	}
	return it
}

func (it *Items) nextListpack() bool {
	p := it.b[it.i:it.end]
	if len(p) == 0 {
		return it.finish()
	}
	c := p[0]
	var head, text, num int // bytes before a text, of the text, of a number
	switch {
	case c < 0x80:
		head = 1
	case c < 0xc0:
		head, text = 1, int(c&0x3f)
	case c < 0xe0:
		head = 2
	case c < 0xf0:
		head = 2
		if len(p) >= 2 {
			text = int(c&0x0f)<<8 | int(p[1])
		}
	case c == 0xf0:
		head = 5
		if len(p) >= 5 {
			text = clip(binary.LittleEndian.Uint32(p[1:]))
		}
	case c <= 0xf4:
		head, num = 1, [...]int{2, 3, 4, 8}[c-0xf1]
	case c == listpackEnd:
		return it.fail("end mark before the end")
	default:
		return it.fail("no kind of element")
	}
	size := head + text + num
	if size >= len(p) { // one byte at least stands behind every element
		return it.fail("element reaches beyond the end")
	}
	back, kind := backLength(p[size:], size)
	if back == 0 {
		return it.fail("element and the length behind it contradict each other")
	}
	it.i += size + back
	it.size, it.backs = size, it.backs|kind
	switch {
	case c < 0x80:
		it.setInt(int64(c))
	case c >= 0xc0 && c < 0xe0:
		it.setInt(int64(int16(uint16(c)<<11|uint16(p[1])<<3) >> 3))
	case num > 0:
		it.setInt(littleEndian(p[1 : 1+num]))
	default:
		it.setText(p[head:size])
	}
	return true
}

// littleEndian returns the signed number in p, of 1 to 8 bytes.
func littleEndian(p []byte) int64 {
	var n uint64
	for i := len(p) - 1; i >= 0; i-- {
		n = n<<8 | uint64(p[i])
	}
	shift := 64 - 8*len(p)
	return int64(n<<shift) >> shift
}
