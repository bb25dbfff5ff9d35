package pipeline

import (
	"cmp"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// readKey reads the answers for key i of b and settles it, unless one of them is
// an error, which is returned as text, or the value on the target is too long.
func (v *Verifier) readKey(r *replyReader, b *verifyBatch, i int, ask bool) (refused string, err error) {
	if ask {
		if _, err := r.next(); err != nil {
			return "", err
		}
	}
	d, err := v.dumps.read(v.ctx, r, b.bytes(i))
	if err != nil {
		return "", err
	}
	have := held{gone: d.gone}
	if d.have != nil {
		if want := b.value(i); v.dumps.unpack(&d, want) {
			have.differs = v.valueDiffers(want, d.have)
		}
		v.dumps.give(&d)
		r.release()
	}
	if ask {
		if _, err := r.next(); err != nil {
			return "", err
		}
	}
	if have.expireAt, refused, err = v.expiry.read(r, v.clock.now.Load); err != nil {
		return "", err
	}
	if refused = cmp.Or(d.refused, refused); refused != "" {
		return refused, nil
	}
	if b.keys[i].long = d.long; d.long {
		return "", nil // see redoKey
	}
	v.judge(b, i, have)
	return "", nil
}

// held is what the target holds of a key.
type held struct {
	gone     bool
	differs  string // its value, from the dump's
	expireAt int64  // -1 for never, -2 if it has gone since
}

// expired reports whether key i has expired at now.
func (b *verifyBatch) expired(i int, now int64) bool {
	return b.keys[i].expires && b.keys[i].expireAt <= now
}

// judge settles key i of b.
func (v *Verifier) judge(b *verifyBatch, i int, have held) {
	k, now := &b.keys[i], v.clock.now.Load()
	want := int64(0)
	if k.expires {
		want = k.expireAt
	}
	switch {
	case have.gone || have.expireAt == -2:
		switch {
		case have.gone && b.empty(i):
			k.settled = true
			v.counts.filtered.Add(1)
		// The clocks agree only so far.
		case b.expired(i, now+max(v.tol, clockSlack)), b.fieldsExpired(i, now):
			k.settled = true
			v.counts.expired.Add(1)
		case !have.gone:
			v.differs(b, i, Missing, "it went away while it was compared")
		default:
			v.differs(b, i, Missing, "the target does not have it")
		}
	default:
		expiry := expiryDiffers(want, have.expireAt, v.tol)
		switch {
		case expiry != "" && b.expired(i, now):
			v.differs(b, i, Different, "it has expired in the dump, and the target has it")
		case have.differs != "" && expiry != "":
			v.differs(b, i, Different, have.differs+"; "+expiry)
		case have.differs != "":
			v.differs(b, i, Different, have.differs)
		case expiry != "":
			v.differs(b, i, ExpiryOff, expiry)
		default:
			k.settled = true
			v.counts.same.Add(1)
		}
	}
}

// clockSlack is by how many ms the target's clock may be elsewhere than thought.
const clockSlack = 500

// differs settles key i of b, which is not as it should be.
func (v *Verifier) differs(b *verifyBatch, i int, kind DifferenceKind, what string) {
	b.keys[i].settled = true
	v.found(KeyDifference{Kind: kind, Key: b.key(i), DB: b.place.db, What: what, Offset: b.keys[i].offset})
}

// valueDiffers says what differs between a value of the dump and the payload that the
// target gives.
func (v *Verifier) valueDiffers(want element.Value, have []byte) string {
	if what := kindsDiffer(want, have); what != "" {
		return what
	}
	return differenceInMeaning(want, have, v.clock.now.Load(), v.commands)
}

// kindsDiffer says so when one is a list and the other a set.
func kindsDiffer(want element.Value, payload []byte) string {
	have, err := element.ParsePayload(payload)
	if err != nil || have.Type.Kind == want.Type.Kind {
		return ""
	}
	return fmt.Sprintf("it is a %v in the dump and a %v on the target", want.Type.Kind, have.Type.Kind)
}

// empty reports whether key i is a collection of no elements, which an import leaves
// out.
func (b *verifyBatch) empty(i int) bool { return !b.keys[i].big && isEmpty(b.value(i)) }

// fieldsExpired reports whether key i is a hash of which all fields have expired
// at now: the key has then gone with the last one.
func (b *verifyBatch) fieldsExpired(i int, now int64) bool {
	if b.keys[i].big {
		return b.keys[i].faded
	}
	v := b.value(i)
	if v.Type.Kind != rdbparse.KindHash || !element.CanOpen(v.Type) {
		return false
	}
	r := element.Open(v)
	for r.Next() {
		if at := r.Element().ExpireAt; at == 0 || at > now+clockSlack {
			return false
		}
	}
	return r.Err() == nil
}
