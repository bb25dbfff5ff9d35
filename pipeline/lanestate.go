package pipeline

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// A MasterState says how a master gets on with what it is sent.
type MasterState uint8

// The states, those in which nothing is wrong first.
const (
	MasterIdle        MasterState = iota // there is nothing to send to it
	MasterDone                           // the same, and nothing will come
	MasterOK                             // it answers
	MasterPaced                          // it is given time, because its replicas are behind
	MasterReplaced                       // it has no slots any more
	MasterWaiting                        // it could not take something: that is sent again after a pause
	MasterLoading                        // it reads its data set
	MasterFull                           // it is out of memory
	MasterSilent                         // it leaves what it was sent unanswered
	MasterUnreachable                    // it takes no connection
	MasterBarred                         // it lets the user in no longer
	MasterFailing                        // the other nodes think that it is down
	MasterFailingOver                    // the same, and it has replicas to take its place
)

var masterStateNames = [...]string{"idle", "done", "ok", "paced", "replaced", "waiting", "loading", "full", "silent", "unreachable", "login refused", "down", "failing over"}

// String returns the state in a word or two.
func (s MasterState) String() string { return masterStateNames[s] }

// Trouble reports whether keys wait because of the master.
func (s MasterState) Trouble() bool { return s >= MasterWaiting }

// laneState is what a lane notes about itself for those who look on.
type laneState struct {
	retries atomic.Int64 // batches that it could not take
	flying  atomic.Int64 // commands that are being written or not yet answered
	why     atomic.Pointer[laneTrouble]
	failing atomic.Bool // the other nodes think that its master is down
}

// A laneTrouble is why a lane does not get on.
type laneTrouble struct {
	err    error // the latest
	since  time.Time
	latest time.Time
}

// ails notes why the lane does not get on.
func (s *laneState) ails(err error) {
	now := time.Now()
	t := &laneTrouble{err: err, since: now, latest: now}
	if before := s.why.Load(); before != nil {
		t.since = before.since
	}
	s.why.Store(t)
}

// well notes that the lane gets on.
func (s *laneState) well() {
	if s.why.Load() != nil {
		s.why.Store(nil)
	}
	s.failing.Store(false)
}

// A laneView is how a lane stands.
type laneView struct {
	state  MasterState
	since  time.Duration // for how long
	flying int64         // commands given to it and not answered
}

// view looks at a lane. last tells that no more is to come.
func (l *lane) view(last bool) laneView {
	v := laneView{state: MasterOK, flying: l.flying.Load() + l.queue.commands()}
	now := time.Now()
	why := l.why.Load()
	if why != nil && v.flying == 0 && now.Sub(why.latest) > forgotten {
		why = nil // what it could not take has gone elsewhere
	}
	if why != nil {
		v.since = now.Sub(why.since)
	}
	quiet := time.Duration(0)
	if c := l.conn.Load(); c != nil && c.waiting.Load() > 0 {
		quiet = c.quiet(now)
	}
	switch {
	case l.failing.Load():
		v.state, v.since = MasterFailing, max(v.since, quiet)
	case quiet > silenceLimit:
		v.state, v.since = MasterSilent, quiet
	case why != nil:
		v.state = troubleState(why.err)
	case v.flying > 0 && l.pace != nil && l.pace.gate.Load() != nil:
		v.state = MasterPaced
	case v.flying == 0 && last:
		v.state = MasterDone
	case v.flying == 0:
		v.state = MasterIdle
	}
	return v
}

// troubleState returns the state of a master with which a lane has met err, which
// may be the text of a reply.
func troubleState(err error) MasterState {
	switch {
	case errors.Is(err, slotter.ErrLoading), strings.HasPrefix(err.Error(), "LOADING"):
		return MasterLoading
	case errors.Is(err, ErrTargetFull):
		return MasterFull
	case errors.Is(err, slotter.ErrUnreachable):
		return MasterUnreachable
	case errors.Is(err, slotter.ErrAuth):
		return MasterBarred
	}
	return MasterWaiting
}

// commands returns how many commands the batches of a queue hold.
func (q *queue) commands() (n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for b := q.first; b != nil; b = b.next {
		n += int64(b.sent())
	}
	return n
}

// addLane adds up what the lanes to one master have done, and keeps the worst of
// their states.
func (r *MasterResult) addLane(l *lane, v laneView) {
	r.Keys += l.keys.Load()
	r.Bytes += l.bytes.Load()
	r.Retries += l.retries.Load()
	r.InFlight += v.flying
	if v.state > r.State {
		r.State, r.For = v.state, v.since
	} else if v.state == r.State {
		r.For = max(r.For, v.since)
	}
}

// judge completes the state of a master by what the slot map says.
func (r *MasterResult) judge(m *slotter.Map, standalone bool) {
	at := m.ByAddr(r.Addr)
	switch {
	case at < 0 && !standalone && r.InFlight == 0:
		r.State, r.For = MasterReplaced, 0
	case at >= 0 && r.State == MasterFailing && len(m.Masters[at].Replicas) > 0:
		r.State = MasterFailingOver
	}
}
