package element

import "encoding/binary"

const (
	zipmapLong = 254 // as a length: 4 bytes of it follow; as the count: too many
	zipmapEnd  = 255
)

// Zipmap returns the fields and values of a zipmap in turn. Bytes that an older
// value has left free behind a value are passed over.
func Zipmap(b []byte) Items {
	it := Items{b: b, i: 1, end: len(b) - 1, form: formZipmap, count: -1}
	switch {
	case len(b) < 2:
		it.fail("too short for a header")
	case b[it.end] != zipmapEnd:
		it.fail("no end mark")
	case b[0] < zipmapLong:
		it.count = 2 * int(b[0])
	}
	return it
}

func (it *Items) nextZipmap() bool {
	p := it.b[it.i:it.end]
	isValue := it.seen%2 == 1
	if len(p) == 0 {
		if isValue {
			return it.fail("field without a value")
		}
		return it.finish()
	}
	size, head := int(p[0]), 1
	switch p[0] {
	case zipmapEnd:
		return it.fail("end mark before the end")
	case zipmapLong:
		if len(p) < 5 {
			return it.fail("element reaches beyond the end")
		}
		size, head = clip(binary.LittleEndian.Uint32(p[1:])), 5
	}
	free := 0
	if isValue {
		if len(p) <= head {
			return it.fail("element reaches beyond the end")
		}
		free = int(p[head])
		head++
	}
	if head+size+free > len(p) {
		return it.fail("element reaches beyond the end")
	}
	it.i += head + size + free
	it.setText(p[head : head+size])
	return true
}
