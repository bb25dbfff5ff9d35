package element_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// lzf is "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" (36) compressed.
var lzf = append([]byte{0xc3, 6, 36}, 1, 'a', 'a', 0xe0, 25, 0)

// streamNode is a node with the id 5-1 that holds 5-1 with fields of its own, a
// deleted entry, and 7-0 and 4-9 with the master's.
var streamNode = listpack(
	number(3), number(1), number(2), text("f"), number(10), number(0),
	number(0), number(0), number(0), number(2), text("x"), text("1"), text("x"), number(2), number(8),
	number(3), number(1), number(5), text("gone"), text("gone"), number(5),
	number(2), number(2), number(-1), text("v"), number(1000), number(5),
	number(2), number(-1), number(8), text("w"), text(""), number(5),
)

const (
	nodeText = "5-1 [\"x\" \"1\" \"x\" \"2\"]\n7-0 [\"f\" \"v\" \"10\" \"1000\"]\n4-9 [\"f\" \"w\" \"10\" \"\"]\n"
	infoText = "stream {Length:3 LastID:9-9 FirstID:4-9 MaxDeletedID:6-6 EntriesAdded:1000}\n"
)

// stream builds a stream of a type: what each part adds follows the type.
func stream(t rdbparse.Type) []byte {
	v := join(lens(1), str(rawID(5, 1)), str(streamNode), lens(3, 9, 9))
	if t >= rdbparse.TypeStreamListpacks2 {
		v = append(v, lens(4, 9, 6, 6, 1000)...)
	}
	v = join(v, lens(1), str("grp"), lens(7, 0))
	if t >= rdbparse.TypeStreamListpacks2 {
		v = append(v, lens(math.MaxUint64)...)
	}
	entries := []uint64{5, 7}
	if t >= rdbparse.TypeStreamListpacks5 {
		entries = append(entries, 8)
	}
	v = append(v, lens(uint64(len(entries)))...)
	for _, ms := range entries {
		v = join(v, rawID(ms, 1), u64(1000), lens(2))
	}
	v = append(v, lens(2)...)
	for i, name := range []string{"al", "bo"} {
		v = join(v, str(name), u64(2000))
		if t >= rdbparse.TypeStreamListpacks3 {
			v = append(v, u64(-1)...)
		}
		v = join(v, lens(1), rawID(entries[i], 1))
	}
	if t >= rdbparse.TypeStreamListpacks5 {
		v = join(v, lens(1), rawID(8, 1))
	}
	if t >= rdbparse.TypeStreamListpacks4 {
		v = join(v, lens(100, 50, 1), str("prod"), lens(1), str("iid"), lens(7, 0), lens(12, 3))
	}
	return v
}

