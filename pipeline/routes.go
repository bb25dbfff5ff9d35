package pipeline

import (
	"context"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"golang.org/x/sync/errgroup"
)

// routes say which master owns each slot. They do not change once built.
type routes struct {
	owner   [slotter.Slots]uint16 // index into masters
	masters []string              // addresses; the last, nowhere, stands for slots without an owner
}

// nowhere is the address of the owner of a slot that has none. A lane to it
// gives everything back to be tried again later.
const nowhere = ""

func newRoutes(m *slotter.Map) *routes {
	r := &routes{}
	for i := range m.Masters {
		r.masters = append(r.masters, m.Masters[i].Addr)
	}
	r.masters = append(r.masters, nowhere)
	none := uint16(len(m.Masters))
	for slot := range r.owner {
		if o := m.Owner(uint16(slot)); o >= 0 {
			r.owner[slot] = uint16(o)
		} else {
			r.owner[slot] = none
		}
	}
	return r
}

// with returns routes in which the slots given belong to the masters given.
func (r *routes) with(moved map[uint16]string) *routes {
	next := *r
	next.masters = append([]string(nil), r.masters...)
	for slot, addr := range moved {
		at := -1
		for i, a := range next.masters {
			if a == addr {
				at = i
			}
		}
		if at < 0 {
			at = len(next.masters)
			next.masters = append(next.masters, addr)
		}
		next.owner[slot] = uint16(at)
	}
	return &next
}

// eachMaster calls do with the address of every master, several at a time. It returns the
// first error, with which the context of the others ends.
func (r *routes) eachMaster(ctx context.Context, do func(ctx context.Context, addr string) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(mostAsked)
	for _, addr := range r.masters {
		if addr != nowhere {
			all.Go(func() error { return do(ctx, addr) })
		}
	}
	return all.Wait()
}

// mostAsked is how many servers are asked at a time.
const mostAsked = 16

// replace installs m in the place of the present map, and notes what the change has lost.
func (im *Importer) replace(ctx context.Context, m *slotter.Map) {
	lost := im.forced(ctx, m) // before anything goes to the new owners
	im.mu.Lock()
	im.noteForced(lost)
	im.mu.Unlock()
	im.install(m)
}

// install makes m the slot map by which commands are sent.
func (im *Importer) install(m *slotter.Map) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.noteReplicas(m)
	if before := im.slotMap.Swap(m); before != nil {
		im.failedOver(before, m)
	}
	im.setRoutes(newRoutes(m))
	im.stats.setMasters(m)
}

// setRoutes makes r the routes. im.mu is held.
func (im *Importer) setRoutes(r *routes) {
	// Each Feeder can keep one batch open for each master.
	im.growPool(im.stats.feeders*len(r.masters) + 2*len(r.masters))
	im.routes.Store(r)
}

// movedTo notes that slots have new owners, as MOVED replies said, and has the
// whole map fetched.
func (im *Importer) movedTo(moved map[uint16]string) {
	im.mu.Lock()
	im.setRoutes(im.routes.Load().with(moved))
	im.mu.Unlock()
	im.wantMap()
}

// wantMap asks for a fresh slot map.
func (im *Importer) wantMap() {
	select {
	case im.stale <- struct{}{}:
	default:
	}
}

// mapInterval is the least time between two fetches of the slot map.
const mapInterval = 200 * time.Millisecond

// refreshMap fetches the slot map whenever it is asked to.
func (im *Importer) refreshMap() {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-im.ctx.Done():
			return
		}
		select {
		case <-im.stale:
		case <-im.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(im.ctx, mapTimeout)
		m, err := im.cluster.MapFrom(ctx, im.troubled()...)
		if err != nil {
			m, err = im.cluster.Map(ctx)
		}
		if err == nil {
			im.replace(ctx, m)
		}
		cancel()
		pause.Reset(mapInterval)
	}
}

// mapTimeout bounds one fetch of the slot map. Nodes that do not answer take
// their time before the next one is asked.
const mapTimeout = 20 * time.Second

// troubled returns the addresses of the masters that do not get on: the others
// know better what has become of them.
func (im *Importer) troubled() []string {
	im.mu.Lock()
	defer im.mu.Unlock()
	var all []string
	for _, l := range im.lanes {
		if l.since.Load() != 0 && l.place.addr != nowhere {
			all = append(all, l.place.addr)
		}
	}
	return all
}

// A place is what a lane leads to.
type place struct {
	addr string
	db   uint32
	n    int // of several lanes to the same master
}

// laneTo returns the lane to a place, and starts it if there is none yet.
func (im *Importer) laneTo(p place) *lane {
	im.mu.Lock()
	defer im.mu.Unlock()
	if l := im.byPlace[p]; l != nil {
		return l
	}
	l := newLane(im, p, len(im.lanes))
	l.pace = im.paceOf(p.addr)
	l.early = p.n > 0 && im.opts.Lanes == 0
	im.lanes = append(im.lanes, l)
	im.byPlace[p] = l
	im.work.Go(l.run)
	return l
}

// lane returns the lane with an index.
func (im *Importer) lane(i int) *lane {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.lanes[i]
}
