package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// A bigValue is a value that is too large to be held, on its way to the target.
// It is read from the dump while it is written to the master: one at a time, in
// the goroutine of its Feeder.
type bigValue struct {
	f    *Feeder
	im   *Importer
	e    *rdbparse.Entry
	v    *rdbparse.BigValue
	name []byte // on the target
	slot uint16

	k *link // to the master, nil while there is none
	// temp is the key in which the value is collected, nil if there is none, and
	// whole tells that all of it is there: parts elements, of which those that
	// fading counts expire on their own.
	temp     []byte
	whole    bool
	parts    int64
	fading   fading
	attempts int
	// uncertain tells that the last command was sent and its answer never came.
	uncertain bool
	faded     int64 // fields that had expired
	mismatch  int   // attempts whose cardinality was wrong
	lastCard  int64 // of the last of them
	broken    int   // connections that broke while they were at it
	waited    int   // times that its slot was on its way to another master
}

// big brings the value of e, which is Big, to its master, and settles the key.
func (f *Feeder) big(e *rdbparse.Entry) error {
	im := f.im
	if e.Expires && e.ExpireAt <= im.clock.now.Load() {
		f.counts.expired++
		return nil
	}
	f.Flush() // nothing waits for this one
	if im.opts.Databases.Merge && im.opts.Databases.Prefix == "" {
		// The same key of another database must not come behind this one.
		if err := f.WaitSettled(); err != nil {
			return f.unread(err)
		}
	}
	if err := im.limit(0, 1); err != nil {
		return f.unread(err)
	}
	if e.Meta != nil && !im.target.keyMeta {
		f.converted = *e
		e = &f.converted
		e.Meta = nil
	}
	b := &bigValue{f: f, im: im, e: e, v: f.scanner.BigValue()}
	b.name = append(append(b.name, f.prefix...), e.Key...)
	b.slot = slotter.Slot(b.name)
	im.stats.big.Add(1)
	err := b.bring()
	b.removeTemporary()
	if f.link != nil {
		f.link.lane.flying.Store(0)
	}
	f.publish()
	return err
}

// unread takes back that a key was met: what stopped the import did so before
// the key was settled.
func (f *Feeder) unread(err error) error {
	f.met--
	f.counts.read--
	return err
}

// bring tries until the key is settled or the import stops.
func (b *bigValue) bring() error {
	for try := 0; ; try++ {
		if b.im.stopping.Load() {
			return b.f.unread(b.im.whyStopped())
		}
		err := b.attempt()
		if err == nil {
			return nil
		}
		again, err := b.judge(err)
		b.f.unlink() // before the temporary key is removed
		if !again {
			return err
		}
		if err := b.rest(try); err != nil {
			return b.f.unread(err)
		}
	}
}

// rest waits before the next attempt.
func (b *bigValue) rest(try int) error {
	pause := min(firstPause<<min(try, 10), longPause)
	b.im.stats.retries.Add(1)
	b.im.wantMap()
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return nil
	case <-b.im.reading.Done():
		return b.im.whyStopped()
	}
}

// attempt tries to bring the value to its master, from where an earlier attempt
// has left it.
func (b *bigValue) attempt() error {
	if err := b.connect(); err != nil {
		return err
	}
	if b.whole {
		// It is all there, and only its name is missing.
		return b.commit()
	}
	b.removeTemporary()
	if b.im.opts.Conflict != ConflictReplace || b.uncertain {
		there, err := b.exists()
		if err != nil || there {
			return err
		}
	}
	return b.write()
}

// connect makes k a link to the master of the key.
func (b *bigValue) connect() (err error) {
	r := b.im.routes.Load()
	b.k, err = b.f.linkTo(r.masters[r.owner[b.slot]])
	return err
}

// exists finds out whether the key is on the target, and settles it by the
// policy if it is.
func (b *bigValue) exists() (bool, error) {
	b.k.begin("EXISTS", b.name)
	n, err := b.k.number()
	if err != nil || n == 0 {
		return false, err
	}
	if b.im.opts.Conflict == ConflictSkip && !b.uncertain {
		b.settled(&b.im.stats.existing)
		return true, nil
	}
	differs, err := b.compare()
	switch {
	case err != nil:
		return false, err
	case differs == "" && b.uncertain:
		return true, b.arrived()
	case differs == "" || b.im.opts.Conflict == ConflictSkip:
		b.settled(&b.im.stats.existing)
		return true, nil
	case b.im.opts.Conflict == ConflictReplace:
		return false, b.connect() // the link was given up
	}
	b.refuse("exists with another value")
	return true, &ConflictError{Key: b.name, Addr: b.k.addr, Reason: differs}
}

// write writes the value in the way that fits it.
func (b *bigValue) write() error {
	switch {
	case b.e.Type.Kind == rdbparse.KindString:
		return b.writeString()
	case splits(b.e.Type):
		if err := b.writePieces(); err != nil {
			return err
		}
		return b.commit()
	}
	return b.writeWhole()
}

// A sourceError says that the value cannot be read from the dump.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// A refusedError says that the value cannot be written to this target.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

