package element

import "encoding/binary"

const zipmapLong = 254 // as a length: 4 bytes of it follow; as the count: too many

// Zipmap returns the fields and values of a zipmap in turn. Bytes that an older
// value has left free behind a value are passed over.
func Zipmap(b []byte) (it Items) {
	it.zipmap(b, int64(len(b)))
	it.inMemory(b)
	return it
}

// zipmap begins to walk a zipmap of size bytes that starts with b.
func (it *Items) zipmap(b []byte, size int64) {
	it.b, it.i, it.form, it.count = b, 1, formZipmap, -1
	switch {
	case size < 2:
		it.fail("too short for a header")
	case b[0] < zipmapLong:
		it.count = 2 * int(b[0])
	}
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
	if p[0] == endMark {
		return it.fail("end mark before the end")
	}
	size, head := zipmapSize(p)
	if head > len(p) {
		return it.fail("element reaches beyond the end")
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

// zipmapSize returns the length of the text that p starts with, and the bytes that
// the length takes, which may be more than p has.
func zipmapSize(p []byte) (size, head int) {
	if p[0] != zipmapLong {
		return int(p[0]), 1
	}
	if len(p) >= 5 {
		size = clip(binary.LittleEndian.Uint32(p[1:]))
	}
	return size, 5
}
