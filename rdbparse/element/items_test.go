package element_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// walk returns the items of a blob as text.
func walk(it element.Items) (all []string, err error) {
	for it.Next() {
		all = append(all, string(it.Append(nil)))
	}
	return all, it.Err()
}

// bounds are numbers at which the width of an integer changes.
var bounds = []int64{0, 1, -1, 12, 13, 127, 128, -128, -129, 4095, 4096, -4096, -4097, 32767, 32768, -32768, -32769,
	1<<23 - 1, 1 << 23, -1 << 23, -1<<23 - 1, math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, math.MaxInt64, math.MinInt64}

func TestListpack(t *testing.T) {
	var items []item
	for _, n := range bounds {
		items = append(items, number(n), item{code: 0xf4, n: n})
	}
	for _, n := range []int{0, 1, 63, 64, 124, 125, 126, 127, 128, 4095, 4096, 16377, 16378, 16379, 16384, 1<<21 - 7, 1<<21 - 6, 1<<21 - 5} {
		items = append(items, text(strings.Repeat("x", n)), item{text: strings.Repeat("y", n), long: true})
	}
	checkWalk(t, element.Listpack(listpack(items...)), items)
	checkWalk(t, element.Listpack(shortListpack(items...)), items)
	checkWalk(t, element.Listpack(listpack()), nil)
	checkWalk(t, element.Listpack(listpack(slices.Repeat([]item{number(7)}, 70000)...)), slices.Repeat([]item{number(7)}, 70000))
}

func TestZiplist(t *testing.T) {
	items := []item{{code: 0xfe, n: 127}, {code: 0xfe, n: -128}, {code: 0xc0, n: 32767}, {code: 0xc0, n: -32768}, {code: 0xf0, n: 1<<23 - 1},
		{code: 0xf0, n: -1 << 23}, {code: 0xd0, n: math.MaxInt32}, {code: 0xd0, n: math.MinInt32}, {code: 0xe0, n: math.MaxInt64}, {code: 0xe0, n: math.MinInt64}}
	for n := int64(0); n <= 12; n++ {
		items = append(items, item{code: byte(0xf1 + n), n: n})
	}
	for _, n := range []int{0, 1, 63, 64, 250, 251, 252, 253, 254, 255, 16383, 16384, 100000} {
		items = append(items, text(strings.Repeat("x", n)), item{text: strings.Repeat("y", n), long: true})
	}
	checkWalk(t, element.Ziplist(ziplist(items...)), items)
	checkWalk(t, element.Ziplist(ziplist()), nil)
	checkWalk(t, element.Ziplist(ziplist(slices.Repeat([]item{text("q")}, 70000)...)), slices.Repeat([]item{text("q")}, 70000))
}

func TestIntset(t *testing.T) {
	for width, members := range map[int][]int64{2: {-32768, -1, 0, 7, 32767}, 4: {math.MinInt32, 0, math.MaxInt32}, 8: {math.MinInt64, -1, math.MaxInt64}} {
		var items []item
		for _, n := range members {
			items = append(items, number(n))
		}
		checkWalk(t, element.Intset(intset(width, members...)), items)
	}
}

func TestZipmap(t *testing.T) {
	pairs := []string{"", "", "a", "1", strings.Repeat("f", 253), strings.Repeat("v", 254), strings.Repeat("g", 255), strings.Repeat("w", 70000)}
	checkWalk(t, element.Zipmap(zipmap(0, pairs...)), texts(pairs...))
	checkWalk(t, element.Zipmap(zipmap(3, pairs...)), texts(pairs...))
	many := slices.Repeat([]string{"f", "v"}, 300)
	checkWalk(t, element.Zipmap(zipmap(0, many...)), texts(many...))
}

func checkWalk(t *testing.T, it element.Items, want []item) {
	t.Helper()
	got, err := walk(it)
	if err != nil {
		t.Error(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d items, expected %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i].String() {
			t.Fatalf("item %d is %.80q, expected %.80q", i, got[i], want[i])
		}
	}
}

