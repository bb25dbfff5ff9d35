package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// settle reads the replies to what was sent of b and notes what they mean. An
// error says that the connection is of no more use; what was not answered then
// is still open.
func (c *connection) settle(b *batch) error {
	l, t := c.lane, tally{}
	var err error
	switch b.how {
	case sendWait:
		err = c.settleTouch(b)
	case sendReadBack, sendReadBackAsking:
		err = l.settleReadBack(c.replies, b, &t)
	default:
		err = l.readReplies(c.replies, b, &t)
	}
	l.count(&t)
	if t.restored+t.existing+t.answered+int64(b.acked) > 0 {
		l.since.Store(0)
		b.try = 0
		if !b.wait {
			l.well()
		}
	}
	if t.met > 0 {
		b.try = 0 // what follows is no retry
	}
	if len(t.moved) > 0 {
		l.im.movedTo(t.moved)
	}
	if err == nil && l.im.opts.WaitReplicas > 0 {
		err = c.settleWait(b)
	}
	return err
}

// settleWait reads the answer to the WAIT behind b. If enough replicas have what
// this connection has written, that settles b and all before it; otherwise
// another WAIT follows.
func (c *connection) settleWait(b *batch) error {
	rep, err := c.replies.next()
	if err != nil {
		return err
	}
	n, ok := parseInt(rep.text)
	if rep.kind != ':' || !ok {
		// UNBLOCKED: the master has been demoted.
		return fmt.Errorf("%w: WAIT was answered %q", errDemoted, rep.text)
	}
	l := c.lane
	if b.acked > 0 {
		c.unconfirmed = append(c.unconfirmed, b)
	}
	if b.touch != nil && b.how != sendWait {
		c.untouched++
		l.queue.put(&batch{how: sendWait, touch: b.touch})
		b.touch = nil
	}
	if n < int64(l.im.opts.WaitReplicas) {
		if len(c.unconfirmed) > 0 {
			l.im.trouble(l, fmt.Errorf("%s confirmed what was written, wanted: %d", counted(n, "replica"), l.im.opts.WaitReplicas))
			l.queue.put(&batch{how: sendWait})
		}
		return nil
	}
	if c.untouched > 0 {
		return nil // it has not been asked about keys that were there
	}
	var t tally
	for _, u := range c.unconfirmed {
		u.confirm(&t)
		if u != b {
			l.pass(u, nil)
		}
	}
	clear(c.unconfirmed)
	c.unconfirmed = c.unconfirmed[:0]
	l.count(&t)
	l.since.Store(0)
	l.well()
	return nil
}

// settleTouch reads the reply to the write of a sendWait batch. WAIT speaks of what its
// own connection has written, and some servers say of one that has written nothing that
// all replicas have it. A key that was there was written by another one, before.
func (c *connection) settleTouch(b *batch) error {
	if b.touch == nil {
		return nil
	}
	rep, err := c.replies.next()
	if err == nil && rep.kind != '+' {
		err = fmt.Errorf("a write that the replicas are to confirm was answered %q", rep.text)
	}
	c.untouched--
	return err
}

// errNotConfirmed is why what the replicas have not confirmed is sent again.
var errNotConfirmed = errors.New("the connection ended before the replicas had it")

// confirm settles the commands that waited for replicas.
func (b *batch) confirm(t *tally) {
	for i := range b.cmds {
		switch b.cmds[i].state {
		case stateAcked:
			t.restored++
			t.bytes += int64(len(b.command(i)))
		case stateAckedExisting:
			t.existing++
		default:
			continue
		}
		b.settle(i)
	}
	b.acked = 0
}

// A tally is what the replies to one batch add up to.
type tally struct {
	restored, existing int64
	answered           int64 // otherwise, but by a master that is well
	met                int64 // there already, which settles a key only with ConflictSkip
	bytes              int64
	moved              map[uint16]string
}

// count adds a tally to the counts of the import.
func (l *lane) count(t *tally) {
	l.im.stats.restored.Add(t.restored)
	l.im.stats.existing.Add(t.existing)
	l.keys.Add(t.restored)
	l.there.Add(t.existing)
	l.bytes.Add(t.bytes)
}

func (l *lane) readReplies(r *replyReader, b *batch, t *tally) error {
	n := b.sent()
	for i := 0; i < n; {
		if b.how != sendAsking {
			for k := r.oks(n - i); k > 0; k-- {
				l.accepted(b, b.at(i), t)
				i++
			}
			if i == n {
				return nil
			}
		} else if _, err := r.next(); err != nil { // the reply to ASKING
			return err
		}
		rep, err := r.next()
		if err != nil {
			return err
		}
		at := b.at(i)
		switch rep.kind {
		case '+':
			l.accepted(b, at, t)
		case '-':
			l.refused(b, at, rep.text, t)
		default:
			return fmt.Errorf("%w: %q in answer to RESTORE", errProtocol, rep.kind)
		}
		i++
	}
	return nil
}

