package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A bigValue is a value that is too large to be held, on its way to the target.
// It is read from the dump while it is written to the master, by one goroutine: a
// carrier's, or else that of its Feeder.
type bigValue struct {
	f    *Feeder
	im   *Importer
	e    *rdbparse.Entry
	v    *rdbparse.BigValue
	name []byte // on the target
	slot uint16

	k *link // to the master, nil before the first attempt
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
	touched   int   // times that the temporary key was touched between its counting and its renaming
	lastCard  int64 // of the last of them
	broken    int   // connections that broke while they were at it
	waited    int   // times that its slot was on its way to another master
	late      bool  // one of its fields expires later than HPEXPIREAT takes
	alone     bool  // it may hold more than Importer.held, as no other value does
	settles   bool  // it is in flight: it goes on while the import stops
	detour    detour
}

// big brings the value of e, which is Big, to its master, and settles the key.
func (f *Feeder) big(e *rdbparse.Entry) error {
	if f.im.clock.expired(e) {
		f.counts.expired++
		return nil
	}
	if carried, err := f.carry(); err != nil {
		return f.unread(err)
	} else if carried {
		return nil
	}
	f.Flush() // nothing waits for this one
	return f.bring(e, f.scanner.BigValue())
}

// bring is big for a value that is read through v.
func (f *Feeder) bring(e *rdbparse.Entry, v *rdbparse.BigValue) error {
	im := f.im
	f.value = v
	if err := im.limit(0, 1, f.peers); err != nil {
		return f.unread(err)
	}
	if e.Meta != nil && !im.target.keyMeta {
		f.converted = *e
		e = &f.converted
		e.Meta = nil
	}
	b := &bigValue{f: f, im: im, e: e, v: v}
	b.name = append(append(b.name, f.form.prefix...), e.Key...)
	b.slot = slotter.Slot(b.name)
	im.stats.big.Add(1)
	err := b.bring()
	b.removeTemporary()
	if b.alone {
		<-im.alone
	}
	if b.k != nil {
		im.links.keep(b.k)
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
		b.k.abandon() // before the temporary key is removed
		if !again {
			return err
		}
		if err := b.im.pause(try); err != nil {
			return b.f.unread(err)
		}
	}
}

// holdMore waits until no other value holds more than Importer.held, as this one has
// to.
func (b *bigValue) holdMore() error {
	if b.alone {
		return nil
	}
	until := b.im.reading
	if b.settles {
		until = b.im.ctx
	}
	select {
	case b.im.alone <- struct{}{}:
		b.alone = true
		return nil
	case <-until.Done():
		return b.im.whyStopped()
	}
}

// pause waits before the next attempt at what came to nothing.
func (im *Importer) pause(try int) error {
	pause := min(firstPause<<min(try, 10), longPause)
	im.stats.retries.Add(1)
	im.wantMap()
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return nil
	case <-im.reading.Done():
		return im.whyStopped()
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
	addr := r.masters[r.owner[b.slot]]
	if k := b.k; k != nil && k.c != nil {
		if k.addr == addr {
			return nil
		}
		k.abandon()
	}
	b.k, err = b.im.linkTo(addr, b.f.db)
	b.k.peers, b.k.settles = b.f.peers, b.settles
	if err == nil {
		b.k.lane.flying.Store(1) // until the link is kept, or ends
	}
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
		return true, b.found()
	}
	differs, err := b.compare()
	switch {
	case err != nil:
		return false, err
	case differs == "" && b.uncertain:
		return true, b.arrived()
	case differs == "" || b.im.opts.Conflict == ConflictSkip:
		return true, b.found()
	case b.im.opts.Conflict == ConflictReplace:
		return false, b.connect() // the link was given up
	}
	b.f.refuseSized(b.e, 0, "exists with another value") // to read all of it would hold up the end
	return true, &ConflictError{Key: b.name, Addr: b.k.addr, Reason: differs}
}

// write writes the value in the way that fits it.
func (b *bigValue) write() error {
	switch {
	case b.e.Type.Kind == rdbparse.KindString:
		return b.writeString()
	case b.late:
		return b.writeLate()
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

// fromSource lets read hand what it reads of a value to sink. An error that is not
// the sink's own is a sourceError.
func fromSource(read func(sink func(p []byte) error) error, sink func(p []byte) error) error {
	var failed error
	err := read(func(p []byte) error {
		failed = sink(p)
		return failed
	})
	if err != nil && failed == nil {
		return &sourceError{err}
	}
	return err
}

// A refusedError says that the value cannot be written to this target.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

// refuse counts the key as refused.
func (b *bigValue) refuse(reason string) { b.f.refuse(b.e, reason) }

// accepted counts the key as restored.
func (b *bigValue) accepted() {
	b.im.stats.restored.Add(1)
	b.k.lane.keys.Add(1)
	b.k.lane.bytes.Add(b.k.written)
	b.k.written = 0
}

// found counts a key as existing, once the replicas have it.
func (b *bigValue) found() error {
	if err := b.confirm(); err != nil {
		return err
	}
	b.im.stats.existing.Add(1)
	b.k.lane.there.Add(1)
	return nil
}

// arrived counts a key as restored of which it has turned out that it was, once
// the replicas have it.
func (b *bigValue) arrived() error {
	if err := b.confirm(); err != nil {
		return err
	}
	b.accepted()
	return nil
}

// confirm returns when the replicas have a key that this connection has not written, of
// the master: they are asked about a write that follows.
func (b *bigValue) confirm() error {
	if b.im.wait == nil {
		return nil
	}
	b.k.buf = appendTouch(b.k.buf, temporaryName(b.name, b.im.runID, 0))
	b.k.commands++
	return b.waitForReplicas()
}

// waitForReplicas returns when as many replicas as wanted have what the link has
// written.
func (b *bigValue) waitForReplicas() error {
	im := b.im
	if im.wait == nil {
		return nil
	}
	for from := time.Now(); ; {
		b.k.word("WAIT")
		b.k.int(int64(im.opts.WaitReplicas))
		b.k.int(500)
		n, err := b.k.number()
		if err != nil || n >= int64(im.opts.WaitReplicas) {
			return err
		}
		err = fmt.Errorf("%s confirmed what was written, wanted: %d", counted(n, "replica"), im.opts.WaitReplicas)
		im.trouble(b.k.lane, err)
		// The master answers, which is why trouble never finds that too much.
		if d := time.Since(from); im.tooLong(d, im.opts.RetryTimeout) {
			im.abort(fmt.Errorf("%w for %v: %s: %w", ErrNoProgress, d.Round(time.Second), b.k.addr, err))
			return im.whyStopped()
		}
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
		commands: im.target.commands, dropped: im.opts.DropFieldTTL, holdMore: b.holdMore,
	}
	differs, err = c.run()
	k.rests()
	if errors.Is(err, errGone) {
		return "", errVanished // since it was asked for
	}
	if err != nil || differs != "" {
		err = k.why(err)
		b.k.abandon()
		return differs, err
	}
	query := im.target.expiry
	if !im.dialect.absolute {
		query = timeLeft // the expiry is not that of a command
	}
	have, err := c.expiresAt(query)
	k.rests()
	if err != nil {
		return "", k.why(err)
	}
	want := int64(0)
	if b.e.Expires {
		want = b.e.ExpireAt
	}
	return expiryDiffers(want, have, ttlTolerance), nil
}
