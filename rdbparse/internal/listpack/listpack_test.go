package listpack_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse/internal/listpack"
)

// back is a back length in n bytes: 7 bits each, the lowest in the last one, and all
// but the first marked.
func back(size, n int) []byte {
	b := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		b[i] = byte(size & 127)
		if i > 0 {
			b[i] |= 128
		}
		size >>= 7
	}
	return b
}

// long is an element with a text of size bytes, of which the length takes 4.
func long(size int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{0xf0}, uint32(size))
	return append(b, bytes.Repeat([]byte("x"), size)...)
}

// elements are elements of every kind, each with the bytes of its back length.
var elements = []struct {
	e    []byte
	back int
}{
	{[]byte{0}, 1}, {[]byte{0x7f}, 1},
	{[]byte{0x80}, 1}, {append([]byte{0xbf}, bytes.Repeat([]byte("t"), 63)...), 1},
	{[]byte{0xc0, 1}, 1}, {[]byte{0xdf, 0xff}, 1},
	{append([]byte{0xe0, 125}, make([]byte, 125)...), 1},
	{append([]byte{0xe0, 126}, make([]byte, 126)...), 2},
	{append([]byte{0xef, 0xff}, make([]byte, 4095)...), 2},
	{long(4096), 2}, {long(1<<14 - 1 - 5 - 1), 2},
	{long(1<<14 - 1 - 5), 3}, {long(1<<14 - 1 - 5), 2}, // both are written
	{long(1 << 14), 3},
	{long(1<<21 - 1 - 5), 4}, {long(1<<21 - 1 - 5), 3},
	{[]byte{0xf1, 1, 2}, 1}, {[]byte{0xf2, 1, 2, 3}, 1}, {[]byte{0xf3, 1, 2, 3, 4}, 1},
	{[]byte{0xf4, 1, 2, 3, 4, 5, 6, 7, 8}, 1},
}

// pack makes a listpack of elements with back lengths, of which the header says that
// there are count.
func pack(count int, elems ...[]byte) []byte {
	b := make([]byte, listpack.Header)
	b = append(append(b, bytes.Join(elems, nil)...), listpack.End)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(count))
	return b
}

// TestCount counts elements that the header does not: every kind of them has to be
// stepped over, with either kind of back length.
func TestCount(t *testing.T) {
	var all [][]byte
	for _, x := range elements {
		one := append(bytes.Clone(x.e), back(len(x.e), x.back)...)
		all = append(all, one)
		b := pack(listpack.UnknownCount, one, []byte{5, 1})
		if n, ok := listpack.Count(b); n != 2 || !ok {
			t.Errorf("%d bytes that begin with %x, and a back length of %d: %d elements, %v", len(x.e), x.e[0], x.back, n, ok)
		}
	}
	b := pack(listpack.UnknownCount, all...)
	if n, ok := listpack.Count(b); n != uint64(len(all)) || !ok {
		t.Errorf("%d elements, %v, want %d", n, ok, len(all))
	}
	if n, ok := listpack.Count(pack(3, []byte{5, 1})); n != 3 || !ok {
		t.Errorf("the header says 3: %d, %v", n, ok)
	}
}

// TestNoListpack has bytes that are none.
func TestNoListpack(t *testing.T) {
	whole := pack(listpack.UnknownCount, []byte{5, 1}, append(long(100), back(105, 1)...))
	for name, b := range map[string][]byte{
		"empty":          {},
		"no end":         pack(listpack.UnknownCount)[:listpack.Header],
		"another length": append(bytes.Clone(whole), 0),
		"no element":     pack(listpack.UnknownCount, []byte{0xf5, 1}),
		"a long text":    pack(listpack.UnknownCount, long(100)[:50]),
		"of a whole GB":  pack(listpack.UnknownCount, []byte{0xf0, 0xff, 0xff, 0xff, 0xff}),
		"a length cut":   pack(listpack.UnknownCount, []byte{0xf0, 1}),
		"no end mark":    pack(listpack.UnknownCount, []byte{5, 1, 5}),
		"a number cut":   pack(listpack.UnknownCount, []byte{0xf4, 1}),
		"nothing behind": pack(listpack.UnknownCount, []byte{0x81}),
	} {
		if n, ok := listpack.Count(b); ok {
			t.Errorf("%s: %d elements", name, n)
		}
	}
}
