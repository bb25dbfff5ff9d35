package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// Times by which the health of a master is judged.
const (
	// watchEvery is how often all lanes are looked at.
	watchEvery = 500 * time.Millisecond
	// silenceLimit is for how long a master may leave commands unanswered before
	// it is probed.
	silenceLimit = 2 * time.Second
	// stallLimit is the silence, beyond a round trip, after which replies are
	// believed only once the other nodes say that the master is still one. It is
	// below any sensible cluster-node-timeout, after which a replica takes over.
	stallLimit = 500 * time.Millisecond
	// mostNatural is the longest round trip that is taken for one.
	mostNatural = time.Second
	// probeTimeout bounds one probe.
	probeTimeout = 3 * time.Second
	// deadLimit is for how long nothing may move on a connection to a master that
	// answers on new ones, until it is given up. What the system has taken from a
	// writer needs some of that time on a slow link.
	deadLimit = 10 * time.Second
	// askAgain is the pause between two questions to the other nodes.
	askAgain = 100 * time.Millisecond
	// mostPeers is how many other nodes are asked at a time, and standingTime bounds
	// the asking where they do not answer. It is below forgotten.
	mostPeers    = 3
	standingTime = 2 * probeTimeout
)

// Why a connection is given up.
var (
	errDemoted = errors.New("it is no master any more")
	errSilent  = errors.New("no answer, though it answers on new connections")
	// errDoubtful is why its answers are not believed yet.
	errDoubtful = errors.New("it was silent for a moment, and the other nodes do not say that it still is a master")
)

// watch looks at all lanes from time to time and has those probed that have been
// silent for too long.
func (im *Importer) watch() {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-im.ctx.Done():
			return
		}
		now := time.Now()
		im.mu.Lock()
		for _, l := range im.lanes {
			c := l.conn.Load()
			if c == nil || c.waiting.Load() == 0 {
				continue
			}
			if c.quiet(now) > stallLimit {
				c.low.set(1) // whatever has come is to be heard
			}
			if c.quiet(now) < silenceLimit || c.probing.Swap(true) {
				continue
			}
			im.work.Go(c.probe)
		}
		im.mu.Unlock()
	}
}

// probe finds out what is wrong with a silent connection, and gives it up if it
// has no future.
func (c *connection) probe() {
	defer c.probing.Store(false)
	l, im := c.lane, c.lane.im
	ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
	defer cancel()
	conn, err := im.cluster.Dial(ctx, l.place.addr, int(l.place.db))
	if err == nil {
		_ = conn.Close()
		// It is well, and takes its time, or this connection leads nowhere.
		if c.quiet(time.Now()) > min(deadLimit, im.opts.RetryTimeout/3) {
			c.giveUp(errSilent)
		}
		return
	}
	// It does not answer at all: it is busy with one long command, or gone. The
	// other nodes know when another has taken its place.
	verdict := im.standing(im.ctx, l.place.addr)
	l.failing.Store(verdict == standingFailing)
	if verdict == standingReplaced {
		c.giveUp(errDemoted)
		im.wantMap()
		return
	}
	im.trouble(l, fmt.Errorf("it is silent: %w", err))
}

// quiet returns for how long nothing has moved on the connection, in either
// direction.
func (c *connection) quiet(now time.Time) time.Duration {
	return time.Duration(c.lane.steady(now) - max(c.heard.Load(), c.moved.Load()))
}

// giveUp breaks the connection: what is in flight will be sent again.
func (c *connection) giveUp(err error) {
	c.broke.CompareAndSwap(nil, &err)
	_ = c.conn.Close()
}

// confirm finds out after a silence whether the master may be believed: a frozen
// one that wakes up accepts what it is sent before it learns that another has
// taken its place. While the other nodes do not say so this is trouble like any other.
// It returns an error if the connection has to be given up.
func (c *connection) confirm() error {
	l, im := c.lane, c.lane.im
	for {
		verdict := im.standing(im.ctx, l.place.addr)
		c.hear(time.Now()) // it has answered: a silence begins now, if at all
		switch verdict {
		case standingMaster:
			return nil
		case standingReplaced:
			im.wantMap()
			return errDemoted
		}
		if p := c.broke.Load(); p != nil {
			return *p
		}
		im.trouble(l, errDoubtful)
		im.wantMap()
		select {
		case <-time.After(askAgain):
		case <-im.ctx.Done():
			return im.ctx.Err()
		}
	}
}

