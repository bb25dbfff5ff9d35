package element_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// A vector is an element of a vector set.
type vector struct {
	name, attribute, values string
	links                   []uint64 // and what else follows from its place
	size                    uint64   // length and range of the vector
}

// vectorSet builds a vector set as Redis 8.0 writes it.
func vectorSet(flags uint64, matrix string, all ...vector) element.Value {
	const (
		number = 2
		text   = 5
	)
	v := []byte{0x81, 0xbd, 0xe7, 0x2d, 0xa2, 0xbb, 0x1e, 0xb4, 0x00} // the name vectorset, encoding 0
	v = append(v, lens(number, 3, number, uint64(len(all)), number, 16<<8|1, number, flags)...)
	if flags&1 != 0 {
		v = join(v, lens(number, 6, text), str(matrix))
	}
	for _, e := range all {
		v = join(v, lens(text), str(e.name))
		if flags&2 != 0 {
			v = join(v, lens(text), str(e.attribute))
		}
		v = join(v, lens(text), str(e.values), lens(number, uint64(len(e.links)+1)))
		for _, x := range append(slices.Clip(e.links), e.size) {
			v = append(v, lens(number, x)...)
		}
	}
	return value(rdbparse.TypeModule2, append(v, 0))
}

func TestVectorSets(t *testing.T) {
	a := vector{"a", `{"year":1950}`, "\x7f\x01\x02", []uint64{1, 2, 3}, 1 << 60}
	b := vector{"bb", "", "\x01\x7f\x02", []uint64{7}, 1 << 61}
	long := vector{"c", "", strings.Repeat("\x05", 100), nil, 9}
	linked := a
	linked.links = []uint64{9, 9}
	turned := b
	turned.values = "\x01\x7f\x03"
	renamed := b
	renamed.attribute = "x"
	scaled := b
	scaled.size++
	const elements = "elements of the vector set"
	for _, c := range []struct {
		name string
		x, y element.Value
		want string
	}{
		{"the same", vectorSet(2, "", a, b), vectorSet(2, "", a, b), ""},
		{"another order", vectorSet(2, "", a, b, long), vectorSet(2, "", long, b, a), ""},
		{"other links", vectorSet(3, "matrix", a, b), vectorSet(3, "matrix", b, linked), ""},
		{"another vector", vectorSet(0, "", a, b), vectorSet(0, "", a, turned), elements},
		{"another attribute", vectorSet(2, "", a, b), vectorSet(2, "", a, renamed), elements},
		{"another length of the vector", vectorSet(0, "", a, b), vectorSet(0, "", a, scaled), elements},
		{"one more", vectorSet(0, "", a, b), vectorSet(0, "", a), elements},
		{"another matrix", vectorSet(1, "matrix", a), vectorSet(1, "matrax", a), elements},
		{"attributes", vectorSet(2, "", b), vectorSet(0, "", b), elements},
		{"an unknown layout", vectorSet(8, "", a, b), vectorSet(8, "", b, a), "bytes of the module value (71 against 71)"},
	} {
		for range 2 {
			diff, err := element.Diff(c.x, c.y)
			if err != nil || diff.What != c.want {
				t.Errorf("%s: %q, %v", c.name, diff.What, err)
			}
			c.x, c.y = c.y, c.x
		}
	}
	// Cut at any place, a value is not the same, and nothing else happens.
	whole := vectorSet(3, "matrix", a, b)
	other := vectorSet(3, "matrix", b, a)
	for n := 9; n < len(other.Raw); n++ {
		cut := value(rdbparse.TypeModule2, other.Raw[:n:n])
		if diff, err := element.Diff(whole, cut); err != nil || diff.Same() {
			t.Errorf("cut to %d of %d bytes: %v, %v", n, len(other.Raw), diff, err)
		}
	}
}
