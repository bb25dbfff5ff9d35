package element

import "encoding/binary"

const intsetHeader = 8 // bytes of a member in 4, members in 4

// Intset returns the members of an intset, in ascending order.
func Intset(b []byte) (it Items) {
	it.intset(b, int64(len(b)))
	it.end = len(b)
	return it
}

// intset begins to walk an intset of size bytes that starts with b.
func (it *Items) intset(b []byte, size int64) {
	it.b, it.i, it.form, it.count = b, intsetHeader, formIntset, 0
	if size < intsetHeader {
		it.fail("too short for a header")
		return
	}
	width := binary.LittleEndian.Uint32(b)
	n := binary.LittleEndian.Uint32(b[4:])
	switch {
	case width != 2 && width != 4 && width != 8:
		it.fail("members of an impossible width")
	case uint64(n)*uint64(width) != uint64(size-intsetHeader):
		it.fail("the header tells another length")
	}
	it.width, it.count = int(width), int(n)
}

func (it *Items) nextIntset() bool {
	if it.i >= it.end {
		return it.finish()
	}
	n := littleEndian(it.b[it.i : it.i+it.width])
	if it.seen > 0 && n <= it.num {
		return it.fail("members are not in ascending order")
	}
	it.i += it.width
	it.setInt(n)
	return true
}