// accepted notes that command i of b was carried out.
func (l *lane) accepted(b *batch, i int, t *tally) {
	if l.im.opts.WaitReplicas > 0 {
		b.cmds[i].state = stateAcked
		b.acked++
		return
	}
	t.restored++
	t.bytes += int64(len(b.command(i)))
	b.settle(i)
}

// exists notes that the key of command i of b is there already, and that this is
// well.
func (l *lane) exists(b *batch, i int, t *tally) {
	if l.im.opts.WaitReplicas > 0 {
		b.cmds[i].state = stateAckedExisting
		b.acked++
		if b.touch == nil {
			b.touch = temporaryName(parseRestore(b.command(i)).key, l.im.runID, 0)
		}
		return
	}
	t.existing++
	b.settle(i)
}

// refused notes an error reply to command i of b.
func (l *lane) refused(b *batch, i int, text []byte, t *tally) {
	im, cmd := l.im, &b.cmds[i]
	act := classify(text)
	switch act {
	case actExists:
		t.met++
		if im.opts.Conflict == ConflictSkip {
			l.exists(b, i, t)
			return
		}
		cmd.state = stateExists
		cmd.setLane(l)
		if b.how == sendAsking {
			cmd.state = stateExistsAsk
		}
	case actMoved, actAsk:
		l.redirected(b, i, act, text, t)
	case actLater:
		cmd.state, b.wait = stateOpen, true
		im.trouble(l, errors.New(string(text)))
	case actLoading:
		cmd.state, b.wait = stateOpen, true
		if im.loads(l, errors.New(string(text))) {
			t.answered++ // it is alive, so its time is not running out
		}
	case actOOM:
		cmd.state = stateOpen
		if im.waitsOnOOM() {
			t.answered++
			b.wait = true
			l.ails(ErrTargetFull)
			im.warnFull(l.place.addr)
			return
		}
		im.abort(im.full(l.place.addr, fmt.Sprintf("key %q", parseRestore(b.command(i)).key)))
	case actStopAuth:
		im.abort(fmt.Errorf("%w: %s: %s", slotter.ErrAuth, l.place.addr, text))
	default:
		if deniesCommand(text) {
			im.abort(fmt.Errorf("%w: %s: %s", slotter.ErrNoPermission, l.place.addr, text))
			return
		}
		t.answered++
		b.settle(i)
		l.refusedFor(b, i, refusalReason(text))
	}
}

// refusedFor counts command i of b, which the master refuses for a reason that
// lies in the value.
func (l *lane) refusedFor(b *batch, i int, reason string) {
	im, r := l.im, parseRestore(b.command(i))
	v, err := element.ParsePayload(r.payload)
	if err == nil && strings.HasPrefix(reason, "ERR Bad data format") {
		switch {
		case v.Type.Type == rdbparse.TypeModule2:
			reason = "the target cannot load values of the module type " + rdbparse.ModuleName(v.Raw)
		case isEmpty(v):
			im.stats.filtered.Add(1)
			return
		default:
			reason = "the target cannot load this value of type " + v.Type.Type.String() + ": " + reason
			if err := checkValue(v); errors.Is(err, element.ErrDamaged) && !im.opts.SkipDamaged {
				im.marks.keepBelow(b.cmds[i].offset)
				im.fail(&DamagedError{Key: bytes.Clone(r.key), Type: v.Type, Offset: b.cmds[i].offset, Err: err})
			}
		}
	}
	im.stats.failed.Add(1)
	l.report(b, i, reason)
}

// isEmpty reports whether v is a collection of no elements.
func isEmpty(v element.Value) bool {
	if v.Type.Kind == rdbparse.KindString || !element.CanOpen(v.Type) {
		return false
	}
	r := element.Open(v)
	return !r.Next() && r.Err() == nil
}

// checkValue opens a value to its end and returns what is wrong with it.
func checkValue(v element.Value) error {
	if !element.CanOpen(v.Type) {
		return nil
	}
	r := element.Open(v)
	for r.Next() {
	}
	return r.Err()
}

// redirected notes that command i of b belongs to another node.
func (l *lane) redirected(b *batch, i int, act action, text []byte, t *tally) {
	im, cmd := l.im, &b.cmds[i]
	announced, ok := redirect(text)
	if !ok {
		cmd.state, b.wait = stateOpen, true
		im.trouble(l, unnamed(text))
		return
	}
	im.stats.redirects.Add(1)
	addr := im.cluster.Resolve(announced, l.place.addr)
	if err := im.named.add(addr, l.place.addr); err != nil {
		cmd.state = stateOpen
		im.abort(err)
		return
	}
	cmd.setLane(im.laneTo(place{addr, l.place.db, 0}))
	if act == actAsk {
		cmd.state = stateAsk
		return
	}
	cmd.state = stateMoved
	if t.moved == nil {
		t.moved = make(map[uint16]string)
	}
	t.moved[slotter.Slot(parseRestore(b.command(i)).key)] = addr
}
