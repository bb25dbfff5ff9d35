package element

import (
	"encoding/binary"

	"github.com/rdbimport/rdbimport/rdbparse/internal/listpack"
)

// Listpack returns the elements of a listpack.
func Listpack(b []byte) (it Items) {
	it.listpack(b, int64(len(b)))
	it.inMemory(b)
	return it
}

// listpack begins to walk a listpack of size bytes that starts with b.
func (it *Items) listpack(b []byte, size int64) {
	it.b, it.i, it.form, it.count = b, listpack.Header, formListpack, -1
	switch {
	case size < listpack.Header+1:
		it.fail("too short for a header")
	case int64(binary.LittleEndian.Uint32(b)) != size:
		it.fail("the header tells another length")
	default:
		if n := int(binary.LittleEndian.Uint16(b[4:])); n != listpack.UnknownCount {
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
	size, num := listpack.Number(c)
	head := 0
	if size == 0 {
		var text int
		head, text = listpack.Text(p)
		size = head + text
	}
	switch {
	case size > 0:
	case c == endMark:
		return it.fail("end mark before the end")
	default:
		return it.fail("no kind of element")
	}
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