// judge says what follows from the error of an attempt: another attempt, or the
// end of this value, and with the error that is returned, of the import.
func (b *bigValue) judge(err error) (again bool, _ error) {
	var (
		reply    *replyError
		source   *sourceError
		refused  *refusedError
		conflict *ConflictError
	)
	switch {
	case b.im.stopping.Load():
		if b.uncertain {
			b.im.opts.Warn(fmt.Sprintf("key %q: stopped before the answer to its last command came", b.name))
		}
		return false, b.f.unread(b.im.whyStopped())
	case errors.As(err, &conflict):
		return false, err
	case errors.Is(err, errNothing):
		return false, nil
	case errors.Is(err, errVanished), errors.Is(err, errTaken):
		return true, nil
	case errors.As(err, &source):
		return false, b.unreadable(source.err)
	case errors.As(err, &refused):
		b.refuse(refused.reason)
		return false, nil
	case errors.As(err, &reply):
		return b.judgeReply(reply)
	}
	b.im.stats.reconnects.Add(1)
	b.im.trouble(b.k.lane, err)
	return b.tooOften(err)
}

// How often the connection may break in mid-value before that is said, and before
// it is given up: each time the value begins anew, so that a line that does not
// last as long as the value takes never brings it.
const (
	warnBroken = 5
	mostBroken = 200
)

// tooOften counts connections that broke while they were at the value, because of
// err, and gives up in the end.
func (b *bigValue) tooOften(err error) (again bool, _ error) {
	if b.k.c == nil {
		return true, nil // there was none
	}
	switch b.broken++; b.broken {
	case warnBroken:
		b.im.opts.Warn(fmt.Sprintf("key %q: the connection to %s broke %d times while its value was on its way, which begins anew each time: %v",
			b.name, b.k.addr, b.broken, err))
	case mostBroken:
		return false, b.f.unread(fmt.Errorf("%w: key %q: the connection to %s broke %d times while its value was on its way: %w",
			ErrNoProgress, b.name, b.k.addr, b.broken, err))
	}
	return true, nil
}

// warnWaited is after how many tries, each about longPause after the one before,
// it is said that a slot is waited for.
const warnWaited = 15

// waitsForSlot counts tries that failed because the slot is on its way.
func (b *bigValue) waitsForSlot() {
	if b.waited++; b.waited == warnWaited {
		b.im.opts.Warn(fmt.Sprintf("key %q: slot %d is being migrated, its value waits until that is over", b.name, b.slot))
	}
}

// judgeReply does the same for an error in a reply.
func (b *bigValue) judgeReply(err *replyError) (again bool, _ error) {
	im, text := b.im, []byte(err.text)
	switch act := classify(text); act {
	case actMoved, actAsk:
		im.stats.redirects.Add(1)
		if announced, ok := redirect(text); ok && act == actMoved {
			im.movedTo(map[uint16]string{b.slot: im.cluster.Resolve(announced, err.addr)})
		} else {
			b.waitsForSlot()
		}
		return true, nil
	case actLoading, actExists:
		if strings.HasPrefix(err.text, "TRYAGAIN") {
			b.waitsForSlot()
		}
		return true, nil
	case actLater:
		im.trouble(b.k.lane, err)
		return true, nil
	case actOOM:
		if im.opts.WaitOnOOM {
			im.warnFull(err.addr)
			return true, nil
		}
		return false, b.f.unread(im.full(err.addr, b.name))
	case actStopAuth:
		return false, b.f.unread(fmt.Errorf("%w: %w", slotter.ErrAuth, err))
	}
	if b.e.Type.Kind == rdbparse.KindStream && b.temp != nil && lostStream(err.text) {
		return b.judge(b.lost("the target keeps losing parts of it: " + err.text))
	}
	if deniesCommand(text) {
		return false, b.f.unread(fmt.Errorf("%w: %w (large values are written in pieces)", slotter.ErrNoPermission, err))
	}
	b.refuse(refusalReason(text))
	return false, nil
}

// unreadable handles a value that cannot be read to its end. If the dump is cut
// or damaged there, the scanner finds that as well and says so.
func (b *bigValue) unreadable(err error) error {
	var none *element.Error
	switch {
	case errors.Is(err, rdbparse.ErrNoReplay):
		return b.f.unread(fmt.Errorf("key %q has to be read again: %w", b.name, err))
	case b.v.Skip() != nil:
		b.f.met--
		b.f.counts.read--
		return nil // the scanner has the same error
	case errors.As(err, &none) && errors.Is(err, element.ErrDamaged):
		return b.f.damaged(b.e, err)
	}
	if errors.Is(err, element.ErrTooLong) {
		b.refuse(tooLongPart(err))
		return nil
	}
	b.refuse(err.Error())
	return nil
}

// refuse counts the key as refused.
func (b *bigValue) refuse(reason string) { b.f.refuse(b.e, reason) }

// settled adds the key to a count.
func (b *bigValue) settled(count interface{ Add(int64) int64 }) { count.Add(1) }

