package element_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// TestEqualEncodings compares values that mean the same in other encodings.
func TestEqualEncodings(t *testing.T) {
	zero, minus := f64(0), f64(math.Copysign(0, -1))
	for name, pair := range map[string][2]element.Value{
		"string":      {value(rdbparse.TypeString, []byte{0xc0, 12}), value(rdbparse.TypeString, str("12"))},
		"list":        {value(rdbparse.TypeList, join(lens(2), str("1"), str("a"))), value(rdbparse.TypeListQuicklist2, join(lens(2, 2), str(listpack(number(1))), lens(1), str("a")))},
		"set":         {value(rdbparse.TypeSet, join(lens(3), str("3"), str("-1"), str("2"))), value(rdbparse.TypeSetIntset, str(intset(2, -1, 2, 3)))},
		"zset":        {value(rdbparse.TypeZSet, join(lens(2), str("a"), str("0.10000000000000001"), str("b"), str("1e+20"))), value(rdbparse.TypeZSetListpack, str(listpack(text("b"), text("100000000000000000000"), text("a"), text("0.1"))))},
		"minus zero":  {value(rdbparse.TypeZSet2, join(lens(1), str("a"), zero)), value(rdbparse.TypeZSet2, join(lens(1), str("a"), minus))},
		"hash":        {value(rdbparse.TypeHash, join(lens(2), str("1"), str("x"), str("b"), str("2"))), value(rdbparse.TypeHashZiplist, str(ziplist(text("b"), item{code: 0xf3, n: 2}, item{code: 0xf2, n: 1}, text("x"))))},
		"expiry":      {value(rdbparse.TypeHashMetadata, join(u64(100), lens(2, 1), str("f"), str("v"), lens(0), str("g"), str("w"))), value(rdbparse.TypeHash2, join(lens(2), str("g"), str("w"), u64(-1), str("f"), str("v"), u64(100)))},
		"no expiry":   {value(rdbparse.TypeHashMetadata, join(u64(100), lens(1, 0), str("f"), str("v"))), value(rdbparse.TypeHash, join(lens(1), str("f"), str("v")))},
		"array":       {value(rdbparse.TypeArray, join(lens(2, 0), lens(1, 0), str("7"), lens(2, 0), str("b"))), value(rdbparse.TypeArray, join(lens(2, 0), lens(2, 3), str("b"), lens(1, 1), u64(7)))},
		"same bytes":  {value(rdbparse.TypeModule2, []byte{1, 2}), value(rdbparse.TypeModule2, []byte{1, 2})},
		"stream 1, 2": {value(rdbparse.TypeStreamListpacks, stream(rdbparse.TypeStreamListpacks)), value(rdbparse.TypeStreamListpacks2, stream(rdbparse.TypeStreamListpacks2))},
		"stream 3, 4": {value(rdbparse.TypeStreamListpacks3, stream(rdbparse.TypeStreamListpacks3)), value(rdbparse.TypeStreamListpacks4, stream(rdbparse.TypeStreamListpacks4))},
	} {
		for range 2 {
			if same, err := element.Equal(pair[0], pair[1]); err != nil || !same {
				diff, _ := element.Diff(pair[0], pair[1])
				t.Errorf("%s: %v (%v)", name, err, diff)
			}
			pair[0], pair[1] = pair[1], pair[0]
		}
	}
}

