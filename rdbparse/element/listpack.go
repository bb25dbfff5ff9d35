package element

import "encoding/binary"

const listpackHeader = 6 // total bytes in 4, elements in 2

// Listpack returns the elements of a listpack.
func Listpack(b []byte) (it Items) {
	it.listpack(b, int64(len(b)))
	it.inMemory(b)
	return it
}

// listpack begins to walk a listpack of size bytes that starts with b.
func (it *Items) listpack(b []byte, size int64) {
	it.b, it.i, it.form, it.count = b, listpackHeader, formListpack, -1
	switch {
	case size < listpackHeader+1:
		it.fail("too short for a header")
	case int64(binary.LittleEndian.Uint32(b)) != size:
		it.fail("the header tells another length")
	default:
		if n := int(binary.LittleEndian.Uint16(b[4:])); n != unknownCount {
			it.count = n
		}
	}
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
	case c <= 0xf0:
		head, text = listpackText(p)
	case c <= 0xf4:
		head, num = 1, [...]int{2, 3, 4, 8}[c-0xf1]
	case c == endMark:
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

// listpackText returns the bytes before the text that p starts with, and of the text;
// 0 for an element that is none. What p is too short for counts as 0.
func listpackText(p []byte) (head, text int) {
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
			text = clip(binary.LittleEndian.Uint32(p[1:]))
		}
		return 5, text
	}
	return 0, 0
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
