package pipeline

import (
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// decideBig is decide for a value that is too large to be held. It reads all of
// it.
func (p *Planner) decideBig(e *rdbparse.Entry, v *rdbparse.BigValue) (*rdbparse.Entry, Fate) {
	f, im := &p.feeder, p.target.im
	if im.clock.expired(e) {
		return nil, FateExpired
	}
	b := bigValue{f: f, im: im, e: e, v: v}
	reason, err, pieces := "", error(nil), false
	switch {
	case e.Type.Kind == rdbparse.KindString, splits(e.Type):
		pieces, reason, err = b.foretell()
	default:
		if refused := b.asIs(); refused != nil {
			reason = refused.Error()
		} else if raw, tooLong := v.Measure(int64(im.target.maxCommand)); tooLong != nil || b.payloadSize(raw) > int64(im.target.maxCommand) {
			reason = b.tooLarge()
		}
	}
	switch {
	case errors.Is(err, errNothing) && b.faded > 0:
		return nil, FateExpired
	case errors.Is(err, errNothing):
		return nil, FateFiltered
	case errors.Is(err, element.ErrTooLong):
		reason = tooLongPart(err)
	case err != nil:
		before := f.counts
		return nil, p.unsent(before, f.damaged(e, err))
	}
	if reason != "" {
		f.refuse(e, reason)
		return nil, FateRefused
	}
	if p.pieces = pieces; pieces {
		p.result.InPieces.add(e)
	}
	return e, FateAsIs
}

// foretell reads the elements of a value as writing it in pieces would. It returns
// whether it would be written so, and why it would be refused.
func (b *bigValue) foretell() (pieces bool, reason string, err error) {
	w := pieceWriter{b: b, r: element.OfBig(b.v, b.im.held)}
	packed := b.e.Type.Kind == rdbparse.KindString && b.compressed()
	pieces = true
	parts := 0
	for w.r.Next() {
		el := w.r.Element()
		if el.Kind == element.Text {
			size := max(el.Long, int64(len(el.Value)))
			if pieces = !b.restoresString(size, packed); pieces && size > int64(b.im.target.maxCommand) {
				return pieces, b.tooLarge(), nil
			}
		}
		if el.Long > 0 && w.r.Parts(nil) != nil { // what is passed over is not decompressed
			break
		}
		if el.Kind == element.Field && el.ExpireAt != 0 {
			keep, err := w.expiry(el)
			if errors.Is(err, errLateField) {
				reason, err = b.foretellLate()
				return false, reason, err
			}
			if err != nil {
				return pieces, err.Error(), nil
			}
			w.expiring, w.names = w.expiring[:0], w.names[:0]
			if !keep {
				continue
			}
		}
		parts++
	}
	b.faded = w.faded
	if parts == 0 && w.r.Err() == nil {
		return pieces, "", errNothing
	}
	return pieces, "", w.r.Err()
}

// foretellLate is foretell for a hash that is sent as a whole.
func (b *bigValue) foretellLate() (reason string, err error) {
	var refused *refusedError
	_, err = b.measureLate()
	if errors.As(err, &refused) {
		return refused.reason, nil
	}
	return "", err
}

// tooLongPart says that a part of a value is longer than what is held.
func tooLongPart(err error) string {
	var long *element.LongError
	if errors.As(err, &long) {
		return fmt.Sprintf("a name in the value has %d bytes or more, which takes more --memory", long.Size)
	}
	return err.Error()
}
