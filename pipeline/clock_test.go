package pipeline

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rdbimport/rdbimport/slotter"
)

// beforeStep returns t as it was read here before this machine's clock was set on by d:
// it says less, and is no longer ago.
func beforeStep(tb testing.TB, t time.Time, d time.Duration) time.Time {
	tb.Helper()
	// Seconds stand above 30 bits of nanoseconds in the first word.
	was := t
	*(*uint64)(unsafe.Pointer(&was)) -= uint64(d/time.Second) << 30
	if got := t.Round(0).Sub(was.Round(0)); got != d || t.Sub(was) != 0 {
		tb.Fatalf("a time %v before the clock was set is %v before it, and %v ago", d, got, t.Sub(was))
	}
	return was
}

// TestClockStep sets this machine's clock on and back after the target has told its time.
func TestClockStep(t *testing.T) {
	there := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []time.Duration{time.Hour, -time.Hour} {
		var c clock
		c.begin(&reading{there: there, here: beforeStep(t, time.Now(), step)})
		c.set()
		if off := time.UnixMilli(c.now.Load()).Sub(there); off < 0 || off > time.Minute {
			t.Errorf("this machine's clock is set by %v, and what is taken for the target's by %v", step, off)
		}
	}
}

// TestClockFollows: the target is asked again and again, unless it does not tell, and the
// clock moves on while it is silent.
func TestClockFollows(t *testing.T) {
	for _, tells := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var c clock
			c.begin(nil)
			if tells {
				c.begin(&reading{time.Now(), time.Now()})
			}
			var work sync.WaitGroup
			var asked atomic.Int32
			work.Go(func() {
				c.run(ctx, func(ctx context.Context) *reading {
					if asked.Add(1) == 1 {
						<-ctx.Done()
						return nil
					}
					return &reading{time.Now().Add(time.Hour), time.Now()}
				})
			})
			ahead := func() time.Duration {
				synctest.Wait()
				return time.Until(time.UnixMilli(c.now.Load())).Round(time.Second)
			}
			time.Sleep(askTime + askTime/4)
			if d := ahead(); d != 0 || tells != (asked.Load() == 1) {
				t.Errorf("tells %v: asked %d times, the clock is ahead by %v", tells, asked.Load(), d)
			}
			time.Sleep(askTime)
			if d := ahead(); tells != (d == time.Hour) || tells != (asked.Load() == 2) {
				t.Errorf("tells %v: asked %d times, the clock is ahead by %v", tells, asked.Load(), d)
			}
			cancel()
			work.Wait()
		})
	}
}

// TestSlowestMaster: a key that has not expired on all masters is to be sent.
func TestSlowestMaster(t *testing.T) {
	now := time.Now()
	var s slowest
	for _, ahead := range []time.Duration{time.Hour, time.Minute, 2 * time.Hour} {
		now = now.Add(time.Second)
		s.add(&reading{there: now.Add(ahead), here: now})
	}
	if got := s.r.there.Sub(s.r.here); got != time.Minute {
		t.Errorf("of masters ahead by 1, 60 and 120 minutes the one that is by %v is taken", got)
	}
}

// TestSilenceAndClock: a silence is one whether this machine's clock is set back
// meanwhile, or goes on alone because the machine sleeps. Whether nothing moves is judged
// by the time that this process had.
func TestSilenceAndClock(t *testing.T) {
	for _, tc := range []struct {
		name     string
		ago      time.Duration // since something arrived
		step     time.Duration // of this machine's clock, since then
		believed bool
		quiet    bool
	}{
		{name: "soon", believed: true},
		{name: "a silence", ago: 5 * time.Second, quiet: true},
		{name: "set back", ago: 5 * time.Second, step: -time.Hour, quiet: true},
		{name: "slept", step: time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()  //nolint:errcheck // nobody reads it
			defer near.Close() //nolint:errcheck // nor this
			im := &Importer{ctx: t.Context(), cluster: &slotter.Cluster{}}
			im.slotMap.Store(&slotter.Map{}) // the master is none any more
			c := newConnection(newLane(im, place{addr: "a:1"}, 0), near)
			c.hear(beforeStep(t, time.Now().Add(-tc.ago), tc.step))
			if got := c.quiet(time.Now()) > silenceLimit; got != tc.quiet {
				t.Errorf("nothing moves: %v, want %v", got, tc.quiet)
			}
			if err := c.arrived(); tc.believed && err != nil || !tc.believed && !errors.Is(err, errDemoted) {
				t.Errorf("believed %v, and the error is %v", tc.believed, err)
			}
		})
	}
}
