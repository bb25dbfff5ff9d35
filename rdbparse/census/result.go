package census

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A TypeCount is what there is of one type.
type TypeCount struct {
	Type *rdbparse.TypeInfo
	Count
}

// Types returns the types met, by kind, and within it the one with the most bytes
// first.
func (c *Census) Types() []TypeCount { return c.typeList(&c.types) }

// Unestimated returns the types of the keys whose memory Options.Estimate could
// not tell, expired keys left out.
func (c *Census) Unestimated() []TypeCount { return c.typeList(&c.closed) }

func (c *Census) typeList(table *[typeNumbers]Count) []TypeCount {
	var list []TypeCount
	for t, n := range table {
		if n.Keys > 0 {
			list = append(list, TypeCount{rdbparse.Type(t).Info(), n})
		}
	}
	slices.SortFunc(list, func(a, b TypeCount) int {
		return cmp.Or(cmp.Compare(a.Type.Kind, b.Type.Kind), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Type.Type, b.Type.Type))
	})
	return list
}

// A DBCount is what there is in one database.
type DBCount struct {
	DB uint32
	Count
}

// Databases returns the databases that hold keys, in order.
func (c *Census) Databases() []DBCount {
	var list []DBCount
	for _, db := range slices.Sorted(maps.Keys(c.dbs)) {
		list = append(list, DBCount{db, c.dbs[db]})
	}
	return list
}

// Top returns the biggest keys, the biggest first. Where several are as big as the
// last one, some of them are left out.
func (c *Census) Top() []BigKey { return c.top.sorted() }

// Slots returns the keys of each slot, nil without Options.Slot. Read only.
func (c *Census) Slots() []Count { return c.slots }

// SlotMemory returns the estimated memory of each slot, nil without Options.Slot.
// Read only.
func (c *Census) SlotMemory() []int64 { return c.room }

// Prefixes returns the prefixes, the one with the most bytes first. When there
// were too many to hold them all, other is the sum of those given up, and dropped
// how many that were; a prefix given up that came again is in both.
func (c *Census) Prefixes() (list []Prefix, other Count, dropped int64) {
	if c.prefix == nil {
		return nil, Count{}, 0
	}
	return c.prefix.sorted(), c.prefix.other, c.prefix.dropped
}
