package pipeline

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// stateLane returns a lane of a master with so many commands queued and on their
// way.
func stateLane(queued, flying int) *lane {
	l := newLane(nil, place{addr: "a:1"}, 0)
	l.pace = &pace{}
	if queued > 0 {
		l.queue.put(&batch{cmds: make([]command, queued)})
	}
	l.flying.Store(int64(flying))
	return l
}

// connected gives a lane a connection that has been silent for a time.
func connected(l *lane, silent time.Duration) {
	c := &connection{lane: l}
	c.waiting.Store(1)
	c.heard.Store(time.Now().Add(-silent).UnixNano())
	l.conn.Store(c)
}

func TestLaneView(t *testing.T) {
	unreachable := &slotter.NodeError{Addr: "a:1", Kind: slotter.ErrUnreachable}
	gate := make(chan struct{})
	for _, tc := range []struct {
		name           string
		queued, flying int
		set            func(l *lane)
		last           bool
		want           MasterState
		since          time.Duration // at the least
	}{
		{name: "nothing to do", want: MasterIdle},
		{name: "nothing more to do", last: true, want: MasterDone},
		{name: "queued", queued: 3, want: MasterOK},
		{name: "on its way at the end", flying: 2, last: true, want: MasterOK},
		{name: "answers", queued: 1, flying: 2, set: func(l *lane) { connected(l, time.Second) }, want: MasterOK},
		{name: "silent", flying: 2, set: func(l *lane) { connected(l, 7*time.Second) }, want: MasterSilent, since: 7 * time.Second},
		{name: "failing", flying: 2, set: func(l *lane) { connected(l, 7*time.Second); l.failing.Store(true) }, want: MasterFailing, since: 7 * time.Second},
		{name: "paced", queued: 1, set: func(l *lane) { l.pace.gate.Store(&gate) }, want: MasterPaced},
		{name: "nothing to hold back", set: func(l *lane) { l.pace.gate.Store(&gate) }, want: MasterIdle},
		{name: "connection lost", set: func(l *lane) { l.ails(errors.New("broken pipe")) }, want: MasterWaiting},
		{name: "unreachable", set: func(l *lane) { l.ails(errors.New("EOF")); l.ails(fmt.Errorf("dial: %w", unreachable)) }, want: MasterUnreachable},
		{name: "loading", set: func(l *lane) { l.ails(errors.New("LOADING Redis is loading the dataset in memory")) }, want: MasterLoading},
		{name: "full", set: func(l *lane) { l.ails(ErrTargetFull) }, want: MasterFull},
		{name: "well again", set: func(l *lane) { l.ails(ErrTargetFull); l.well() }, want: MasterIdle},
		{name: "trouble of before", set: func(l *lane) {
			l.why.Store(&laneTrouble{err: unreachable, since: time.Now().Add(-time.Hour), latest: time.Now().Add(-time.Minute)})
		}, want: MasterIdle},
		{name: "trouble that lasts", flying: 1, set: func(l *lane) {
			l.why.Store(&laneTrouble{err: unreachable, since: time.Now().Add(-time.Hour), latest: time.Now().Add(-time.Minute)})
		}, want: MasterUnreachable, since: time.Hour},
	} {
		l := stateLane(tc.queued, tc.flying)
		if tc.set != nil {
			tc.set(l)
		}
		v := l.view(tc.last)
		if v.state != tc.want || v.since < tc.since || v.flying != int64(tc.queued+tc.flying) {
			t.Errorf("%s: %v for %v, %d in flight; want %v for %v", tc.name, v.state, v.since, v.flying, tc.want, tc.since)
		}
	}
}

// TestMasterState: a master is as well as the worst of its lanes, and what the
// slot map says of it counts.
func TestMasterState(t *testing.T) {
	m, err := slotter.NewMap([]slotter.Master{
		{ID: "a", Addr: "a:1"}, {ID: "b", Addr: "b:1", Replicas: []slotter.Replica{{ID: "c", Addr: "c:1"}}},
	}, [][]slotter.Range{{{First: 0, Last: 99}}, {{First: 100, Last: 16383}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		addr  string
		lanes []laneView
		alone bool
		want  MasterState
		since time.Duration
	}{
		{"a:1", []laneView{{state: MasterOK}, {state: MasterSilent, since: 3 * time.Second}, {state: MasterSilent, since: 2 * time.Second}}, false, MasterSilent, 3 * time.Second},
		{"a:1", []laneView{{state: MasterFailing}}, false, MasterFailing, 0},
		{"b:1", []laneView{{state: MasterFailing, since: time.Second}, {state: MasterIdle}}, false, MasterFailingOver, time.Second},
		{"old:1", []laneView{{state: MasterUnreachable, since: time.Minute}}, false, MasterReplaced, 0},
		{"old:1", []laneView{{state: MasterWaiting, since: time.Second, flying: 1}}, false, MasterWaiting, time.Second},
		{"alone:1", []laneView{{state: MasterOK}}, true, MasterOK, 0},
	} {
		r := MasterResult{Addr: tc.addr}
		for _, v := range tc.lanes {
			r.addLane(stateLane(0, 0), v)
		}
		r.judge(m, tc.alone)
		if r.State != tc.want || r.For != tc.since {
			t.Errorf("%s: %v for %v, want %v for %v", tc.addr, r.State, r.For, tc.want, tc.since)
		}
	}
	for s := range MasterFailingOver + 1 {
		if s.String() == "" || s.Trouble() != (s > MasterReplaced) {
			t.Errorf("state %d: %q, trouble %v", s, s, s.Trouble())
		}
	}
}
