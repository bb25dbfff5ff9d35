package pipeline

import (
	"testing"
	"time"
)

// TestDepthWants turns a number of batches over, with times on their way of which a
// part is the round trip.
func TestDepthWants(t *testing.T) {
	const ms = time.Millisecond
	type turn struct {
		answers    int
		took, trip time.Duration
		want       int
		short      bool
	}
	for _, test := range []struct {
		name  string
		most  int
		turns []turn
	}{
		{"near: batches wait for their master", 1000, []turn{{100, 40 * ms, 5 * ms, 100, false}, {100, 40 * ms, 5 * ms, 100, false}}},
		{"far: they wait for nothing", 1000, []turn{{100, 51 * ms, 50 * ms, 200, false}, {200, 51 * ms, 50 * ms, 400, false}, {400, 120 * ms, 50 * ms, 400, false}}},
		{"too few to tell", 1000, []turn{{99, 51 * ms, 50 * ms, 100, false}, {1, 51 * ms, 50 * ms, 200, false}}},
		{"half of the time", 1000, []turn{{100, 100 * ms, 50 * ms, 100, false}}},
		{"farther than the budget", 150, []turn{{100, 51 * ms, 50 * ms, 150, false}, {150, 51 * ms, 50 * ms, 150, true}, {150, 200 * ms, 50 * ms, 150, false}}},
		{"what was before does not count", 1000, []turn{{100, 900 * ms, 5 * ms, 100, false}, {100, 6 * ms, 5 * ms, 200, false}}},
		{"more than the budget allows, for the lanes' sake", 50, []turn{{100, 51 * ms, 50 * ms, 100, true}}},
	} {
		d, n := depth{most: test.most}, 100
		for i, turn := range test.turns {
			for range turn.answers {
				d.answered(turn.took, turn.trip)
			}
			if n = d.wants(n); n != turn.want || d.short != turn.short {
				t.Errorf("%s, turn %d: %d batches, short %v; want %d, %v", test.name, i, n, d.short, turn.want, turn.short)
			}
		}
	}
}

// TestFirstDepth: a budget that holds no more than firstDepth is used from the
// beginning, of a larger one no more than that and what the lanes need.
func TestFirstDepth(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		masters      int
		memory, want int64 // bytes of batches
	}{
		{3, 16 * mib, 8 * mib}, {3, 64 * mib, 32 * mib}, {3, 128 * mib, 64 * mib},
		{3, 1024 * mib, 64 * mib}, {30, 1024 * mib, 64 * mib}, {300, 1024 * mib, 375 * mib},
	} {
		im, stop := newSink(test.masters, Options{Memory: test.memory})
		room := int64(im.batches) * int64(im.batchSize+im.batchSize/4)
		if room < test.want*9/10 || room > test.want*11/10 {
			t.Errorf("%d masters, %d MiB: batches of %d MiB in all, want %d", test.masters, test.memory/mib, room/mib, test.want/mib)
		}
		if all := im.depth.most; int64(all)*int64(im.batchSize+im.batchSize/4) < test.memory/2*9/10 {
			t.Errorf("%d masters, %d MiB: %d batches of %d bytes at the most", test.masters, test.memory/mib, all, im.batchSize)
		}
		stop()
	}
}
