package pipeline

import (
	"sync/atomic"
	"time"
)

// A flow decides how much may be on its way at a time, and over how many lanes to each
// master.
//
// There are as many batches as the budget allows, but no more than firstDepth and what
// the lanes need unless the round trip asks for it. A cluster near by is kept busy by
// that much, and with more only memory is touched for nothing (bench/NOTES.md); one
// that is far, or many masters that are, need more the farther they are.
//
// Nor is there more than one lane to a master that is near. On a long way the windows
// of one TCP connection, and its recovery from each loss, may bound what is in flight.
// From here that looks the same as a master that is busy. So it is tried: more lanes
// stay if batches are answered sooner.
type flow struct {
	mostBatches int // that the budget allows
	mostLanes   int // to each master
	lanes       atomic.Int32

	// What all answered batches add up to: their number; how long they took from when
	// they were handed over to their last reply; and the round trips of the connections
	// that they took.
	answers, took, trips atomic.Int64 // batches, ns, ns

	// What follows is guarded by Importer.mu.

	before turn // when it was last looked at
	// short is set when there should have been more batches then than the budget
	// allows.
	short bool
	trial trial
}

// A turn is what answered batches add up to, once each of them on average.
type turn struct{ answers, took, trips int64 }

// A trial is an attempt to do better with more lanes.
type trial struct {
	lanes   int32         // that there were before; 0 if no trial is going on
	took    time.Duration // of a batch with them
	open    time.Time     // when they should be there
	settled bool          // they are, and batches have taken them for a turn
	next    time.Time     // after a trial that came to nothing: not before
}

const (
	// firstDepth is how many bytes may be on their way, in batches, as long as the
	// round trip does not ask for more.
	firstDepth = 64 << 20
	// autoLanes is how many lanes may lead to a master where the user does not say, and
	// moreLanes how many times as many are tried: to find out takes seconds.
	autoLanes = 8
	moreLanes = 4
	// farTrip is the round trip from which on more lanes are tried: a window of the 3
	// MB that systems allow by themselves carries 150 MB/s then.
	farTrip = 20 * time.Millisecond
	// openTrips is how many round trips a lane may take to be there.
	openTrips = 10
	// trialPause is how long nothing is tried after a trial that came to nothing.
	trialPause = time.Minute
)

// begin sets what there is in the beginning: the number of batches, of size bytes each,
// is returned. Where one lane is to be enough, because the user says so or keys have to
// stay in order, there is never another.
func (w *flow) begin(o Options, size int64, need int) (batches int) {
	w.lanes.Store(int32(o.lanes()))
	w.mostLanes = o.lanes()
	if o.Lanes == 0 && !o.Databases.collide() {
		w.mostLanes = autoLanes
	}
	return min(w.mostBatches, max(int(firstDepth/size), need))
}

// answered notes that a batch was on its way for as long as took, on a connection with
// the round trip given.
func (w *flow) answered(took, trip time.Duration) {
	w.took.Add(int64(took))
	w.trips.Add(int64(trip))
	w.answers.Add(1)
}

// look returns how many batches there should be in place of the n that there are, all
// of which are on their way, and sets the number of lanes. It decides each time that n
// batches have been answered.
func (w *flow) look(n int, now time.Time) int {
	at := turn{w.answers.Load(), w.took.Load(), w.trips.Load()}
	answers := at.answers - w.before.answers
	if answers < int64(n) {
		return n
	}
	took, trip := time.Duration((at.took-w.before.took)/answers), time.Duration((at.trips-w.before.trips)/answers)
	w.before, w.short = at, false
	if trip > took/2 {
		// Masters wait for more.
		w.trial.lanes = 0
		w.short = n >= w.mostBatches
		return max(n, min(2*n, w.mostBatches))
	}
	w.tryLanes(took, trip, now)
	return n
}

// tryLanes begins a trial, or judges the one that is going on, after a turn in which a
// batch took so long on a way with that round trip.
func (w *flow) tryLanes(took, trip time.Duration, now time.Time) {
	t, lanes := &w.trial, w.lanes.Load()
	switch {
	case t.lanes == 0:
		if trip >= farTrip && int(lanes) < w.mostLanes && !now.Before(t.next) {
			*t = trial{lanes: lanes, took: took, open: now.Add(openTrips * trip)}
			w.lanes.Store(min(moreLanes*lanes, int32(w.mostLanes)))
		}
	case now.Before(t.open):
	case !t.settled:
		t.settled = true
	case took < t.took*4/5:
		*t = trial{}
	default:
		w.lanes.Store(t.lanes)
		*t = trial{next: now.Add(trialPause)}
	}
}

// deepen adds batches or lanes where that keeps the masters busier. It is called when
// all the batches that there are are on their way.
func (im *Importer) deepen() {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.growPool(im.flow.look(im.batches, time.Now()))
}

// lanes returns how many lanes lead to a master in the beginning.
func (o Options) lanes() int {
	if o.Databases.collide() {
		return 1 // of two keys of one name the last has to win
	}
	return max(o.Lanes, 1)
}

// timed notes how long b took, whose replies have all come.
func (c *connection) timed(b *batch) {
	l, now := c.lane, time.Now()
	if !b.given.IsZero() { // sent for the first time
		l.im.flow.answered(now.Sub(b.given), c.trip)
	}
	b.given = time.Time{}
	if l.im.opts.Timed != nil {
		l.im.opts.Timed(l.place.addr, now.Sub(b.written))
	}
}

// laneFor returns the lane that takes the next batch for a master, of which turn counts
// the lanes round. One beside the first takes none before it is open, unless the user
// wants so many.
func (f *Feeder) laneFor(m int) *lane {
	im := f.im
	lanes := int(im.flow.lanes.Load())
	if f.lanes[m] != nil && lanes == 1 && f.turn[m] == 0 {
		return f.lanes[m]
	}
	f.turn[m] = (f.turn[m] + 1) % lanes
	p := place{f.routes.masters[m], f.db, f.turn[m]}
	l := im.laneTo(p)
	if l.early && l.conn.Load() == nil {
		p.n = 0
		l = im.laneTo(p)
	}
	f.lanes[m] = l
	return l
}
