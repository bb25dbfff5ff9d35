package slotter

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Replica is a copy of a master.
type Replica struct {
	ID   string // node id, 40 hex digits; "" where the server gives none
	Addr string // host:port as this program reaches it
}

// Master is a node that owns slots.
type Master struct {
	ID       string // node id, 40 hex digits; the run id for a standalone server
	Addr     string // host:port as this program reaches it
	Replicas []Replica
}

// Range is a run of slots, both ends included.
type Range struct{ First, Last uint16 }

// String returns "first-last", or the one slot.
func (r Range) String() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// Len returns the number of slots in r.
func (r Range) Len() int { return int(r.Last) - int(r.First) + 1 }

// FormatRanges joins ranges with commas: "0-99,5000,6000-6010".
func FormatRanges(ranges []Range) string {
	parts := make([]string, len(ranges))
	for i, r := range ranges {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

// Map says which master owns each slot. It never changes once built and may be shared; a change of the cluster is a new Map.
type Map struct {
	// Masters in the order of their first slot. Read only.
	Masters []Master

	owners [Slots]int16 // index into Masters, -1 without an owner
}

// NewMap builds a map in which masters[i] owns owned[i]. It refuses a slot beyond the last, a range that runs backwards and a slot with
// two owners.
func NewMap(masters []Master, owned [][]Range) (*Map, error) {
	if len(masters) != len(owned) {
		return nil, fmt.Errorf("slot map: %d masters but slots for %d", len(masters), len(owned))
	}
	if len(masters) > Slots {
		return nil, fmt.Errorf("slot map: %d masters for %d slots", len(masters), Slots)
	}
	m := &Map{Masters: slices.Clone(masters)}
	for i := range m.owners {
		m.owners[i] = -1
	}
	for i, ranges := range owned {
		for _, r := range ranges {
			if err := m.assign(r, i); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// assign gives every slot of r to masters[owner].
func (m *Map) assign(r Range, owner int) error {
	if r.Last >= Slots || r.First > r.Last {
		return fmt.Errorf("slot map: bad range %d-%d", r.First, r.Last)
	}
	for slot := int(r.First); slot <= int(r.Last); slot++ {
		if prev := m.owners[slot]; prev >= 0 && int(prev) != owner {
			return fmt.Errorf("slot map: slot %d has two owners, %s and %s", slot, m.Masters[prev].Addr, m.Masters[owner].Addr)
		}
		m.owners[slot] = int16(owner)
	}
	return nil
}

// SingleMap returns the map of a standalone server: one master that owns every slot.
func SingleMap(master Master) *Map {
	return &Map{Masters: []Master{master}} // owners are all 0
}

// Owner returns the index in Masters of the owner of slot, or -1 when nobody owns it.
func (m *Map) Owner(slot uint16) int {
	return int(m.owners[slot&(Slots-1)])
}

// Missing returns the slots without an owner, in order; none for a whole map.
func (m *Map) Missing() []Range { return m.ranges(-1) }

// Ranges returns the slots of Masters[master], in order.
func (m *Map) Ranges(master int) []Range {
	if master < 0 || master >= len(m.Masters) {
		return nil
	}
	return m.ranges(int16(master))
}

func (m *Map) ranges(owner int16) []Range {
	var out []Range
	for slot := 0; slot < Slots; slot++ {
		if m.owners[slot] != owner {
			continue
		}
		first := slot
		for slot+1 < Slots && m.owners[slot+1] == owner {
			slot++
		}
		out = append(out, Range{uint16(first), uint16(slot)})
	}
	return out
}

// ByAddr returns the index in Masters of the master at addr, or -1.
func (m *Map) ByAddr(addr string) int {
	return slices.IndexFunc(m.Masters, func(n Master) bool { return n.Addr == addr })
}

// mastersAtOnce is how many masters are asked at a time.
const mastersAtOnce = 64

// EachMaster calls do with the index of each of Masters, for many at the same time, since each of them may be far. The first error ends
// the ctx of the other calls, and is returned when all have.
func (m *Map) EachMaster(ctx context.Context, do func(ctx context.Context, master int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mastersAtOnce)
	for i := range m.Masters {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// addrs returns every address of the map: masters first, then replicas.
func (m *Map) addrs() []string {
	var out []string
	for _, n := range m.Masters {
		out = append(out, n.Addr)
	}
	for _, n := range m.Masters {
		for _, r := range n.Replicas {
			out = append(out, r.Addr)
		}
	}
	return out
}