func TestDifferences(t *testing.T) {
	hash := func(at int64, fields ...string) element.Value {
		v := length(uint64(len(fields) / 2))
		for i := 0; i < len(fields); i += 2 {
			v = join(v, str(fields[i]), str(fields[i+1]), u64(at))
		}
		return value(rdbparse.TypeHash2, v)
	}
	zset := func(score float64) element.Value {
		return value(rdbparse.TypeZSet2, join(lens(2), str("x"), f64(score), str("y"), f64(2)))
	}
	list := func(all ...string) element.Value {
		return value(rdbparse.TypeListQuicklist2, join(lens(1, 2), str(listpack(texts(all...)...))))
	}
	set := func(all ...string) element.Value {
		return value(rdbparse.TypeSetListpack, str(listpack(texts(all...)...)))
	}
	long := strings.Repeat("l", 1000)
	for want, pair := range map[string][2]element.Value{
		"type: list against set":                                               {list("a"), set("a")},
		"string: \"a\" against \"b\"":                                          {value(0, str("a")), value(0, str("b"))},
		"element 1 of the list: \"b\" against \"c\"":                           {list("a", "b"), list("a", "c")},
		"element 1 of the list is missing: \"b\"":                              {list("a", "b"), list("a")},
		"element 1 of the list is extra: \"b\"":                                {list("a"), list("a", "b")},
		"member \"b\" is missing":                                              {set("a", "b"), set("a")},
		"member \"b\" is extra":                                                {set("a"), set("b", "a")},
		"score of member \"x\": 1 against 1.0000000000000002":                  {zset(1), zset(math.Nextafter(1, 2))},
		"score of member \"x\": -Inf against +Inf":                             {zset(math.Inf(-1)), zset(math.Inf(1))},
		"field \"f\" is missing":                                               {hash(-1, "f", "1", "g", "2"), hash(-1, "g", "2")},
		"value of field \"f\": \"1\" against \"2\"":                            {hash(-1, "f", "1"), hash(-1, "f", "2")},
		"expiry of field \"f\": none against 5":                                {hash(-1, "f", "1"), hash(5, "f", "1")},
		"value of field \"f\": behind the first 65 of 1001 against 1001 bytes": {hash(-1, "f", long+"1"), hash(-1, "f", long+"2")},
		"member \"" + long[:64] + "\"... is missing":                           {set(long, "a"), set("a")},
		"bytes of the module value (2 against 3)":                              {value(rdbparse.TypeModule2, []byte{1, 2}), value(rdbparse.TypeModule2, []byte{1, 2, 3})},
	} {
		diff, err := element.Diff(pair[0], pair[1])
		if err != nil || diff.String() != want {
			t.Errorf("%v, %v, expected %s", diff, err, want)
		}
		if same, err := element.Equal(pair[0], pair[1]); err != nil || same {
			t.Errorf("%s: equal %v, %v", want, same, err)
		}
	}
	at := strings.Repeat("x", 500)
	diff, _ := element.Diff(value(0, str(at+"a")), value(0, str(at+"b")))
	if !strings.Contains(diff.What, "from byte 484 on \"xxxxxxxxxxxxxxxxa\" against \"xxxxxxxxxxxxxxxxb\"") {
		t.Error(diff)
	}
}