// values are one of each type and what is in it.
var values = []struct {
	name string
	t    rdbparse.Type
	raw  []byte
	want string
}{
	{"string", rdbparse.TypeString, str("hello"), "\"hello\"\n"},
	{"empty string", rdbparse.TypeString, str(""), "\"\"\n"},
	{"int8", rdbparse.TypeString, []byte{0xc0, 0x80}, "\"-128\"\n"},
	{"int16", rdbparse.TypeString, []byte{0xc1, 0, 0x80}, "\"-32768\"\n"},
	{"int32", rdbparse.TypeString, []byte{0xc2, 0xff, 0xff, 0xff, 0x7f}, "\"2147483647\"\n"},
	{"lzf", rdbparse.TypeString, lzf, "\"" + strings.Repeat("a", 36) + "\"\n"},
	{"list", rdbparse.TypeList, join(lens(3), str("a"), []byte{0xc0, 7}, lzf), "\"a\"\n\"7\"\n\"" + strings.Repeat("a", 36) + "\"\n"},
	{"set", rdbparse.TypeSet, join(lens(2), str("a"), []byte{0xc0, 7}), "\"a\"\n\"7\"\n"},
	{"zset", rdbparse.TypeZSet, join(lens(4), str("a"), str("1.5"), str("b"), []byte{254}, str("c"), []byte{255}, str("d"), str("4.9406564584124654e-324")),
		"\"a\" 1.5\n\"b\" +Inf\n\"c\" -Inf\n\"d\" 5e-324\n"},
	{"zset 2", rdbparse.TypeZSet2, join(lens(2), str("a"), f64(0.1), str("b"), f64(math.Inf(-1))), "\"a\" 0.1\n\"b\" -Inf\n"},
	{"hash", rdbparse.TypeHash, join(lens(1), []byte{0xc0, 1}, []byte{0xc0, 2}), "\"1\"=\"2\" @0\n"},
	{"zipmap", rdbparse.TypeHashZipmap, str(zipmap(2, "f", "v")), "\"f\"=\"v\" @0\n"},
	{"list ziplist", rdbparse.TypeListZiplist, str(ziplist(text("a"), item{code: 0xf4, n: 3})), "\"a\"\n\"3\"\n"},
	{"intset", rdbparse.TypeSetIntset, str(intset(2, -1, 5)), "\"-1\"\n\"5\"\n"},
	{"zset ziplist", rdbparse.TypeZSetZiplist, str(ziplist(text("a"), text("1.5"), text("b"), item{code: 0xfe, n: -2})), "\"a\" 1.5\n\"b\" -2\n"},
	{"hash ziplist", rdbparse.TypeHashZiplist, str(ziplist(item{code: 0xf2, n: 1}, item{code: 0xf3, n: 2})), "\"1\"=\"2\" @0\n"},
	{"quicklist", rdbparse.TypeListQuicklist, join(lens(3), str(ziplist(text("a"), text("b"))), str(ziplist()), str(ziplist(text("c")))), "\"a\"\n\"b\"\n\"c\"\n"},
	{"hash listpack", rdbparse.TypeHashListpack, str(listpack(number(1), number(2))), "\"1\"=\"2\" @0\n"},
	{"zset listpack", rdbparse.TypeZSetListpack, str(listpack(text("a"), text("-inf"), text("b"), number(3))), "\"a\" -Inf\n\"b\" 3\n"},
	{"quicklist 2", rdbparse.TypeListQuicklist2, join(lens(2, 1), str("big"), lens(2), str(listpack(text("a"), number(9)))), "\"big\"\n\"a\"\n\"9\"\n"},
	{"set listpack", rdbparse.TypeSetListpack, str(listpack(text("a"), number(9))), "\"a\"\n\"9\"\n"},
	{"hash 22 of Redis", rdbparse.TypeHashMetadataPreGA, join(lens(2, 0), str("f"), str("v"), lens(1234567890123), str("g"), str("w")), "\"f\"=\"v\" @0\n\"g\"=\"w\" @1234567890123\n"},
	{"hash 23 of Redis", rdbparse.TypeHashListpackExPreGA, str(listpack(text("g"), text("w"), number(1234567890123), text("f"), text("v"), number(0))), "\"g\"=\"w\" @1234567890123\n\"f\"=\"v\" @0\n"},
	{"hash metadata", rdbparse.TypeHashMetadata, join(u64(1000), lens(3, 0), str("f"), str("v"), lens(1), str("g"), str("w"), lens(11), str("h"), str("x")), "\"f\"=\"v\" @0\n\"g\"=\"w\" @1000\n\"h\"=\"x\" @1010\n"},
	{"hash listpack ex", rdbparse.TypeHashListpackEx, join(u64(1000), str(listpack(text("g"), text("w"), number(1000), text("f"), text("v"), number(0)))), "\"g\"=\"w\" @1000\n\"f\"=\"v\" @0\n"},
	{"hash 22 of Valkey", rdbparse.TypeHash2, join(lens(3), str("f"), str("v"), u64(-1), str("g"), str("w"), u64(1234), str("h"), str("x"), u64(0)), "\"f\"=\"v\" @0\n\"g\"=\"w\" @1234\n\"h\"=\"x\" @1\n"},
	{"array", rdbparse.TypeArray, join(lens(4, 1, 77), lens(0, 0), str("a"), lens(5, 1), u64(-3), lens(9, 2), f64(1.5), lens(10, 3), str("b")), "[0]=\"a\"\n[5]=\"-3\"\n[9]=\"1.5\"\n[10]=\"b\"\n"},
	{"template listpack", rdbparse.TypeHashTmplLP, join(lens(0), str(listpack(text("f"), number(7))), str(listpack(number(3), text("v"), number(8)))), "\"f\"=\"v\" @0\n\"7\"=\"8\" @0\n"},
	{"template listpack, plain names", rdbparse.TypeHashTmplLP, join(lens(1, 2), str("f"), []byte{0xc0, 7}, str(listpack(number(3), text("v"), number(8)))), "\"f\"=\"v\" @0\n\"7\"=\"8\" @0\n"},
	{"template array", rdbparse.TypeHashTmplArray, join(lens(1, 2), str("f"), str("g"), str("v"), lzf), "\"f\"=\"v\" @0\n\"g\"=\"" + strings.Repeat("a", 36) + "\" @0\n"},
	{"template array, packed names", rdbparse.TypeHashTmplArray, join(lens(0), str(listpack(text("f"), text("g"))), str("v"), str("w")), "\"f\"=\"v\" @0\n\"g\"=\"w\" @0\n"},
	{"stream", rdbparse.TypeStreamListpacks, stream(rdbparse.TypeStreamListpacks), nodeText + "stream {Length:3 LastID:9-9 FirstID:0-0 MaxDeletedID:0-0 EntriesAdded:0}\n" +
		"group \"grp\" last 7-0 read 0\npending 5-1 at 1000, 2 times\npending 7-1 at 1000, 2 times\n" +
		"consumer \"al\" seen 2000 active -1\nowned 5-1\nconsumer \"bo\" seen 2000 active -1\nowned 7-1\n"},
	{"stream 2", rdbparse.TypeStreamListpacks2, stream(rdbparse.TypeStreamListpacks2), nodeText + infoText + groupText},
	{"stream 3", rdbparse.TypeStreamListpacks3, stream(rdbparse.TypeStreamListpacks3), nodeText + infoText + groupText},
	{"stream 4", rdbparse.TypeStreamListpacks4, stream(rdbparse.TypeStreamListpacks4), nodeText + infoText + groupText + idempotenceText},
	{"stream 5", rdbparse.TypeStreamListpacks5, stream(rdbparse.TypeStreamListpacks5), nodeText + infoText +
		strings.Replace(groupText, "consumer", "pending 8-1 at 1000, 2 times\nconsumer", 1) + "returned 8-1\n" + idempotenceText},
}

