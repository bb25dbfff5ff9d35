package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// runRedo sends batches that came back with open commands out again, some of
// them after a pause.
func (im *Importer) runRedo() {
	var resting []*batch
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		for b := im.redo.take(); b != nil; b = im.redo.take() {
			if !im.rest(b) {
				im.place(b)
				continue
			}
			if err := im.astray(b); err != nil {
				im.abort(err)
			}
			resting = append(resting, b)
		}
		resting = im.wakeUp(resting, wake)
		select {
		case <-im.redo.ready:
		case <-wake.C:
		case <-im.ctx.Done():
			return
		}
	}
}

// wakeUp sends the resting batches whose time has come, and sets the timer for
// the others, which it returns.
func (im *Importer) wakeUp(resting []*batch, wake *time.Timer) []*batch {
	now, next := time.Now(), time.Hour
	rest := resting[:0]
	for _, b := range resting {
		if d := b.due.Sub(now); d > 0 {
			next = min(next, d)
			rest = append(rest, b)
		} else {
			im.place(b)
		}
	}
	clear(resting[len(rest):])
	wake.Reset(next)
	return rest
}

// Pauses before a batch is sent again that a master could not take.
const (
	firstPause = 20 * time.Millisecond
	longPause  = time.Second
	// mostRedirects is how often a batch follows redirections at once.
	mostRedirects = 8
)

// rest reports whether b has to wait, and says until when.
func (im *Importer) rest(b *batch) bool {
	if b.try == 0 || b.wait {
		b.detour = detour{} // something of it was settled, or cannot be for another reason
	}
	b.try++
	if !b.wait && b.try <= mostRedirects {
		return false
	}
	pause := firstPause << min(b.try-1, 10)
	pause = min(pause, longPause)
	b.due = time.Now().Add(pause/2 + rand.N(pause))
	if b.wait {
		im.stats.retries.Add(1)
		b.lane.retries.Add(1)
		im.wantMap()
	}
	b.wait = false
	return true
}

// astray returns an error if b, which rests, has done nothing but follow redirections
// for too long. It speaks for all of b's commands by the first that is open.
func (im *Importer) astray(b *batch) error {
	for i := range b.cmds {
		cmd := &b.cmds[i]
		if cmd.state == stateSettled {
			continue
		}
		if cmd.state != stateMoved && cmd.state != stateAsk {
			return nil
		}
		key := parseRestore(b.command(i)).key
		return im.sentAway(&b.detour, key, slotter.Slot(key), b.lane.name(), im.lane(cmd.laneIndex()).name())
	}
	return nil
}

// place sends the open commands of b that can go together: those that go to the
// same lane in the same way as the first one. The others follow when b is back.
func (im *Importer) place(b *batch) {
	r := im.routes.Load()
	b.part = b.part[:0]
	var to *lane
	// What a bad connection does not carry as a whole, it may in parts.
	most := max(1, len(b.cmds)>>min(b.broken, 20))
	for i := range b.cmds {
		if len(b.part) == most {
			break
		}
		if b.cmds[i].state == stateSettled {
			continue
		}
		how, l := im.direction(r, b, i)
		if to == nil {
			to, b.how = l, how
			if how == sendReadBack || how == sendReadBackAsking {
				most = max(1, most>>min(3*b.narrow, 30))
			}
		}
		if l == to && how == b.how {
			b.part = append(b.part, int32(i))
		}
	}
	if len(b.part) == len(b.cmds) && b.how == sendPlain {
		b.part = b.part[:0] // all of it, in one piece
	}
	if b.how == sendLong {
		b.lane = to
		im.long.put(b)
		return
	}
	to.queue.put(b)
}

// direction returns how and where command i of b is to be sent.
func (im *Importer) direction(r *routes, b *batch, i int) (sending, *lane) {
	switch cmd := b.cmds[i]; cmd.state {
	case stateMoved:
		return sendPlain, im.lane(cmd.laneIndex())
	case stateAsk:
		return sendAsking, im.lane(cmd.laneIndex())
	case stateExists:
		return sendReadBack, im.lane(cmd.laneIndex())
	case stateExistsAsk:
		return sendReadBackAsking, im.lane(cmd.laneIndex())
	case stateLong:
		return sendLong, im.lane(cmd.laneIndex())
	}
	addr := r.masters[r.owner[slotter.Slot(parseRestore(b.command(i)).key)]]
	// A batch stays with its database, and with its lane as long as that leads
	// to the right master.
	if b.lane.place.addr == addr {
		return sendPlain, b.lane
	}
	return sendPlain, im.laneTo(place{addr, b.lane.place.db, 0})
}

// trouble notes that a lane could not get on, and ends the import when that has
// lasted too long.
func (im *Importer) trouble(l *lane, err error) { im.endure(l, err, im.opts.RetryTimeout) }

// endure is trouble that may last for a certain time.
func (im *Importer) endure(l *lane, err error, most time.Duration) {
	l.ails(err)
	if errors.Is(err, slotter.ErrAuth) {
		im.barredOnce.Do(func() {
			im.opts.Warn(fmt.Sprintf("%v; it let the user in before, so this is tried again for up to %v", err, most))
		})
	}
	now := l.steady(time.Now())
	quiet := time.Duration(now - l.latest.Swap(now))
	if l.since.CompareAndSwap(0, now) {
		return
	}
	since := l.since.Load()
	if quiet > forgotten {
		// Nothing was asked of it for a while: this is another trouble.
		l.since.CompareAndSwap(since, now)
		return
	}
	if d := time.Duration(now - since); im.tooLong(d, most) && since != 0 && im.ctx.Err() == nil {
		err = fmt.Errorf("%w for %v: %s: %w", ErrNoProgress, d.Round(time.Second), l.name(), err)
		if im.stopping.Load() { // for another reason, and this is why keys stay unsettled
			im.opts.Warn(err.Error())
		}
		im.abort(err)
	}
}

// tooLong reports whether what may last for a certain time has lasted too long.
func (im *Importer) tooLong(lasts, most time.Duration) bool {
	asked := im.asked.Load()
	return lasts > most || asked != nil && min(lasts, time.Since(*asked)) > StopPatience
}

// loads notes that a master is loading its data, and reports whether that is waited for,
// however long it takes: not once the import is to end.
func (im *Importer) loads(l *lane, err error) bool {
	if !im.stopping.Load() {
		l.ails(err)
		return true
	}
	im.endure(l, err, min(im.opts.RetryTimeout, loadingPatience))
	return false
}

// loadingPatience is how long an import that is to end waits for a master that is loading,
// so that what is in flight to the others is settled.
const loadingPatience = 2 * time.Second

// forgotten is the time after which trouble with a lane is a new one: longer
// than any pause between two tries.
const forgotten = 20 * time.Second

// ErrNoProgress says that a master accepted nothing for the retry timeout.
var ErrNoProgress = errors.New("no progress")

func (l *lane) name() string {
	if l.place.addr == nowhere {
		return "slots that no master owns"
	}
	return l.place.addr
}
