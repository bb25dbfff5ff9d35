package element

import "encoding/binary"

const intsetHeader = 8 // bytes of a member in 4, members in 4

// Intset returns the members of an intset, in ascending order.
func Intset(b []byte) Items {
	it := Items{b: b, i: intsetHeader, end: len(b), form: formIntset}
	if len(b) < intsetHeader {
		it.fail("too short for a header")
		return it
	}
	width := binary.LittleEndian.Uint32(b)
	n := binary.LittleEndian.Uint32(b[4:])
	switch {
	case width != 2 && width != 4 && width != 8:
		it.fail("members of an impossible width")
	case uint64(n)*uint64(width) != uint64(len(b)-intsetHeader):
		it.fail("the header tells another length")
	}
	it.width, it.count = int(width), int(n)
	return it
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
