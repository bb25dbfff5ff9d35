package pipeline

import (
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// runLong settles keys that exist with values that are too long to be read back, though
// those in the dump are not: they are compared in parts, as large values of the dump are,
// one key after another.
func (im *Importer) runLong() {
	f := &Feeder{im: im, peers: 1} // renders nothing
	for {
		b := im.long.take()
		if b == nil {
			select {
			case <-im.long.ready:
				continue
			case <-im.ctx.Done():
				return
			}
		}
		f.db = b.lane.place.db
		b.lane.settleLong(f, b)
		b.lane.pass(b, nil)
	}
}

// settleLong compares the keys of b that go out this time.
func (l *lane) settleLong(f *Feeder, b *batch) {
	var t tally
	for i := range b.sent() {
		l.compareLong(f, b, b.at(i), &t)
	}
	l.count(&t)
	if t.existing+t.answered > 0 {
		b.try, b.unread = 0, 0
	}
}

// compareLong compares the key of command i of b, and settles it unless something comes
// between. It goes on while the import stops: the key is in flight.
func (l *lane) compareLong(f *Feeder, b *batch, i int, t *tally) {
	im, r := l.im, parseRestore(b.command(i))
	v, err := element.ParsePayload(r.payload)
	if err != nil {
		l.cannotReadBack(b, i, err.Error())
		return
	}
	e := rdbparse.Entry{Type: v.Type, Key: r.key, Value: v.Raw, Meta: v.Meta, Expires: r.ttl != 0, ExpireAt: r.ttl, Idle: -1, Freq: -1}
	if !im.dialect.absolute && e.Expires {
		e.ExpireAt += im.clock.now.Load()
	}
	k := &bigValue{f: f, im: im, name: r.key, slot: slotter.Slot(r.key), settles: true}
	k.e, k.v = rdbparse.BigOf(&e, carrierBuffer)
	im.memory.add(carrierBuffer)
	defer im.memory.add(-carrierBuffer)
	defer k.release()
	if err := k.connect(); err != nil {
		l.longFailed(b, i, false, err)
		return
	}
	switch differs, err := k.compareSettled(); {
	case err != nil:
		l.longFailed(b, i, true, err)
	case differs != "":
		l.readBack(b, i, r.key, differs, t)
	default:
		t.existing++
		b.settle(i)
	}
}

// longFailed notes that the key of command i of b could not be compared because of err,
// which came when the master was connected, or before.
func (l *lane) longFailed(b *batch, i int, connected bool, err error) {
	var source *sourceError
	var refused *replyError
	state := &b.cmds[i].state
	switch {
	case errors.Is(err, errVanished):
		*state = stateOpen
	case errors.As(err, &source):
		l.cannotReadBack(b, i, source.Error())
	case errors.As(err, &refused):
		*state = stateOpen // unless that is final: RESTORE finds out where and when
		act := classify([]byte(refused.text))
		b.wait = b.wait || act == actMoved || act == actAsk // what follows reads all of the value again
		l.readBackRefused(b, i, refused.text)
	default:
		b.wait = true
		l.im.stats.reconnects.Add(1)
		l.im.trouble(l, err)
		if !connected {
			return
		}
		if b.unread++; b.unread == mostUnread {
			l.cannotReadBack(b, i, fmt.Sprintf("the connection broke %d times while it was compared: %v", mostUnread, err))
		}
	}
}

// compareSettled says what differs between the value and the key on the target, "" if
// nothing does and the replicas have it.
func (b *bigValue) compareSettled() (differs string, err error) {
	if differs, err = b.compare(); err != nil || differs != "" {
		return differs, err
	}
	return "", b.confirm()
}

// release gives up what b has for itself.
func (b *bigValue) release() {
	if b.alone {
		<-b.im.alone
	}
	if b.k != nil {
		b.k.settles = false
		b.k.abandon()
	}
}