// TestStreamDifferences changes one part of a stream after the other.
func TestStreamDifferences(t *testing.T) {
	typ := rdbparse.TypeStreamListpacks5
	raw := stream(typ)
	entry := func(ms uint64) []byte { return join(rawID(ms, 1), u64(1000), lens(2)) }
	for want, change := range map[string][2][]byte{
		"value of field \"x\" of entry 5-1: \"2\" against \"3\"":                 {join(text("x").listpack(), []byte{2}, []byte{2, 1}), join(text("x").listpack(), []byte{2}, []byte{3, 1})},
		"field 0 of entry 7-0: \"f\" against \"F\"":                              {[]byte("\x81f"), []byte("\x81F")},
		"last id of the stream: 9-9 against 9-10":                                {lens(3, 9, 9, 4), lens(3, 9, 10, 4)},
		"length of the stream: 3 against 4":                                      {lens(3, 9, 9, 4), lens(4, 9, 9, 4)},
		"first id of the stream: 4-9 against 3-9":                                {lens(9, 9, 4, 9), lens(9, 9, 3, 9)},
		"greatest deleted id of the stream: 6-6 against 6-7":                     {lens(6, 6, 1000), lens(6, 7, 1000)},
		"entries added to the stream: 1000 against 1001":                         {lens(6, 6, 1000), lens(6, 6, 1001)},
		"group \"grp\" is missing":                                               {str("grp"), str("grq")},
		"last id of group \"grp\": 7-0 against 8-0":                              {join(str("grp"), lens(7)), join(str("grp"), lens(8))},
		"entries read by group \"grp\": -1 against -2":                           {lens(math.MaxUint64), lens(math.MaxUint64 - 1)},
		"pending entry 8-1 of group \"grp\" is missing":                          {entry(8), entry(9)},
		"delivery time of pending entry 7-1 of group \"grp\": 1000 against 1001": {entry(7), join(rawID(7, 1), u64(1001), lens(2))},
		"deliveries of pending entry 7-1 of group \"grp\": 2 against 3":          {entry(7), join(rawID(7, 1), u64(1000), lens(3))},
		"consumer \"al\" of group \"grp\" is missing":                            {str("al"), str("am")},
		"seen time of consumer \"al\" of group \"grp\": 2000 against 2001":       {join(str("al"), u64(2000)), join(str("al"), u64(2001))},
		"active time of consumer \"al\" of group \"grp\": -1 against 5":          {join(str("al"), u64(2000), u64(-1)), join(str("al"), u64(2000), u64(5))},
		"entry 7-1 pending with consumer \"bo\" of group \"grp\" is missing":     {join(lens(1), rawID(7, 1)), join(lens(1), rawID(8, 1))},
		"entry 8-1 given back to group \"grp\" is missing":                       {join(lens(1), rawID(8, 1)), join(lens(1), rawID(9, 1))},
		"producer \"prod\" is missing":                                           {str("prod"), str("prof")},
		"id \"iid\" of producer \"prod\" is missing":                             {str("iid"), str("iie")},
		"record of idempotent producers":                                         {lens(12, 3), lens(12, 4)},
	} {
		if bytes.Count(raw, change[0]) == 0 {
			t.Errorf("%s: nothing to change", want)
			continue
		}
		// The last place: what stands first may be in the entries.
		i := bytes.LastIndex(raw, change[0])
		other := join(raw[:i], change[1], raw[i+len(change[0]):])
		diff, err := element.Diff(value(typ, raw), value(typ, other))
		if err != nil || diff.String() != want {
			t.Errorf("%v, %v, expected %s", diff, err, want)
		}
		if same, err := element.Equal(value(typ, raw), value(typ, other)); err != nil || same {
			t.Errorf("%s: equal %v, %v", want, same, err)
		}
	}
	diff, err := element.Comparer{ByCommands: true}.Diff(value(typ, raw), value(typ, bytes.Replace(raw, u64(2000), u64(2001), 1)))
	if err != nil || !diff.Same() {
		t.Errorf("times of consumers not ignored: %v, %v", diff, err)
	}
}

// TestLocateMany finds one difference among many elements, always the same one.
func TestLocateMany(t *testing.T) {
	const n = 200000
	a := length(n)
	for i := range n {
		a = join2(a, str(fmt.Sprint("member", i)), f64(float64(i)))
	}
	b := bytes.Replace(a, append([]byte("member77777"), f64(77777)...), append([]byte("member77777"), f64(77778)...), 1)
	va, vb := value(rdbparse.TypeZSet2, a), value(rdbparse.TypeZSet2, b)
	for range 2 {
		if diff, err := element.Diff(va, vb); err != nil || diff.What != "score of member \"member77777\": 77777 against 77778" {
			t.Fatal(diff, err)
		}
	}
}

func join2(dst []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

func TestExpiredFields(t *testing.T) {
	a := value(rdbparse.TypeHash2, join(lens(2), str("f"), str("v"), u64(100), str("g"), str("w"), u64(200)))
	b := value(rdbparse.TypeHash2, join(lens(1), str("g"), str("w"), u64(200)))
	for now, want := range map[int64]bool{0: false, 99: false, 100: true, 199: true} {
		if same, err := (element.Comparer{Now: now}).Equal(a, b); err != nil || same != want {
			t.Errorf("at %d: %v, %v", now, same, err)
		}
	}
}

func TestEqualDamaged(t *testing.T) {
	good, bad := value(rdbparse.TypeSet, join(lens(2), str("a"), str("b"))), value(rdbparse.TypeSet, join(lens(2), str("a")))
	for _, pair := range [][2]element.Value{{good, bad}, {bad, good}} {
		if same, err := element.Equal(pair[0], pair[1]); same || !errors.Is(err, element.ErrDamaged) {
			t.Errorf("%v, %v", same, err)
		}
	}
}
