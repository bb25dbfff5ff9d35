package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// checkBig compares a value that is too large to be held, by reading it in
// ranges, in the goroutine that calls Check.
func (v *Verifier) checkBig(e *rdbparse.Entry, value *rdbparse.BigValue) error {
	v.Flush()
	f := &v.feed
	b := &verifyBatch{place: place{db: f.db}}
	b.buf = append(append(b.buf, f.prefix...), e.Key...)
	end := int32(len(b.buf))
	b.keys = []verifyKey{{typ: e.Type, value: end, end: end, big: true, expires: e.Expires, expireAt: e.ExpireAt, offset: e.Offset}}
	err := v.inRanges(b, 0, e, value)
	if err != nil || !b.keys[0].settled {
		v.counts.read.Add(-1)
	}
	return err
}

// checkLong compares key i of b, whose value is held and that on the target is too long
// for that.
func (v *Verifier) checkLong(b *verifyBatch, i int) error {
	k, want := &b.keys[i], b.value(i)
	e := rdbparse.Entry{
		Type: k.typ, Key: b.key(i), Value: want.Raw, Meta: want.Meta, Fields: want.Fields,
		Expires: k.expires, ExpireAt: k.expireAt, Offset: k.offset, Idle: -1, Freq: -1,
	}
	big, value := rdbparse.BigOf(&e, carrierBuffer)
	return v.inRanges(b, i, big, value)
}

// inRanges compares key i of b, which e and value are of in the dump, by reading its value
// in ranges. The key stays unsettled without an error only if the dump cannot be read on,
// which the scanner says too.
func (v *Verifier) inRanges(b *verifyBatch, i int, e *rdbparse.Entry, value *rdbparse.BigValue) error {
	slot, until := slotter.Slot(b.key(i)), time.Now().Add(v.opts.RetryTimeout)
	for pause, hops := firstPause, 0; ; pause = min(2*pause, longPause) {
		r := v.routes.Load()
		p := place{r.masters[r.owner[slot]], b.place.db, 0}
		err := v.compareRanges(p, b, i, e, value)
		if err == nil || b.keys[i].settled {
			return nil
		}
		if cause := context.Cause(v.ctx); cause != nil {
			return v.whyStopped()
		}
		var source *sourceError
		if errors.As(err, &source) {
			v.unreadable(b, i, source.err, value)
			return nil
		}
		var reply *replyError
		if errors.As(err, &reply) {
			act, next := v.refused(reply.addr, b, i, reply.text)
			if b.keys[i].settled {
				return nil
			}
			if act == actMoved {
				v.moved(slot, next)
				if hops++; hops%4 != 0 { // masters may name each other
					continue
				}
			}
		}
		if time.Now().After(until) {
			return fmt.Errorf("key %q cannot be compared: %w", b.key(i), err)
		}
		v.counts.reconnects.Add(1)
		if err := v.pause(pause); err != nil {
			return err
		}
		v.refresh(p.addr)
	}
}

// compareRanges compares key i of b with what is at p, and settles it.
func (v *Verifier) compareRanges(p place, b *verifyBatch, i int, e *rdbparse.Entry, value *rdbparse.BigValue) error {
	conn, err := v.dial(p)
	if err != nil {
		return err
	}
	defer conn.close()
	w := &wire{addr: conn.addr, replies: conn.replies}
	send := func() error {
		_, err := conn.Write(w.buf)
		w.buf = w.buf[:0]
		return err
	}
	c := rangeCompare{
		wire: w, send: send, idle: func() {}, key: b.key(i), e: e, v: value, held: v.held,
		now: v.clock.now.Load(), clock: v.clock.now.Load, commands: v.commands,
	}
	have := held{}
	have.differs, err = c.run()
	switch {
	case errors.Is(err, errGone):
		have.gone = true
		b.keys[i].faded = c.count > 0 && c.faded == c.count
	case err != nil:
		return err
	case have.differs != "":
		// Answers may be left unread.
		conn.close()
		if conn, err = v.dial(p); err != nil {
			return err
		}
		defer conn.close()
		w.replies, w.buf, w.args, w.count = conn.replies, w.buf[:0], w.args[:0], 0
	}
	if !have.gone {
		if have.expireAt, err = c.expiresAt(v.expiry); err != nil {
			return err
		}
	}
	v.judge(b, i, have)
	return nil
}

// unreadable settles key i of b, of which the dump does not give the value to its end,
// unless the scanner has the same error.
func (v *Verifier) unreadable(b *verifyBatch, i int, err error, value *rdbparse.BigValue) {
	if value.Skip() != nil {
		return
	}
	what := "it cannot be read in the dump: " + err.Error()
	if errors.Is(err, element.ErrDamaged) {
		what = "it is damaged in the dump: " + err.Error()
	}
	v.differs(b, i, Unreadable, what)
}
