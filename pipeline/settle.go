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
func (l *lane) settle(r *replyReader, b *batch) error {
	if b.how == sendReadBack || b.how == sendReadBackAsking {
		return l.settleReadBack(r, b)
	}
	t := tally{}
	err := l.readReplies(r, b, &t)
	l.im.stats.restored.Add(t.restored)
	l.im.stats.existing.Add(t.existing)
	l.keys.Add(t.restored)
	l.bytes.Add(t.bytes)
	if t.restored+t.existing+t.answered > 0 {
		l.since.Store(0)
		b.try = 0
	}
	if len(t.moved) > 0 {
		l.im.movedTo(t.moved)
	}
	return err
}

// A tally is what the replies to one batch add up to.
type tally struct {
	restored, existing int64
	answered           int64 // otherwise, but by a master that is well
	bytes              int64
	moved              map[uint16]string
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
	t.restored++
	t.bytes += int64(len(b.command(i)))
	b.settle(i)
}

// refused notes an error reply to command i of b.
func (l *lane) refused(b *batch, i int, text []byte, t *tally) {
	im, cmd := l.im, &b.cmds[i]
	act, reason := classify(text)
	switch act {
	case actExists:
		t.answered++
		if im.opts.Conflict == ConflictSkip {
			t.existing++
			b.settle(i)
			return
		}
		cmd.state, cmd.lane = stateExists, l.index
		if b.how == sendAsking {
			cmd.state = stateExistsAsk
		}
	case actMoved, actAsk:
		l.redirected(b, i, act, text, t)
	case actLater, actLoading:
		cmd.state = stateOpen
		b.wait = true
		if act == actLoading {
			t.answered++ // it is alive, so its time is not running out
		}
		im.trouble(l, errors.New(string(text)))
	case actStopOOM:
		im.abort(fmt.Errorf("%w: %s at key %q: %s", ErrTargetFull, l.place.addr, parseRestore(b.command(i)).key, text))
	case actStopAuth:
		im.abort(fmt.Errorf("%w: %s: %s", slotter.ErrAuth, l.place.addr, text))
	default:
		if deniesCommand(text) {
			im.abort(fmt.Errorf("%w: %s: %s", slotter.ErrNoPermission, l.place.addr, text))
			return
		}
		t.answered++
		b.settle(i)
		l.refusedFor(b, i, reason)
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
				im.fail(&DamagedError{Key: bytes.Clone(r.key), Type: v.Type, Offset: b.cmds[i].offset, Err: err})
			}
		}
	}
	im.stats.failed.Add(1)
	im.stats.refused(reason, r.key)
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

// ErrTargetFull says that a master has no memory left.
var ErrTargetFull = errors.New("the target is out of memory")

// redirected notes that command i of b belongs to another node.
func (l *lane) redirected(b *batch, i int, act action, text []byte, t *tally) {
	im, cmd := l.im, &b.cmds[i]
	announced, ok := redirect(text)
	if !ok {
		cmd.state, b.wait = stateOpen, true
		return
	}
	im.stats.redirects.Add(1)
	addr := im.cluster.Resolve(announced, l.place.addr)
	cmd.lane = im.laneTo(place{addr, l.place.db, 0}).index
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