const (
	groupText = "group \"grp\" last 7-0 read -1\npending 5-1 at 1000, 2 times\npending 7-1 at 1000, 2 times\n" +
		"consumer \"al\" seen 2000 active -1\nowned 5-1\nconsumer \"bo\" seen 2000 active -1\nowned 7-1\n"
	idempotenceText = "idempotence 100 50\nproducer \"prod\"\nproduced \"iid\" 7-0\nidempotence 12 3\n"
)

func value(t rdbparse.Type, raw []byte) element.Value { return element.Value{Type: t.Info(), Raw: raw} }

func TestReader(t *testing.T) {
	for _, c := range values {
		v := value(c.t, c.raw)
		got, err := render(element.Open(v))
		if err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nexpected\n%s", c.name, err, got, c.want)
		}
		one := iotest.OneByteReader(bytes.NewReader(c.raw))
		if got, err = render(element.NewReader(window.New(one, 16), v.Type)); err != nil || got != c.want {
			t.Errorf("%s, byte by byte: %v\n%s", c.name, err, got)
		}
		for n := range c.raw {
			if _, err := render(element.Open(value(c.t, c.raw[:n]))); !errors.Is(err, element.ErrDamaged) {
				t.Errorf("%s cut to %d of %d bytes: %v", c.name, n, len(c.raw), err)
			}
		}
		var fault *element.Error
		if _, err = render(element.Open(value(c.t, append(bytes.Clone(c.raw), 1)))); !errors.As(err, &fault) || fault.Offset != int64(len(c.raw)) {
			t.Errorf("%s with a byte more: %v", c.name, err)
		}
	}
}

