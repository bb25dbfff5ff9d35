package census

import (
	"bytes"
	"cmp"
	"slices"
)

// mostPrefixBytes is how long a prefix can be; a longer one is cut.
const mostPrefixBytes = 64

// A Prefix is the keys whose names begin alike, up to and with the first colon.
type Prefix struct {
	Name string // "" for the names without a colon
	Count
}

// A prefixTable counts by prefix. When there are twice as many as it should
// hold, the lighter half goes into one sum, so that memory is bounded and a heavy
// prefix that comes late is still seen.
type prefixTable struct {
	limit   int
	byName  map[string]*Prefix
	recent  [recentPrefixes]*Prefix // nil where none was met
	other   Count                   // of the prefixes given up
	dropped int64                   // how many were given up, one that came again counted again
}

// recentPrefixes is how many prefixes are looked for before the map is asked: most
// dumps have few, and the keys of each are many.
const recentPrefixes = 256

// place returns where a prefix is found among the recent ones.
func place(prefix []byte) int {
	n := len(prefix)
	if n < 2 {
		return n
	}
	return (int(prefix[0]) + 7*int(prefix[n/2]) + 31*int(prefix[n-2]) + 131*n) % recentPrefixes
}

func newPrefixTable(limit int) *prefixTable {
	return &prefixTable{limit: limit, byName: map[string]*Prefix{}}
}

// add counts a key.
func (t *prefixTable) add(key []byte, size int64) {
	prefix := key[:bytes.IndexByte(key[:min(len(key), mostPrefixBytes)], ':')+1]
	if len(prefix) == 0 && len(key) > mostPrefixBytes && bytes.IndexByte(key, ':') >= 0 {
		prefix = key[:mostPrefixBytes]
	}
	r := &t.recent[place(prefix)]
	if *r == nil || (*r).Name != string(prefix) {
		*r = t.find(prefix)
	}
	(*r).add(size)
}

// find looks a prefix up in the map, and puts it there if it is new.
func (t *prefixTable) find(prefix []byte) *Prefix {
	if p := t.byName[string(prefix)]; p != nil {
		return p
	}
	if len(t.byName) >= 2*t.limit {
		t.prune()
	}
	p := &Prefix{Name: string(prefix)}
	t.byName[p.Name] = p
	return p
}

// prune gives up all but the limit's heaviest.
func (t *prefixTable) prune() {
	for _, p := range t.sorted()[t.limit:] {
		t.other.Keys += p.Keys
		t.other.Bytes += p.Bytes
		t.dropped++
		delete(t.byName, p.Name)
	}
	t.recent = [recentPrefixes]*Prefix{} // they may be among them
}

// sorted returns the prefixes, the one with the most bytes first.
func (t *prefixTable) sorted() []Prefix {
	list := make([]Prefix, 0, len(t.byName))
	for _, p := range t.byName {
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b Prefix) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return list
}
