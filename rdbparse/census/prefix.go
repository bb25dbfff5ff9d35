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
	byName  map[string]*Count
	other   Count // of the prefixes given up
	dropped int64 // how many were given up, one that came again counted again
}

func newPrefixTable(limit int) *prefixTable {
	return &prefixTable{limit: limit, byName: map[string]*Count{}}
}

// add counts a key.
func (t *prefixTable) add(key []byte, size int64) {
	prefix := key[:bytes.IndexByte(key[:min(len(key), mostPrefixBytes)], ':')+1]
	if len(prefix) == 0 && len(key) > mostPrefixBytes && bytes.IndexByte(key, ':') >= 0 {
		prefix = key[:mostPrefixBytes]
	}
	c := t.byName[string(prefix)]
	if c == nil {
		if len(t.byName) >= 2*t.limit {
			t.prune()
		}
		c = &Count{}
		t.byName[string(prefix)] = c
	}
	c.add(size)
}

// prune gives up all but the limit's heaviest.
func (t *prefixTable) prune() {
	for _, p := range t.sorted()[t.limit:] {
		t.other.Keys += p.Keys
		t.other.Bytes += p.Bytes
		t.dropped++
		delete(t.byName, p.Name)
	}
}

// sorted returns the prefixes, the one with the most bytes first.
func (t *prefixTable) sorted() []Prefix {
	list := make([]Prefix, 0, len(t.byName))
	for name, c := range t.byName {
		list = append(list, Prefix{name, *c})
	}
	slices.SortFunc(list, func(a, b Prefix) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	return list
}