func TestTemplateRefs(t *testing.T) {
	const want = "\"f\"=\"v\" @0\n\"7\"=\"8\" @0\n"
	fields := join(str("f"), []byte{0xc0, 7})
	for _, v := range []element.Value{
		{Type: rdbparse.TypeHashTmplLPRef.Info(), Raw: str(listpack(number(3), text("v"), number(8))), Fields: fields},
		{Type: rdbparse.TypeHashTmplArrayRef.Info(), Raw: join(lens(3), str("v"), []byte{0xc0, 8}), Fields: fields},
	} {
		if got, err := render(element.Open(v)); err != nil || got != want {
			t.Errorf("%s: %v\n%s", v.Type.Name, err, got)
		}
		for _, to := range []rdbparse.Type{v.Type.Type - 1, rdbparse.TypeHash} {
			raw, err := element.Convert(nil, v, to, element.Options{})
			if got, err2 := render(element.Open(value(to, raw))); err != nil || err2 != nil || got != want {
				t.Errorf("%s to %v: %v, %v\n%s", v.Type.Name, to, err, err2, got)
			}
		}
		v.Fields = nil
		if _, err := render(element.Open(v)); !errors.Is(err, element.ErrTemplate) {
			t.Errorf("%s without its names: %v", v.Type.Name, err)
		}
	}
}

