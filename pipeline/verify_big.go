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
	slot, until := slotter.Slot(b.buf), time.Now().Add(v.opts.RetryTimeout)
	for pause, hops := firstPause, 0; ; pause = min(2*pause, longPause) {
		r := v.routes.Load()
		b.place.addr = r.masters[r.owner[slot]]
		err := v.compareBig(b, e, value)
		if err == nil || b.keys[0].settled {
			return nil
		}
		if cause := context.Cause(v.ctx); cause != nil {
			v.counts.read.Add(-1)
			return v.whyStopped()
		}
		var source *sourceError
		if errors.As(err, &source) {
			return v.unreadableBig(b, source.err, value)
		}
		var reply *replyError
		if errors.As(err, &reply) {
			act, next := v.refused(reply.addr, b, 0, reply.text)
			if b.keys[0].settled {
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
			v.counts.read.Add(-1)
			return fmt.Errorf("key %q cannot be compared: %w", b.key(0), err)
		}
		v.counts.reconnects.Add(1)
		if err := v.pause(pause); err != nil {
			v.counts.read.Add(-1)
			return err
		}
		v.refresh(b.place.addr)
	}
}

// compareBig compares key 0 of b, and settles it.
func (v *Verifier) compareBig(b *verifyBatch, e *rdbparse.Entry, value *rdbparse.BigValue) error {
	conn, err := v.dial(b.place)
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
		wire: w, send: send, idle: func() {}, key: b.key(0), e: e, v: value, held: Options{Memory: v.opts.Memory}.textLimit(),
		now: v.clock.now.Load(), clock: v.clock.now.Load, commands: v.commands,
	}
	have := held{}
	have.differs, err = c.run()
	switch {
	case errors.Is(err, errGone):
		have.gone = true
		b.keys[0].faded = c.count > 0 && c.faded == c.count
	case err != nil:
		return err
	case have.differs != "":
		// Answers may be left unread.
		conn.close()
		if conn, err = v.dial(b.place); err != nil {
			return err
		}
		defer conn.close()
		w.replies, w.buf, w.args, w.count = conn.replies, w.buf[:0], w.args[:0], 0
	}
	if !have.gone {
		w.begin(v.ttl, b.key(0))
		w.end(0)
		if err := send(); err != nil {
			return err
		}
		left, err := w.next()
		if err != nil {
			return err
		}
		ttl, ok := parseInt(left.text)
		if !ok {
			return fmt.Errorf("%w: %q in answer to %s", errProtocol, left.text, v.ttl)
		}
		have.expireAt = ttl
		if ttl >= 0 && v.ttl == "PTTL" {
			have.expireAt += v.clock.now.Load()
		}
	}
	v.judge(b, 0, have)
	return nil
}

// unreadableBig handles a value that the dump does not give to its end.
func (v *Verifier) unreadableBig(b *verifyBatch, err error, value *rdbparse.BigValue) error {
	if value.Skip() != nil {
		v.counts.read.Add(-1)
		return nil // the scanner has the same error
	}
	what := "it cannot be read in the dump: " + err.Error()
	if errors.Is(err, element.ErrDamaged) {
		what = "it is damaged in the dump: " + err.Error()
	}
	v.differs(b, 0, Unreadable, what)
	return nil
}
