package element_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
)

// An item of a blob to be built: a text, or the form in which an integer is
// stored.
type item struct {
	text string
	code byte // of the integer; 0 for a text
	n    int64
	long bool // the text with a length of 32 bits
}

func text(s string) item { return item{text: s} }

func texts(all ...string) (items []item) {
	for _, s := range all {
		items = append(items, text(s))
	}
	return items
}

// number stores n as a listpack does.
func number(n int64) item {
	switch {
	case n >= 0 && n < 128:
		return item{code: 1, n: n}
	case n >= -4096 && n < 4096:
		return item{code: 0xc0, n: n}
	case n == int64(int16(n)):
		return item{code: 0xf1, n: n}
	case n == int64(int32(n)<<8>>8):
		return item{code: 0xf2, n: n}
	case n == int64(int32(n)):
		return item{code: 0xf3, n: n}
	}
	return item{code: 0xf4, n: n}
}

func (it item) String() string {
	if it.code != 0 {
		return strconv.FormatInt(it.n, 10)
	}
	return it.text
}

func (it item) listpack() []byte {
	le := binary.LittleEndian.AppendUint64(nil, uint64(it.n))
	switch it.code {
	case 0:
		n := len(it.text)
		switch {
		case it.long || n >= 4096:
			return append(binary.LittleEndian.AppendUint32([]byte{0xf0}, uint32(n)), it.text...)
		case n >= 64:
			return append([]byte{0xe0 | byte(n>>8), byte(n)}, it.text...)
		}
		return append([]byte{0x80 | byte(n)}, it.text...)
	case 1:
		return []byte{byte(it.n)}
	case 0xc0:
		return []byte{0xc0 | byte(it.n>>8)&0x1f, byte(it.n)}
	}
	return append([]byte{it.code}, le[:map[byte]int{0xf1: 2, 0xf2: 3, 0xf3: 4, 0xf4: 8}[it.code]]...)
}

func listpack(items ...item) []byte { return listpackOf(0, items...) }

// shortListpack builds one as Valkey 9.1 writes it.
func shortListpack(items ...item) []byte { return listpackOf(1, items...) }

func listpackOf(more int, items ...item) []byte {
	b := make([]byte, 6)
	for _, it := range items {
		e := it.listpack()
		b = append(append(b, e...), backLength(len(e), more)...)
	}
	b = append(b, 0xff)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(min(len(items), 65535)))
	return b
}

// backLength is written as the servers' own code reads it: from its last byte on.
// All but the first limit are one too low, unless more is 1.
func backLength(size, more int) (b []byte) {
	limits := []int{128, 1<<14 - 1 + more, 1<<21 - 1 + more, 1<<28 - 1 + more}
	n := 1
	for n < 5 && size >= limits[n-1] {
		n++
	}
	for k := n - 1; k >= 0; k-- {
		c := byte(size>>(7*k)) & 127
		if k < n-1 {
			c |= 128
		}
		b = append(b, c)
	}
	return b
}

// ziplist builds one; codes of integers are the ziplist's own, 0xf1 to 0xfd the
// number itself.
func ziplist(items ...item) []byte {
	b := make([]byte, 10)
	before, tail := 0, 10
	for _, it := range items {
		tail = len(b)
		if before < 254 {
			b = append(b, byte(before))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, 254), uint32(before))
		}
		b = append(b, it.ziplist()...)
		before = len(b) - tail
	}
	b = append(b, 0xff)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[4:], uint32(tail))
	binary.LittleEndian.PutUint16(b[8:], uint16(min(len(items), 65535)))
	return b
}

func (it item) ziplist() []byte {
	le := binary.LittleEndian.AppendUint64(nil, uint64(it.n))
	switch it.code {
	case 0:
		n := len(it.text)
		switch {
		case it.long || n >= 1<<14:
			return append(binary.BigEndian.AppendUint32([]byte{0x80}, uint32(n)), it.text...)
		case n >= 64:
			return append([]byte{0x40 | byte(n>>8), byte(n)}, it.text...)
		}
		return append([]byte{byte(n)}, it.text...)
	case 0xc0, 0xd0, 0xe0, 0xf0, 0xfe:
		return append([]byte{it.code}, le[:map[byte]int{0xc0: 2, 0xd0: 4, 0xe0: 8, 0xf0: 3, 0xfe: 1}[it.code]]...)
	}
	return []byte{it.code}
}

func intset(width int, members ...int64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(width))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(members)))
	for _, n := range members {
		b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(n))[:width]...)
	}
	return b
}

// zipmap builds one with free bytes behind each value.
func zipmap(free int, pairs ...string) []byte {
	b := []byte{byte(min(len(pairs)/2, 254))}
	for i, s := range pairs {
		if len(s) < 254 {
			b = append(b, byte(len(s)))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, 254), uint32(len(s)))
		}
		if i%2 == 1 {
			b = append(b, byte(free))
		}
		b = append(b, s...)
		if i%2 == 1 {
			b = append(b, make([]byte, free)...)
		}
	}
	return append(b, 0xff)
}

// length, str and f64 build the parts of a value.
func length(n uint64) []byte {
	switch {
	case n < 64:
		return []byte{byte(n)}
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32([]byte{0x80}, uint32(n))
	}
	return binary.BigEndian.AppendUint64([]byte{0x81}, n)
}

func str[T string | []byte](s T) []byte { return append(length(uint64(len(s))), s...) }

func u64(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }

func f64(x float64) []byte { return u64(int64(math.Float64bits(x))) }

func rawID(ms, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, ms), seq)
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// lens joins lengths.
func lens(all ...uint64) (b []byte) {
	for _, n := range all {
		b = append(b, length(n)...)
	}
	return b
}

// randomText returns a text as users have them: short and long, numbers of every
// width, binary, and of the lengths at which encodings change.
func randomText(rnd *rand.Rand) string {
	switch rnd.IntN(6) {
	case 0:
		return strconv.FormatInt(int64(rnd.Uint64())>>rnd.IntN(64), 10)
	case 1:
		return strconv.Itoa(rnd.IntN(200) - 50)
	case 2:
		edges := []int{0, 1, 20, 21, 62, 63, 64, 65, 121, 122, 125, 126, 127, 128, 249, 250, 251, 252, 253, 254, 255, 256, 4093, 4094, 4095, 4096, 16377, 16378, 16379, 16380, 16383, 16384}
		b := make([]byte, edges[rnd.IntN(len(edges))])
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	case 3: // compressible
		b := make([]byte, rnd.IntN(3000))
		for i := range b {
			b[i] = "ab"[i/50%2]
		}
		return string(b)
	}
	b := make([]byte, rnd.IntN(40))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return string(b)
}
