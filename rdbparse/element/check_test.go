package element_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// checkedGroup builds a group of a stream of type 15.
func checkedGroup(name string, pending []uint64, consumers ...[]byte) []byte {
	v := join(str(name), lens(7, 0, uint64(len(pending))))
	for _, ms := range pending {
		v = join(v, rawID(ms, 1), u64(1000), lens(2))
	}
	return join(v, lens(uint64(len(consumers))), join(consumers...))
}

// checkedConsumer builds one of its consumers.
func checkedConsumer(name string, owned ...uint64) []byte {
	v := join(str(name), u64(2000), lens(uint64(len(owned))))
	for _, ms := range owned {
		v = append(v, rawID(ms, 1)...)
	}
	return v
}

func TestChecker(t *testing.T) {
	groups := func(all ...[]byte) element.Value {
		return value(rdbparse.TypeStreamListpacks, join(lens(1), str(rawID(5, 1)), str(streamNode), lens(3, 9, 9, uint64(len(all))), join(all...)))
	}
	pair := func(a, b []byte) []byte { return join(lens(2), a, b) }
	var c element.Checker
	for name, v := range map[string]struct {
		v    element.Value
		want string
	}{
		"hash":             {value(rdbparse.TypeHash, join(lens(2), str("f"), str("v"), str("f"), str("w"))), "two of its fields have the same name"},
		"hash as ziplist":  {value(rdbparse.TypeHashZiplist, str(ziplist(texts("f", "v", "g", "v", "f", "v")...))), "two of its fields have the same name"},
		"numbers":          {value(rdbparse.TypeHashListpack, str(listpack(number(7), text("v"), text("7"), text("v")))), "two of its fields have the same name"},
		"hash as listpack": {value(rdbparse.TypeHashListpack, str(listpack(texts("f", "v", "f", "v")...))), "two of its fields have the same name"},
		"hash as zipmap":   {value(rdbparse.TypeHashZipmap, str(zipmap(0, "f", "v", "f", "v"))), "two of its fields have the same name"},
		"set":              {value(rdbparse.TypeSet, pair(str("m"), str("m"))), "two of its members are the same"},
		"zset":             {value(rdbparse.TypeZSet2, pair(append(str("m"), f64(1)...), append(str("m"), f64(2)...))), "two of its members are the same"},
		"zset as ziplist":  {value(rdbparse.TypeZSetZiplist, str(ziplist(texts("m", "1", "m", "2")...))), "two of its members are the same"},
		"list":             {value(rdbparse.TypeList, pair(str("m"), str("m"))), ""},
		"values":           {value(rdbparse.TypeHash, join(lens(2), str("f"), str("v"), str("v"), str("v"))), ""},
		"no LZF":           {value(rdbparse.TypeHash, join(lens(1), str("f"), []byte{0xc3, 5, 50, 3}, []byte("abcd"))), "damaged LZF string"},

		"stream":                     {groups(checkedGroup("g", []uint64{1, 2}, checkedConsumer("a", 2), checkedConsumer("b", 1)), checkedGroup("h", []uint64{1}, checkedConsumer("a", 1))), ""},
		"owned and not pending":      {groups(checkedGroup("g", []uint64{1}, checkedConsumer("a", 2))), "is not what is pending with its consumers"},
		"pending with nobody":        {groups(checkedGroup("g", []uint64{1, 2}, checkedConsumer("a", 2))), "is not what is pending with its consumers"},
		"pending with nobody before": {groups(checkedGroup("g", []uint64{1}), checkedGroup("h", nil)), "is not what is pending with its consumers"},
		"pending twice":              {groups(checkedGroup("g", []uint64{1, 1}, checkedConsumer("a", 1))), "pending twice in a group"},
		"owned twice":                {groups(checkedGroup("g", []uint64{1}, checkedConsumer("a", 1), checkedConsumer("b", 1))), "pending twice with the consumers"},
		"consumer twice":             {groups(checkedGroup("g", nil, checkedConsumer("a"), checkedConsumer("a"))), "two consumers of a group have the same name"},
		"group twice":                {groups(checkedGroup("g", nil), checkedGroup("h", nil), checkedGroup("g", nil)), "two of its groups have the same name"},
		"node twice": {value(rdbparse.TypeStreamListpacks, join(lens(2), str(rawID(5, 1)), str(streamNode), str(rawID(5, 1)), str(streamNode), lens(6, 9, 9, 0))),
			"stream nodes are not in ascending order"},

		"empty ziplist":   {value(rdbparse.TypeListZiplist, str(ziplist())), "empty collection"},
		"empty quicklist": {value(rdbparse.TypeListQuicklist, join(lens(1), str(ziplist()))), "empty collection"},
		"empty intset":    {value(rdbparse.TypeSetIntset, str(intset(2))), "empty collection"},
		"empty listpack":  {value(rdbparse.TypeSetListpack, str(listpack())), "empty collection"},
		"empty string":    {value(rdbparse.TypeString, str("")), ""},
		"empty stream":    {value(rdbparse.TypeStreamListpacks, lens(0, 0, 0, 0, 0)), ""},
		"unknown inside":  {value(rdbparse.TypeModule2, []byte{0}), ""},
	} {
		err := c.Check(v.v)
		if v.want == "" && err != nil || v.want != "" && (err == nil || !strings.Contains(err.Error(), v.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && errors.Is(err, element.ErrDamaged) == errors.Is(err, element.ErrEmpty) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, v := range values {
		if err := c.Check(value(v.t, v.raw)); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
	}
}

// TestCheckerAllocates nothing once it has seen values of the size.
func TestCheckerAllocates(t *testing.T) {
	var pairs []string
	for i := range 500 {
		pairs = append(pairs, fmt.Sprint("field ", i), "value")
	}
	hash := value(rdbparse.TypeHashZiplist, str(ziplist(texts(pairs...)...)))
	str := value(rdbparse.TypeString, lzf)
	var c element.Checker
	if n := testing.AllocsPerRun(100, func() {
		if err := errors.Join(c.Check(hash), c.Check(str)); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
