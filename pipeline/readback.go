package pipeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// A ConflictError says that a key is on the target with another value or expiry
// than in the dump.
type ConflictError struct {
	Key    []byte
	Addr   string // of the master
	Reason string // what differs
}

// Error describes the conflict in one line.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("key %q exists on %s with another value: %s", e.Key, e.Addr, e.Reason)
}

// appendReadBack appends the commands that read back one key.
func (t *target) appendReadBack(dst, key []byte, ask bool) []byte {
	if ask {
		dst = append(dst, asking...)
	}
	dst = appendCommand(dst, "DUMP", key)
	if ask {
		dst = append(dst, asking...)
	}
	return t.expiry.append(dst, key)
}

// settleReadBack reads the values of the keys that were there already and
// compares them with the dump's.
func (l *lane) settleReadBack(r *replyReader, b *batch, t *tally) error {
	defer r.release()
	for i := range b.sent() {
		at := b.at(i)
		want := parseRestore(b.command(at))
		b.cmds[at].state = stateOpen // unless the answers settle it
		d, differs, err := l.readValue(r, b, want.payload)
		if err != nil {
			return err
		}
		expires, refused, err := l.readExpiry(r, b)
		if err != nil {
			return err
		}
		switch refused = cmp.Or(d.refused, refused); {
		case refused != "":
			l.readBackRefused(b, at, refused)
		case d.gone || expires == -2: // it expired or was deleted meanwhile
		case d.long:
			b.cmds[at].state = stateLong
			b.cmds[at].setLane(l)
			t.met++
		case differs != "":
			l.readBack(b, at, want.key, differs, t)
		default:
			l.readBack(b, at, want.key, expiryDiffers(want.ttl, expires, ttlTolerance), t)
		}
	}
	b.narrow, b.unread = max(0, b.narrow-1), 0
	return nil
}

// mostUnread is how often the connection may break while one key alone is read back.
const mostUnread = 10

// unreadBack notes that the connection broke because of err while keys were read back, if
// that is what b was for, and returns err with the first of them that was not. Fewer are
// asked for next time: a value may be more than the server gives to a client. If that
// goes on with one key alone, the key counts as refused.
func (l *lane) unreadBack(b *batch, err error) error {
	if b.how != sendReadBack && b.how != sendReadBackAsking {
		return err
	}
	i := 0
	for i < b.sent() && b.cmds[b.at(i)].state != stateOpen {
		i++
	}
	if i == b.sent() {
		return err // it was at something else
	}
	at := b.at(i)
	key := parseRestore(b.command(at)).key
	err = fmt.Errorf("key %q exists, and the connection broke while it was read back: %w", key, err)
	b.narrow++
	if b.sent() > 1 {
		return err
	}
	if b.unread++; b.unread == mostUnread {
		l.cannotReadBack(b, at, fmt.Sprintf("the connection broke %d times while it was read; is it more than client-output-buffer-limit allows?", mostUnread))
	}
	return err
}

// cannotReadBack settles command i of b, whose key exists and cannot be read back.
func (l *lane) cannotReadBack(b *batch, i int, why string) {
	key := parseRestore(b.command(i)).key
	b.settle(i)
	l.im.stats.failed.Add(1)
	l.report(b, i, "exists, and cannot be read back: "+why)
	l.im.marks.keepBelow(b.cmds[i].offset)
	l.im.fail(fmt.Errorf("key %q exists on %s and %w: %s", key, l.place.addr, ErrCannotCompare, why))
}

// ErrCannotCompare is the error of an import that met a key that exists, and whose value the
// master does not give.
var ErrCannotCompare = errors.New("cannot be compared")

// readExpiry reads when a key expires: as the commands of the import say it.
func (l *lane) readExpiry(r *replyReader, b *batch) (at int64, refused string, err error) {
	if b.how == sendReadBackAsking {
		if _, err := r.next(); err != nil {
			return 0, "", err
		}
	}
	return l.im.target.expiry.read(r, l.im.clock.now.Load)
}

// readValue reads the reply to DUMP, and says what differs between the value and the one
// in the payload, unless it is too long for that.
func (l *lane) readValue(r *replyReader, b *batch, payload []byte) (d dump, differs string, err error) {
	im := l.im
	if b.how == sendReadBackAsking {
		if _, err := r.next(); err != nil {
			return d, "", err
		}
	}
	d, err = im.dumps.read(im.ctx, r, payload[:len(payload)-rdbparse.FooterSize])
	if err != nil || d.have == nil {
		return d, "", err
	}
	want, err := element.ParsePayload(payload)
	switch {
	case err != nil:
		differs = err.Error()
	case im.dumps.unpack(&d, want):
		differs = differenceInMeaning(want, d.have, im.clock.now.Load(), im.target.commands)
	}
	im.dumps.give(&d)
	r.release()
	return d, differs, nil
}

// readBack settles command i of b, whose key exists with what differs.
func (l *lane) readBack(b *batch, i int, key []byte, differs string, t *tally) {
	if differs == "" {
		l.exists(b, i, t)
		return
	}
	t.answered++
	b.settle(i)
	l.im.stats.failed.Add(1)
	l.report(b, i, "exists with another value")
	l.im.marks.keepBelow(b.cmds[i].offset)
	l.im.fail(&ConflictError{Key: bytes.Clone(key), Addr: l.place.addr, Reason: differs})
}

// readBackRefused handles an error in answer to one of the commands. If the key
// is to be looked for elsewhere or later, RESTORE finds out where.
func (l *lane) readBackRefused(b *batch, i int, text string) {
	switch classify([]byte(text)) {
	case actMoved, actAsk:
		l.im.stats.redirects.Add(1)
		l.im.wantMap()
	case actLater, actLoading:
		b.wait = true
	case actStopAuth:
		l.im.abort(fmt.Errorf("%w: %s: %s", slotter.ErrAuth, l.place.addr, text))
	default:
		l.cannotReadBack(b, i, withoutArguments(text))
	}
}

// withoutArguments cuts from an error reply about an unknown command what it was given, which
// is the key: what is refused for one reason is counted under one.
func withoutArguments(text string) string {
	text, _, _ = strings.Cut(text, ", with args beginning with")
	return text
}

// errNoDump says that a reply to DUMP is none.
var errNoDump = errors.New("the answer to DUMP cannot be read")

// sameValue reports whether a value, with its type and what stands before that,
// is byte for byte the one in the payload that the target gives.
func sameValue(value, have []byte) bool {
	return len(have) == len(value)+rdbparse.FooterSize && bytes.Equal(value, have[:len(value)])
}

// differenceInMeaning says what differs between a value of the dump and the
// payload that the target gives, "" if both mean the same. Fields that may have
// expired by now, since the dump was made, are no difference, nor is what a target with
// these commands cannot be given.
func differenceInMeaning(want element.Value, have []byte, now int64, can commands) string {
	if len(have) < rdbparse.FooterSize+1 {
		return errNoDump.Error()
	}
	h, err := element.ParsePayload(have)
	if err != nil {
		return err.Error()
	}
	// The value may have been written in pieces, by whichever run, and in the encoding of
	// the oldest master.
	c := element.Comparer{Now: now + clockSlack, ByCommands: true, NoOffsets: !can.streamIDs}
	d, err := c.Diff(want, h)
	if err != nil {
		return "cannot be compared: " + err.Error()
	}
	if d.Same() {
		return ""
	}
	return d.String()
}
