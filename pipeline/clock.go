package pipeline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A clock keeps the target's time, so that no key needs to ask for it. From one answer of
// the target to the next it moves on by the time that passes here, and not by this
// machine's clock: that may be set at any time.
type clock struct {
	now   atomic.Int64 // milliseconds since the epoch, a tick old at most
	heard atomic.Pointer[reading]
	told  bool // by the target, before run began
}

// A reading is what time it was on the target at a moment here.
type reading struct{ there, here time.Time }

const (
	// tick is how often the clock moves on.
	tick = 50 * time.Millisecond
	// askTime is how often the target is asked: either clock may be set during a long
	// import, and no time passes on a machine that sleeps.
	askTime = 5 * time.Second
)

// set makes the clock show what time it is on the target now. One that nobody has told
// the target's time shows that of this machine.
func (c *clock) set() {
	r := c.heard.Load()
	if r == nil {
		now := time.Now()
		r = &reading{now, now}
		c.heard.Store(r)
	}
	c.now.Store(r.there.Add(time.Since(r.here)).UnixMilli())
}

// expired reports whether a key has expired.
func (c *clock) expired(e *rdbparse.Entry) bool { return e.Expires && e.ExpireAt <= c.now.Load() }

// begin sets the clock by what the target said; nil if it said nothing.
func (c *clock) begin(r *reading) {
	c.told = r != nil
	c.heard.Store(r)
	c.set()
}

// run moves the clock on, and has the target asked for its time if that tells it, until
// ctx ends.
func (c *clock) run(ctx context.Context, ask func(ctx context.Context) *reading) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	again := time.NewTicker(askTime)
	defer again.Stop()
	if !c.told {
		again.Stop()
	}
	for {
		select {
		case <-t.C:
			c.set()
		case <-again.C:
			// The clock moves on meanwhile: a master may take long to answer, or never do.
			asking.Wait()
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, askTime/2)
				defer cancel()
				if r := ask(ctx); r != nil {
					c.heard.Store(r)
				}
			})
		case <-ctx.Done():
			return
		}
	}
}

// timeOf asks the master at addr what time it is.
func timeOf(ctx context.Context, c *slotter.Cluster, addr string) (*reading, error) {
	before := time.Now()
	t, err := c.Time(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &reading{there: t, here: before.Add(time.Since(before) / 2)}, nil
}

// A slowest keeps the reading of the master whose clock is behind the others': what has
// not expired there is to be sent.
type slowest struct {
	mu sync.Mutex
	r  *reading
}

func (s *slowest) add(r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r == nil || r.there.Sub(s.r.there) < r.here.Sub(s.r.here) {
		s.r = r
	}
}

// askTimes returns the time on the one of the masters whose clock is behind the others',
// as far as they tell; nil if none does.
func askTimes(ctx context.Context, c *slotter.Cluster, r *routes) *reading {
	var s slowest
	_ = r.eachMaster(ctx, func(ctx context.Context, addr string) error {
		if told, err := timeOf(ctx, c, addr); err == nil {
			s.add(told)
		}
		return nil
	})
	return s.r
}
