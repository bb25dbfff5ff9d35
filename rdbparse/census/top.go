package census

import (
	"cmp"
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// mostKeyBytes is how much of a key's name is kept with the biggest ones.
const mostKeyBytes = 1024

// A BigKey is one of the biggest keys.
type BigKey struct {
	Key      []byte // the first 1024 bytes of it
	DB       uint32
	Type     *rdbparse.TypeInfo
	Bytes    int64
	Elements int64 // -1 where that is not known
	Source   int   // number of the call of Read that met it, from 0 on
}

// A topList holds the biggest keys: a heap with the smallest of them in front.
type topList struct {
	list []BigKey
	n    int // how many there can be
}

// wants reports whether a key of so many bytes belongs to the biggest.
func (t *topList) wants(bytes int64) bool {
	return len(t.list) < t.n || t.n > 0 && bytes > t.list[0].Bytes
}

// put adds a key that is wanted. k.Key is copied.
func (t *topList) put(k BigKey) {
	key := k.Key[:min(len(k.Key), mostKeyBytes)]
	if len(t.list) < t.n {
		k.Key = append([]byte(nil), key...)
		t.list = append(t.list, k)
		t.up(len(t.list) - 1)
		return
	}
	k.Key = append(t.list[0].Key[:0], key...)
	t.list[0] = k
	t.down(0)
}

func (t *topList) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t.list[parent].Bytes <= t.list[i].Bytes {
			return
		}
		t.list[parent], t.list[i] = t.list[i], t.list[parent]
		i = parent
	}
}

func (t *topList) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t.list) {
			return
		}
		if child+1 < len(t.list) && t.list[child+1].Bytes < t.list[child].Bytes {
			child++
		}
		if t.list[i].Bytes <= t.list[child].Bytes {
			return
		}
		t.list[i], t.list[child] = t.list[child], t.list[i]
		i = child
	}
}

// sorted returns the keys, the biggest first.
func (t *topList) sorted() []BigKey {
	list := slices.Clone(t.list)
	slices.SortFunc(list, func(a, b BigKey) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), slices.Compare(a.Key, b.Key), cmp.Compare(a.DB, b.DB))
	})
	return list
}
