package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// How often the connection may break in mid-value before that is said, and before
// it is given up: each time the value begins anew, so that a line that does not
// last as long as the value takes never brings it.
const (
	warnBroken = 5
	mostBroken = 200
)

// warnWaited is after how many tries, each about longPause after the one before,
// it is said that a slot is waited for.
const warnWaited = 15

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
	case errors.Is(err, errVanished), errors.Is(err, errTouched), errors.Is(err, errTaken):
		return true, nil
	case errors.Is(err, errLateField):
		b.late = true
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
		announced, ok := redirect(text)
		if !ok {
			b.waitsForSlot()
			im.trouble(b.k.lane, unnamed(text))
			return true, nil
		}
		im.stats.redirects.Add(1)
		to := im.cluster.Resolve(announced, err.addr)
		if many := im.named.add(to, err.addr); many != nil {
			return false, b.f.unread(many)
		}
		if act == actMoved {
			im.movedTo(map[uint16]string{b.slot: to})
		} else {
			b.waitsForSlot()
		}
		if time.Since(b.detour.latest) > 5*longPause {
			b.detour = detour{} // it was under way meanwhile
		}
		if err := im.sentAway(&b.detour, b.name, b.slot, err.addr, to); err != nil {
			return false, b.f.unread(err)
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
		if im.waitsOnOOM() {
			im.warnFull(err.addr)
			return true, nil
		}
		return false, b.f.unread(im.full(err.addr, fmt.Sprintf("key %q", b.name)))
	case actStopAuth:
		return false, b.f.unread(fmt.Errorf("%w: %w", slotter.ErrAuth, err))
	}
	if b.e.Type.Kind == rdbparse.KindStream && b.temp != nil && lostStream(err.text) {
		return b.judge(b.lost("the target keeps losing parts of it: " + err.text))
	}
	if deniesCommand(text) {
		return false, b.f.unread(fmt.Errorf("%w: %w", ErrPieces, err))
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