func TestDamagedBlobs(t *testing.T) {
	change := func(b []byte, i int, c byte) []byte { b = bytes.Clone(b); b[i] = c; return b }
	lp, zl := listpack(text("abc"), number(5)), ziplist(text("abc"), text("d"))
	is, zm := intset(2, 1, 2), zipmap(1, "f", "v")
	for name, it := range map[string]element.Items{
		"listpack: empty":            element.Listpack(nil),
		"listpack: length":           element.Listpack(change(lp, 0, 99)),
		"listpack: end mark":         element.Listpack(change(lp, len(lp)-1, 0)),
		"listpack: count":            element.Listpack(change(lp, 4, 3)),
		"listpack: text too long":    element.Listpack(change(lp, 6, 0x80|60)),
		"listpack: claims 4 GiB":     element.Listpack(append(append(bytes.Clone(lp[:6]), 0xf0, 0xff, 0xff, 0xff), 0xff)),
		"listpack: back length":      element.Listpack(change(lp, 10, 9)),
		"listpack: early end":        element.Listpack(change(lp, 6, 0xff)),
		"listpack: no such code":     element.Listpack(change(lp, 6, 0xf5)),
		"ziplist: empty":             element.Ziplist(nil),
		"ziplist: length":            element.Ziplist(change(zl, 0, 99)),
		"ziplist: tail":              element.Ziplist(change(zl, 4, 10)),
		"ziplist: count":             element.Ziplist(change(zl, 8, 1)),
		"ziplist: length before":     element.Ziplist(change(zl, 15, 4)),
		"ziplist: text too long":     element.Ziplist(change(zl, 16, 63)),
		"ziplist: no such code":      element.Ziplist(change(zl, 16, 0xc1)),
		"ziplist: early end":         element.Ziplist(change(zl, 10, 0xff)),
		"intset: empty":              element.Intset(nil),
		"intset: width":              element.Intset(change(is, 0, 3)),
		"intset: count":              element.Intset(change(is, 4, 9)),
		"intset: order":              element.Intset(intset(2, 2, 1)),
		"intset: repeated":           element.Intset(intset(2, 2, 2)),
		"intset: claims 4 G members": element.Intset([]byte{8, 0, 0, 0, 255, 255, 255, 255}),
		"zipmap: empty":              element.Zipmap(nil),
		"zipmap: count":              element.Zipmap(change(zm, 0, 2)),
		"zipmap: text too long":      element.Zipmap(change(zm, 1, 99)),
		"zipmap: free":               element.Zipmap(change(zm, 4, 99)),
		"zipmap: field only":         element.Zipmap([]byte{1, 1, 'f', 255}),
		"zipmap: early end":          element.Zipmap(change(zm, 3, 255)),
	} {
		if all, err := walk(it); !errors.Is(err, element.ErrDamaged) {
			t.Errorf("%s: error %v, items %q", name, err, all)
		}
	}
}

// FuzzItems walks any bytes as a blob of each form. What is found must fill the
// blob, and building it again must give the same items.
func FuzzItems(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		a, b := fmt.Sprintf("%.300s", randomText(rnd)), fmt.Sprintf("%.70s", randomText(rnd))
		f.Add(uint8(0), listpack(text(a), number(int64(rnd.Uint64())), text(b)))
		f.Add(uint8(1), ziplist(text(a), item{code: 0xd0, n: 77}, text(b), item{code: 0xf4, n: 3}))
		f.Add(uint8(3), zipmap(2, a, b))
	}
	f.Add(uint8(2), intset(4, -7, 9, 100000))
	f.Fuzz(func(t *testing.T, form uint8, b []byte) {
		make4 := [...]func([]byte) element.Items{element.Listpack, element.Ziplist, element.Intset, element.Zipmap}
		before := bytes.Clone(b)
		it := make4[form%4](b)
		n, size := 0, 0
		var items []item
		for it.Next() {
			n++
			size += len(it.Text())
			if num, ok := it.Int(); ok {
				items = append(items, number(num))
			} else {
				items = append(items, text(string(it.Text())))
			}
		}
		if n > len(b) || size > len(b) || !bytes.Equal(before, b) {
			t.Fatalf("%d items, %d bytes of text in a blob of %d bytes", n, size, len(b))
		}
		if it.Next() || it.Err() != nil && !errors.Is(it.Err(), element.ErrDamaged) {
			t.Fatal(it.Err())
		}
		if it.Err() != nil {
			return
		}
		again, err := walk(element.Listpack(listpack(items...)))
		if err != nil || len(again) != n {
			t.Fatalf("built again: %d of %d items, %v", len(again), n, err)
		}
		for i := range again {
			if again[i] != items[i].String() {
				t.Fatalf("item %d: %q against %q", i, again[i], items[i])
			}
		}
	})
}
