package pipeline

import (
	"math"
	"sync/atomic"
	"time"
)

// A depth decides how many batches there are, which is how much may be on its way at
// a time: what the budget allows, but no more than firstDepth and what the lanes need
// unless the round trip asks for it. A cluster near by is kept busy by that much, and
// with more only memory is touched for nothing (bench/NOTES.md); one that is far, or
// many masters that are, need more the farther they are.
type depth struct {
	most int // batches that the budget allows

	// What all answered batches add up to: their number; how long they took from when
	// they were handed over to their last reply; and how long they would have taken
	// if they had met nothing else on their way.
	answers, took, trips atomic.Int64 // batches, ns, ns

	// Guarded by Importer.mu: the same when it was last looked at, and whether there
	// should have been more batches then than the budget allows.
	before struct{ answers, took, trips int64 }
	short  bool
}

// firstDepth is how many bytes may be on their way, in batches, as long as the round
// trip does not ask for more.
const firstDepth = 64 << 20

// first returns how many batches there are in the beginning, of those that the budget
// allows. Of size bytes each, they hold firstDepth in all, and are at least as many as
// the lanes need.
func (d *depth) first(size int64, need int) int {
	return min(d.most, max(int(firstDepth/size), need))
}

// answered notes that a batch was on its way for as long as took, where one alone is
// for as long as trip.
func (d *depth) answered(took, trip time.Duration) {
	d.took.Add(int64(took))
	d.trips.Add(int64(trip))
	d.answers.Add(1)
}

// wants returns how many batches there should be in place of the n that there are,
// all of which are on their way: more where they spend more than half of the time on
// nothing but the way, since masters then wait for them. It looks each time that n
// batches have been answered.
func (d *depth) wants(n int) int {
	answers, took, trips := d.answers.Load(), d.took.Load(), d.trips.Load()
	if answers-d.before.answers < int64(n) {
		return n
	}
	more := trips-d.before.trips > (took-d.before.took)/2
	d.before.answers, d.before.took, d.before.trips = answers, took, trips
	d.short = more && n >= d.most
	if more {
		n = max(n, min(2*n, d.most))
	}
	return n
}

// deepen adds batches where that keeps the masters busier. It is called when all of
// those there are are on their way.
func (im *Importer) deepen() {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.growPool(im.depth.wants(im.batches))
}

// A trip is the shortest time from the first byte of a batch to its last reply that a
// connection has seen: that of a batch that met nothing else on its way.
type trip time.Duration

// noTrip is the trip of a connection that has seen no batch.
const noTrip = trip(math.MaxInt64)

// timed notes how long b took, whose replies have all come.
func (c *connection) timed(b *batch) {
	l, now := c.lane, time.Now()
	took := now.Sub(b.written)
	c.trip = min(c.trip, trip(took))
	if !b.given.IsZero() { // sent for the first time
		l.im.depth.answered(now.Sub(b.given), time.Duration(c.trip))
		b.given = time.Time{}
	}
	if l.im.opts.Timed != nil {
		l.im.opts.Timed(l.place.addr, took)
	}
}
