package pipeline

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// TestFlowBatches turns a number of batches over, with times on their way of which a
// part is the round trip.
func TestFlowBatches(t *testing.T) {
	type step struct {
		answers    int
		took, trip time.Duration
		want       int
		short      bool
	}
	for _, test := range []struct {
		name  string
		most  int
		steps []step
	}{
		{"near: batches wait for their master", 1000, []step{{100, 40 * ms, ms, 100, false}, {100, 40 * ms, ms, 100, false}}},
		{"far: they wait for nothing", 1000, []step{{100, 51 * ms, 50 * ms, 200, false}, {200, 51 * ms, 50 * ms, 400, false}, {400, 120 * ms, 50 * ms, 400, false}}},
		{"too few to tell", 1000, []step{{99, 51 * ms, 50 * ms, 100, false}, {1, 51 * ms, 50 * ms, 200, false}}},
		{"half of the time", 1000, []step{{100, 100 * ms, 50 * ms, 100, false}}},
		{"farther than the budget", 150, []step{{100, 51 * ms, 50 * ms, 150, false}, {150, 51 * ms, 50 * ms, 150, true}, {150, 200 * ms, 50 * ms, 150, false}}},
		{"what was before does not count", 1000, []step{{100, 900 * ms, 5 * ms, 100, false}, {100, 6 * ms, 5 * ms, 200, false}}},
		{"more than the budget allows, for the lanes' sake", 50, []step{{100, 51 * ms, 50 * ms, 100, true}}},
	} {
		w, n := flow{mostBatches: test.most, mostLanes: 1}, 100
		for i, s := range test.steps {
			for range s.answers {
				w.answered(s.took, s.trip)
			}
			if n = w.look(n, time.Time{}); n != s.want || w.short != s.short {
				t.Errorf("%s, step %d: %d batches, short %v; want %d, %v", test.name, i, n, w.short, s.want, s.short)
			}
		}
	}
}

// TestFlowLanes: more lanes are tried where masters are far and batches wait for
// something, stay where that makes it less, and are tried again after a while where it
// did not.
func TestFlowLanes(t *testing.T) {
	type step struct {
		at         time.Duration // since the beginning
		took, trip time.Duration
		want       int32 // lanes
	}
	for _, test := range []struct {
		name  string
		most  int
		steps []step
	}{
		{"near", autoLanes, []step{{0, 90 * ms, 1 * ms, 1}, {100 * ms, 90 * ms, 19 * ms, 1}}},
		{"the user says how many", 1, []step{{0, 300 * ms, 50 * ms, 1}}},
		{"each of them carries something", autoLanes, []step{
			{0, 800 * ms, 50 * ms, 4},
			{400 * ms, 900 * ms, 50 * ms, 4},                                   // not yet open
			{500 * ms, 600 * ms, 50 * ms, 4}, {600 * ms, 400 * ms, 50 * ms, 4}, // the judgement
			{700 * ms, 400 * ms, 50 * ms, 8}, {1200 * ms, 400 * ms, 50 * ms, 8}, {1300 * ms, 200 * ms, 50 * ms, 8},
			{3 * time.Second, 120 * ms, 50 * ms, 8}, // there are no more
		}},
		{"some of them do", autoLanes, []step{
			{0, 800 * ms, 50 * ms, 4}, {500 * ms, 400 * ms, 50 * ms, 4}, {600 * ms, 400 * ms, 50 * ms, 4},
			{700 * ms, 400 * ms, 50 * ms, 8}, {1200 * ms, 400 * ms, 50 * ms, 8}, {1300 * ms, 390 * ms, 50 * ms, 4},
		}},
		{"the master is busy", autoLanes, []step{
			{0, 800 * ms, 50 * ms, 4}, {500 * ms, 800 * ms, 50 * ms, 4}, {600 * ms, 700 * ms, 50 * ms, 1},
			{700 * ms, 800 * ms, 50 * ms, 1}, {60 * time.Second, 800 * ms, 50 * ms, 1}, {61 * time.Second, 800 * ms, 50 * ms, 4},
		}},
		{"with more lanes nothing waits any more", autoLanes, []step{
			{0, 300 * ms, 50 * ms, 4}, {500 * ms, 99 * ms, 50 * ms, 4}, {600 * ms, 110 * ms, 50 * ms, 8},
		}},
	} {
		var w flow
		w.mostBatches, w.mostLanes = 10, test.most
		w.lanes.Store(1)
		for i, s := range test.steps {
			for range 10 {
				w.answered(s.took, s.trip)
			}
			w.look(10, time.Time{}.Add(s.at))
			if n := w.lanes.Load(); n != s.want {
				t.Errorf("%s, step %d: %d lanes, want %d", test.name, i, n, s.want)
			}
		}
	}
}

// TestFlowBegins: a budget that holds no more than firstDepth is used from the
// beginning, of a larger one no more than that and what the lanes need.
func TestFlowBegins(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		masters      int
		memory, want int64 // bytes of batches
	}{
		{3, 16 * mib, 8 * mib}, {3, 64 * mib, 32 * mib}, {3, 128 * mib, 64 * mib},
		{3, 1024 * mib, 64 * mib}, {30, 1024 * mib, 64 * mib}, {300, 1024 * mib, 375 * mib},
	} {
		im, stop := newSink(test.masters, Options{Memory: test.memory})
		size := int64(im.batchSize + im.batchSize/4)
		if room := int64(im.batches) * size; room < test.want*9/10 || room > test.want*11/10 {
			t.Errorf("%d masters, %d MiB: batches of %d MiB in all, want %d", test.masters, test.memory/mib, room/mib, test.want/mib)
		}
		if most := int64(im.flow.mostBatches) * size; most < test.memory/2*9/10 {
			t.Errorf("%d masters, %d MiB: batches of %d MiB at the most", test.masters, test.memory/mib, most/mib)
		}
		stop()
	}
}

// TestLanesInOrder: where keys of two databases can be given one name, of which the last
// has to win, there is one lane to a master, whatever the user says.
func TestLanesInOrder(t *testing.T) {
	merged := Databases{Only: AllDatabases, Merge: true}
	for _, test := range []struct {
		opts        Options
		first, most int
	}{
		{Options{Databases: Databases{Only: AllDatabases}}, 1, autoLanes},
		{Options{Databases: Databases{Only: AllDatabases}, Lanes: 3}, 3, 3},
		{Options{Databases: merged}, 1, 1},
		{Options{Databases: merged, Lanes: 3}, 1, 1},
		{Options{Databases: Databases{Only: AllDatabases, Prefix: "db%d:"}}, 1, autoLanes},
	} {
		w := flow{mostBatches: 100}
		w.begin(test.opts, 1<<20, 10)
		if first := int(w.lanes.Load()); first != test.first || w.mostLanes != test.most {
			t.Errorf("%+v: %d lanes, %d at the most", test.opts, first, w.mostLanes)
		}
	}
}