// accepted counts the key as restored.
func (b *bigValue) accepted() {
	b.im.stats.restored.Add(1)
	b.k.lane.keys.Add(1)
	b.k.lane.bytes.Add(b.k.written)
	b.k.written = 0
}

// arrived counts a key as restored of which it has turned out that it was, once
// the replicas have it. They are asked about a write of this connection, so there
// has to be one.
func (b *bigValue) arrived() error {
	if b.im.wait != nil {
		b.newTemporary()
		b.k.begin("SET", b.temp)
		b.k.word("")
		if err := b.k.command(); err != nil {
			return err
		}
		b.k.begin(b.im.target.unlink, b.temp)
		if _, err := b.k.number(); err != nil {
			return err
		}
	}
	if err := b.waitForReplicas(); err != nil {
		return err
	}
	b.accepted()
	return nil
}

// waitForReplicas returns when as many replicas as wanted have what the link has
// written.
func (b *bigValue) waitForReplicas() error {
	im := b.im
	if im.wait == nil {
		return nil
	}
	for {
		b.k.word("WAIT")
		b.k.int(int64(im.opts.WaitReplicas))
		b.k.int(500)
		n, err := b.k.number()
		if err != nil || n >= int64(im.opts.WaitReplicas) {
			return err
		}
		im.trouble(b.k.lane, fmt.Errorf("%d replicas have what was written, %d are wanted", n, im.opts.WaitReplicas))
	}
}

// compare says what differs between the value and the key on the target, with
// its expiry, "" if nothing does. If something does, answers may be left unread,
// and the link is given up.
func (b *bigValue) compare() (differs string, err error) {
	k, im := b.k, b.im
	if err := k.drain(); err != nil {
		return "", err
	}
	c := rangeCompare{
		wire: &k.wire, send: k.ask, idle: k.rests, key: b.name, e: b.e, v: b.v, held: im.held, now: im.clock.now.Load(), clock: im.clock.now.Load,
		commands: im.target.commands, dropped: im.opts.DropFieldTTL,
	}
	differs, err = c.run()
	k.rests()
	if errors.Is(err, errGone) {
		return "", errVanished // since it was asked for
	}
	if err != nil || differs != "" {
		err = k.why(err)
		b.f.unlink()
		return differs, err
	}
	k.begin(im.target.ttlCommand, b.name)
	have, err := k.number()
	if err != nil {
		return "", err
	}
	if im.target.ttlCommand != "PEXPIRETIME" && have >= 0 {
		have += im.clock.now.Load()
	}
	want := int64(0)
	if b.e.Expires {
		want = b.e.ExpireAt
	}
	return expiryDiffers(want, have, ttlTolerance), nil
}

// removeTemporary removes the temporary key of an attempt that came to nothing.
func (b *bigValue) removeTemporary() {
	if b.temp == nil {
		return
	}
	b.im.discard(TemporaryKey{b.f.db, b.temp})
	b.temp, b.whole = nil, false
}

// sweep removes what the attempts that came to nothing may have left behind.
func (im *Importer) sweep() {
	im.mu.Lock()
	discarded := im.discarded
	im.mu.Unlock()
	if len(discarded) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(im.ctx), lastLookTime)
	defer cancel()
	for _, t := range discarded {
		if err := im.remove(ctx, t); err != nil {
			im.opts.Warn(fmt.Sprintf("key %q, in which a value was collected, could not be removed (%v): rdbimport --cleanup lists such keys", t.Key, err))
			continue
		}
		im.forgetTemporary(t.Key)
	}
}

// discard removes a temporary key, now if its master can be reached, and at the
// end of the import in any case: what a connection has left behind may still
// write to it.
func (im *Importer) discard(t TemporaryKey) {
	im.mu.Lock()
	im.discarded = append(im.discarded, t)
	im.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(im.ctx), probeTimeout)
	defer cancel()
	_ = im.remove(ctx, t)
}

// remove removes a key wherever it is.
func (im *Importer) remove(ctx context.Context, t TemporaryKey) error {
	r := im.routes.Load()
	addr := r.masters[r.owner[slotter.Slot(t.Key)]]
	for range mostRedirects {
		if addr == nowhere {
			return errNowhere
		}
		c := im.cluster.ClientDB(addr, int(t.DB))
		err := c.Do(ctx, im.target.unlink, t.Key).Err()
		if err == nil {
			return nil
		}
		switch act := classify([]byte(err.Error())); act {
		case actMoved, actAsk:
			announced, ok := redirect([]byte(err.Error()))
			if !ok {
				return err
			}
			addr = im.cluster.Resolve(announced, addr)
			if act == actAsk {
				pipe := im.cluster.ClientDB(addr, int(t.DB)).Pipeline()
				pipe.Do(ctx, "ASKING")
				pipe.Do(ctx, im.target.unlink, t.Key)
				if _, err := pipe.Exec(ctx); err == nil {
					return nil
				}
			}
		default:
			return err
		}
	}
	return fmt.Errorf("too many redirections of %q", t.Key)
}
