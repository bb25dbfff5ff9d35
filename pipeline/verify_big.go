package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// checkBig compares a value that is too large to be held, by reading it in
// ranges, in the goroutine that calls Check. It ends with the reading.
func (v *Verifier) checkBig(e *rdbparse.Entry, value *rdbparse.BigValue) error {
	v.Flush()
	if v.reading.Err() != nil {
		v.counts.read.Add(-1)
		return v.whyStopped()
	}
	f := &v.feed
	b := &verifyBatch{place: place{db: f.db}}
	b.buf = append(append(b.buf, f.prefix...), e.Key...)
	end := int32(len(b.buf))
	b.keys = []verifyKey{{typ: e.Type, value: end, end: end, big: true, expires: e.Expires, expireAt: e.ExpireAt, offset: e.Offset}}
	err := v.inRanges(v.reading, f.wait, b, 0, e, value)
	switch {
	case errors.Is(err, ErrStopped):
		v.opts.Warn(fmt.Sprintf("key %q is not compared: stopped before the end of its value", b.key(0)))
	case err == nil && !b.keys[0].settled: // the scanner fails, and the key was not met
		v.counts.read.Add(-1)
	}
	return err
}

// checkLong compares key i of b, whose value is held and that on the target is too long
// for that.
func (v *Verifier) checkLong(wait *verifyWait, b *verifyBatch, i int) error {
	k, want := &b.keys[i], b.value(i)
	e := rdbparse.Entry{
		Type: k.typ, Key: b.key(i), Value: want.Raw, Meta: want.Meta, Fields: want.Fields,
		Expires: k.expires, ExpireAt: k.expireAt, Offset: k.offset, Idle: -1, Freq: -1,
	}
	big, value := rdbparse.BigOf(&e, carrierBuffer)
	return v.inRanges(v.ctx, wait, b, i, big, value)
}

// mostBegun is how many connections may break while they are at one value, which begins
// anew each time, before the comparison fails.
const mostBegun = 50

// inRanges compares key i of b, which e and value are of in the dump, by reading its value
// in ranges, until ctx ends. The key stays unsettled without an error only if the dump
// cannot be read on, which the scanner says too.
func (v *Verifier) inRanges(ctx context.Context, wait *verifyWait, b *verifyBatch, i int, e *rdbparse.Entry, value *rdbparse.BigValue) error {
	wait.large.Store(&verifyLarge{bytes.Clone(b.key(i)), time.Now()})
	defer wait.large.Store(nil)
	defer wait.end()
	slot, until, begun := slotter.Slot(b.key(i)), time.Time{}, 0
	for pause, hops := firstPause, 0; ; pause = min(2*pause, longPause) {
		r := v.routes.Load()
		p := place{r.masters[r.owner[slot]], b.place.db, 0}
		some, err := v.compareRanges(ctx, wait, p, b, i, e, value)
		if err == nil || b.keys[i].settled {
			return nil
		}
		if ctx.Err() != nil {
			return v.whyStopped()
		}
		var source *sourceError
		if errors.As(err, &source) {
			v.unreadable(b, i, source.err, value)
			return nil
		}
		var reply *replyError
		if errors.As(err, &reply) && !changedMeanwhile(reply.text) {
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
		if some { // what is in the way now was not before
			begun++
			until, pause = time.Time{}, firstPause
		}
		if until.IsZero() {
			until = time.Now().Add(v.opts.RetryTimeout)
		}
		if begun == mostBegun || time.Now().After(until) {
			if reply != nil { // of a slot that was left half moved, for one
				err = fmt.Errorf("%w: %w", ErrPutOff, err)
			}
			return fmt.Errorf("key %q cannot be compared: %w", b.key(i), err)
		}
		v.counts.reconnects.Add(1)
		if err := v.pause(ctx, pause); err != nil {
			return v.whyStopped()
		}
		v.refresh(p.addr)
	}
}

// changedMeanwhile reports whether an error says that the key was there, and is not any
// more, or holds something else: asking anew finds out.
func changedMeanwhile(text string) bool {
	return lostStream(text) || strings.HasPrefix(text, "WRONGTYPE")
}

// compareRanges compares key i of b with what is at p, and settles it. begun tells, with
// an error, that some of the value had been compared.
func (v *Verifier) compareRanges(ctx context.Context, wait *verifyWait, p place, b *verifyBatch, i int, e *rdbparse.Entry, value *rdbparse.BigValue) (begun bool, err error) {
	wait.goOn(p.addr)
	conn, err := v.dial(ctx, p)
	if err != nil {
		return false, err
	}
	defer conn.close()
	w := &wire{addr: conn.addr, replies: conn.replies}
	send := func() error {
		wait.goOn(p.addr)
		_, err := conn.Write(w.buf)
		w.buf = w.buf[:0]
		return err
	}
	c := rangeCompare{
		wire: w, send: send, idle: wait.end, key: b.key(i), e: e, v: value, held: v.held,
		now: v.clock.now.Load(), clock: v.clock.now.Load, commands: v.commands,
	}
	have := held{}
	have.differs, err = c.run()
	switch {
	case errors.Is(err, errGone):
		have.gone = true
		b.keys[i].faded = c.count > 0 && c.faded == c.count
	case err != nil:
		return c.count > 0, err
	case have.differs != "":
		// Answers may be left unread.
		conn.close()
		if conn, err = v.dial(ctx, p); err != nil {
			return false, err
		}
		defer conn.close()
		w.replies, w.buf, w.args, w.count = conn.replies, w.buf[:0], w.args[:0], 0
	}
	if !have.gone {
		if have.expireAt, err = c.expiresAt(v.expiry); err != nil {
			return false, err
		}
	}
	v.judge(b, i, have)
	return true, nil
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