func TestDamagedValues(t *testing.T) {
	for name, v := range map[string]element.Value{
		"score NaN in bits":     value(rdbparse.TypeZSet2, join(lens(1), str("a"), f64(math.NaN()))),
		"score NaN, old":        value(rdbparse.TypeZSet, join(lens(1), str("a"), []byte{253})),
		"score with underscore": value(rdbparse.TypeZSet, join(lens(1), str("a"), str("1_0"))),
		"score NaN as text":     value(rdbparse.TypeZSet, join(lens(1), str("a"), str("nan"))),
		"score NaN in listpack": value(rdbparse.TypeZSetListpack, str(listpack(text("a"), text("nan")))),
		"score no number":       value(rdbparse.TypeZSetListpack, str(listpack(text("a"), text("1x")))),
		"member without score":  value(rdbparse.TypeZSetListpack, str(listpack(text("a")))),
		"field without expiry":  value(rdbparse.TypeHashListpackEx, join(u64(0), str(listpack(text("f"), text("v"))))),
		"expiry as text":        value(rdbparse.TypeHashListpackEx, join(u64(0), str(listpack(text("f"), text("v"), text("x"))))),
		"expiry too great":      value(rdbparse.TypeHashMetadata, join(u64(-1), lens(1, 5), str("f"), str("v"))),
		"expiry negative":       value(rdbparse.TypeHash2, join(lens(1), str("f"), str("v"), u64(-2))),
		"container":             value(rdbparse.TypeListQuicklist2, join(lens(1, 3), str("x"))),
		"blob as integer":       value(rdbparse.TypeHashListpack, []byte{0xc0, 1}),
		"lzf of another length": value(rdbparse.TypeString, append([]byte{0xc3, 6, 37}, lzf[3:]...)),
		"stream node id":        value(rdbparse.TypeStreamListpacks, join(lens(1), str("short"), str(streamNode), lens(0, 0, 0, 0))),
		"stream node twice":     value(rdbparse.TypeStreamListpacks, join(lens(2), str(rawID(5, 1)), str(streamNode), str(rawID(5, 1)), str(streamNode), lens(6, 9, 9, 0))),
		"template form":         value(rdbparse.TypeHashTmplArray, lens(2)),
		"template values":       value(rdbparse.TypeHashTmplLP, join(lens(1, 1), str("f"), str(listpack(number(1))))),
		"array tag":             value(rdbparse.TypeArray, join(lens(1, 0), lens(0, 4), u64(1))),
	} {
		var fault *element.Error
		if got, err := render(element.Open(v)); !errors.Is(err, element.ErrDamaged) || !errors.As(err, &fault) || fault.Type != v.Type.Type {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// TestClaims opens values whose lengths claim gigabytes, and measures.
func TestClaims(t *testing.T) {
	huge := []byte{0x80, 0xff, 0xff, 0xff, 0xff}
	for name, v := range map[string]element.Value{
		"string":   value(rdbparse.TypeString, append(bytes.Clone(huge), 'x')),
		"lzf":      value(rdbparse.TypeString, join([]byte{0xc3}, lens(3<<18, 200<<20), bytes.Repeat([]byte{1, 'a', 'a'}, 1<<18))),
		"list":     value(rdbparse.TypeList, append(bytes.Clone(huge), str("x")...)),
		"listpack": value(rdbparse.TypeHashListpack, str([]byte{255, 255, 255, 255, 255, 255, 0xf0, 255, 255, 255, 127, 255})),
		"fields": value(rdbparse.TypeStreamListpacks, join(lens(1), str(rawID(0, 0)),
			str(listpack(number(math.MaxInt64), number(math.MaxInt64), number(math.MaxInt64), text("f"))))),
		"entries": value(rdbparse.TypeStreamListpacks, join(lens(1), str(rawID(0, 0)),
			str(listpack(number(math.MaxInt64), number(0), number(0), number(0))))),
		"pending": value(rdbparse.TypeStreamListpacks, join(lens(0, 0, 0, 0, 1), str("g"), lens(0, 0), huge)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := render(element.Open(v))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, element.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
}

func TestOpaque(t *testing.T) {
	for _, typ := range []rdbparse.Type{rdbparse.TypeModule2, rdbparse.TypePathHash, rdbparse.TypeKeyDBCron} {
		if _, err := render(element.Open(value(typ, []byte{1}))); !errors.Is(err, element.ErrOpaque) {
			t.Errorf("%v: %v", typ, err)
		}
	}
	if _, err := render(element.Open(element.Value{Raw: []byte{1}})); !errors.Is(err, element.ErrOpaque) {
		t.Errorf("no type: %v", err)
	}
}

// TestAllocations opens each value again and again with one Reader.
func TestAllocations(t *testing.T) {
	for _, c := range values {
		v := value(c.t, c.raw)
		r := element.Open(v)
		for r.Next() { // the buffers grow
		}
		n := testing.AllocsPerRun(20, func() {
			r.Reset(v)
			for r.Next() {
			}
		})
		if n != 0 || r.Err() != nil {
			t.Errorf("%s: %v allocations, %v", c.name, n, r.Err())
		}
	}
}

// members is a sorted set of n members as an endless source gives it.
type members struct {
	i, n int
	buf  []byte
}

func (m *members) Read(p []byte) (int, error) {
	for len(m.buf) == 0 {
		if m.i == m.n {
			return 0, io.EOF
		}
		if m.i == 0 {
			m.buf = length(uint64(m.n))
		}
		m.buf = append(m.buf, "\x0dmember"...)
		m.buf = strconv.AppendInt(m.buf, int64(1000000+m.i), 10)
		m.buf = binary.LittleEndian.AppendUint64(m.buf, math.Float64bits(float64(m.i)))
		m.i++
	}
	n := copy(p, m.buf)
	m.buf = append(m.buf[:0], m.buf[n:]...)
	return n, nil
}

// TestStreamed reads a sorted set of 20 MB from a stream through a small window.
func TestStreamed(t *testing.T) {
	const n = 1000000
	var before, after runtime.MemStats
	w := window.New(&members{n: n}, 4096)
	r := element.NewReader(w, rdbparse.TypeZSet2.Info())
	runtime.ReadMemStats(&before)
	sum := 0.0
	for r.Next() {
		sum += r.Element().Score
	}
	runtime.ReadMemStats(&after)
	if r.Err() != nil || sum != float64(n)*(n-1)/2 || w.Offset() != 5+22*n {
		t.Errorf("%v, sum %v, offset %d", r.Err(), sum, w.Offset())
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<16 {
		t.Errorf("%d bytes allocated", used)
	}
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