// A Loss is a set of keys that a master had, accepted or there already, and may have lost.
type Loss struct {
	Addr   string // of the master
	Slots  string // that have another owner now; "" where the master has lost its data
	Keys   int64  // how many keys it had, at the most
	Reason string

	// What it had before those in question, and when the loss was noted.
	before, after int64
	harm          bool // false if all replicas had all of them
}

// failedOver compares two maps and notes the slots whose owner has been replaced
// by its replica: what the replica had not got is lost.
func (im *Importer) failedOver(before, after *slotter.Map) {
	lost := make(map[int][]slotter.Range)
	for slot := range uint16(slotter.Slots) {
		a, b := before.Owner(slot), after.Owner(slot)
		if a < 0 || b < 0 || before.Masters[a].ID == after.Masters[b].ID {
			continue
		}
		if !im.replicaOf(before.Masters[a].ID, after.Masters[b].ID) {
			continue
		}
		r := lost[a]
		if n := len(r); n > 0 && r[n-1].Last+1 == slot {
			r[n-1].Last = slot
		} else {
			r = append(r, slotter.Range{First: slot, Last: slot})
		}
		lost[a] = r
	}
	for a, ranges := range lost {
		addr := before.Masters[a].Addr
		im.breakOff(addr)
		im.stats.failovers.Add(1)
		im.forgetProcess(addr) // if it comes back, it starts empty, and that is known
		im.noteLoss(addr, slotter.FormatRanges(ranges), "its replica has taken over, and may not have had all of them", im.mayLose(before.Masters[a].ID))
	}
}

// breakOff closes the connections to a master that is none any more, so that
// nothing that it still says is believed.
func (im *Importer) breakOff(addr string) {
	for _, l := range im.lanes {
		if c := l.conn.Load(); c != nil && l.place.addr == addr {
			c.giveUp(errDemoted)
		}
	}
}

// noteLoss notes that what a master had so far may be lost, or that it
// is not but will be accepted anew by another process. im.mu is held.
func (im *Importer) noteLoss(addr, slots, reason string, harm bool) {
	before := int64(0)
	for _, l := range im.losses {
		if l.Addr == addr {
			before = l.after
		}
	}
	keys := im.heldBy(addr)
	if keys == before {
		return
	}
	im.losses = append(im.losses, Loss{Addr: addr, Slots: slots, Reason: reason, before: before, after: keys, harm: harm})
	if harm {
		im.opts.Warn(fmt.Sprintf("up to %s that %s had may be lost: %s", counted(keys-before, "key"), addr, reason))
	}
}

// heldBy returns how many keys a master has, as far as it has said so: those that it has
// accepted, and those that were there, in an import that this one goes on with as well.
// im.mu is held.
func (im *Importer) heldBy(addr string) (keys int64) {
	for _, e := range im.earlier {
		if e.addr == addr {
			keys += e.keys
		}
	}
	return keys + im.acceptedBy(addr)
}

// acceptedBy is heldBy of this import alone. im.mu is held.
func (im *Importer) acceptedBy(addr string) (keys int64) {
	for _, l := range im.lanes {
		if l.place.addr == addr {
			keys += l.keys.Load() + l.there.Load()
		}
	}
	return keys
}

// lossesNow returns the losses. A reader may have counted replies after a loss
// was noted that were given before it: all that a master had until its
// next loss is in question. im.mu is held.
func (im *Importer) lossesNow() (all []Loss) {
	for i, l := range im.losses {
		if !l.harm {
			continue
		}
		until := im.heldBy(l.Addr)
		for _, next := range im.losses[i+1:] {
			if next.Addr == l.Addr {
				until = next.before
				break
			}
		}
		l.Keys = max(until, l.after) - l.before
		all = append(all, l)
	}
	return append(all, im.left...)
}
