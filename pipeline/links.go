package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"
)

// links keeps the links of large values that are done for those that follow: to connect
// takes several round trips.
type links struct {
	most int // how many are kept

	mu    sync.Mutex
	idle  []*link // the one that was used last is the last
	taken []bool  // numbers of links
}

// linksShare is the part of the budget that links may take that are kept.
const linksShare = 32

// linkTo returns a link to the master at addr. If there is an error the link has no
// connection.
func (im *Importer) linkTo(addr string, db uint32) (*link, error) {
	if k := im.links.take(addr, db); k != nil {
		k.c.hear(time.Now()) // nothing was asked meanwhile
		k.written = 0
		return k, nil
	}
	n := im.links.number()
	k := &link{im: im, n: n, lane: im.laneTo(place{addr, db, -1 - n}), wire: wire{addr: addr}, chunk: linkChunk}
	if im.opts.Rate > 0 {
		k.chunk = int(min(linkChunk, atOnce(im.opts.Rate)))
	}
	if addr == nowhere {
		im.links.free(k)
		return k, errNowhere
	}
	conn, err := k.lane.dial()
	if err != nil {
		im.links.free(k)
		return k, err
	}
	k.c = newConnection(k.lane, conn)
	k.replies = k.c.replies
	k.buf = make([]byte, 0, linkChunk+pieceBytes)
	im.memory.add(linkSize)
	k.stop = context.AfterFunc(im.ctx, func() { _ = conn.Close() })
	k.lane.conn.Store(k.c)
	return k, nil
}

// take returns a link that is kept, nil if there is none to this place.
func (t *links) take(addr string, db uint32) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.idle) - 1; i >= 0; i-- {
		if k := t.idle[i]; k.addr == addr && k.lane.place.db == db && k.c.broke.Load() == nil {
			t.idle = slices.Delete(t.idle, i, i+1)
			return k
		}
	}
	return nil
}

// keep takes a link back, and ends the one that has not been used for longest where
// there are too many.
func (t *links) keep(k *link) {
	k.lane.flying.Store(0)
	if k.c == nil {
		return
	}
	t.mu.Lock()
	t.idle = append(t.idle, k)
	var old *link
	if len(t.idle) > t.most {
		old = t.idle[0]
		t.idle = slices.Delete(t.idle, 0, 1)
	}
	t.mu.Unlock()
	if old != nil {
		old.abandon()
	}
}

// number returns the least number that no link has.
func (t *links) number() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := slices.Index(t.taken, false)
	if n < 0 {
		n = len(t.taken)
		t.taken = append(t.taken, false)
	}
	t.taken[n] = true
	return n
}

// free gives back the number of a link that has ended.
func (t *links) free(k *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken[k.n] = false
}

// close ends the links that are kept.
func (t *links) close() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, k := range idle {
		k.abandon()
	}
}
