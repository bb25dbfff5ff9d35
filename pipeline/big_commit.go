package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// errVanished says that the temporary key is not there any more, or not whole.
var errVanished = errors.New("the temporary key is not there any more")

// mostMismatches is how often a value is written anew whose parts are not all
// there in the end: because its key was evicted, or a master restarted.
const mostMismatches = 3

// commit gives the temporary key, to which all of the value has been written, its
// expiry and the key's name. Until then nobody has seen any of it.
func (b *bigValue) commit() error {
	k, im := b.k, b.im
	if b.e.Expires {
		if im.clock.expired(b.e) {
			if err := k.drain(); err != nil {
				return err
			}
			b.f.counts.expired++
			return nil
		}
		k.begin("PEXPIREAT", b.temp)
		k.int(b.e.ExpireAt)
		if err := k.command(); err != nil {
			return err
		}
	}
	watched := im.opts.Conflict == ConflictReplace && b.touched < mostTouched
	if watched {
		// It must not go away between the counting and the renaming.
		k.begin("WATCH", b.temp)
		if err := k.command(); err != nil {
			return err
		}
	}
	if err := b.allThere(); err != nil {
		return err
	}
	var err error
	switch {
	case watched:
		err = b.replace()
	case im.opts.Conflict == ConflictReplace:
		err = b.overwrite()
	default:
		err = b.rename()
	}
	if err != nil {
		return err
	}
	im.forgetTemporary(b.temp)
	b.temp, b.whole, b.uncertain = nil, false, true
	if err := b.waitForReplicas(); err != nil {
		return err
	}
	b.uncertain = false
	b.accepted()
	return nil
}

// allThere waits for all that was written, and makes sure that the temporary key has as
// many parts as the value.
func (b *bigValue) allThere() error {
	k := b.k
	k.begin(commandsOfKind[b.e.Type.Kind].counts, b.temp)
	n, err := k.number()
	if err != nil {
		return err
	}
	b.whole = true
	if n > b.parts || n < b.parts-b.fading.most(b.im.clock.now.Load()+clockSlack) {
		return b.incomplete(n)
	}
	if n > 0 {
		return nil
	}
	// That is what a key that is not there has, too.
	k.begin("EXISTS", b.temp)
	if n, err = k.number(); err != nil {
		return err
	}
	if n == 0 {
		b.whole = false
		return errVanished
	}
	return nil
}

// incomplete handles a temporary key that has n parts, which are too few or too
// many.
func (b *bigValue) incomplete(n int64) error {
	b.whole = false
	if b.uncertain && n == 0 {
		return errVanished // it may have got its name: the next attempt finds out
	}
	kind := b.e.Type.Kind
	twice := kind == rdbparse.KindSet || kind == rdbparse.KindZSet || kind == rdbparse.KindHash
	if twice && n > 0 && b.mismatch > 0 && n == b.lastCard { // none at all is a key that is gone
		return &sourceError{&element.Error{Type: b.e.Type.Type, Offset: b.v.Offset() - b.v.Start(),
			Err: fmt.Errorf("%w: of its %s only %d differ", element.ErrDamaged, counted(b.parts, "element"), n)}}
	}
	b.lastCard = n
	return b.lost(fmt.Sprintf("the target keeps losing parts of it: written in pieces, %d of %d were there", n, b.parts))
}

// lost has a value written anew of which a part is not there, unless that has
// happened too often.
func (b *bigValue) lost(what string) error {
	if b.mismatch++; b.mismatch > mostMismatches {
		return &refusedError{what}
	}
	return errVanished
}

// lostStream reports whether a server says that a stream is not there any more, or
// one of its groups.
func lostStream(text string) bool {
	return strings.HasPrefix(text, "NOGROUP") || strings.HasPrefix(text, "ERR no such key") || strings.Contains(text, "requires the key to exist")
}

// rename gives the temporary key its name if no key has it.
func (b *bigValue) rename() error {
	b.k.begin("RENAMENX", b.temp)
	b.k.bytes(b.name)
	b.uncertain = true
	n, err := b.k.number()
	if err != nil {
		return b.vanished(b.certain(err))
	}
	b.uncertain = false
	if n == 0 {
		b.whole = false // the policy for a key that exists comes first
		return errTaken
	}
	return nil
}

// errTaken says that the key has come to be on the target meanwhile.
var errTaken = errors.New("the key exists by now")

// mostTouched is how often replace finds that the temporary key was touched, until the key
// is overwritten without it. The fields of a hash that expire touch it, which may be more
// often than a command takes to a master that is far.
const mostTouched = 3

// errTouched says that the temporary key was touched since it was counted, or is gone.
var errTouched = errors.New("the temporary key was changed since it was counted")

// overwrite gives the temporary key the name of the key in one command, which does nothing
// if there is no temporary key. The master is held up while it frees a large value that
// had the name.
func (b *bigValue) overwrite() error {
	b.k.begin("RENAME", b.temp)
	b.k.bytes(b.name)
	b.uncertain = true
	if _, err := b.k.call(); err != nil {
		return b.vanished(b.certain(err))
	}
	b.uncertain = false
	return nil
}

// replace puts the temporary key in the place of the key. If that was touched since it was
// counted it is to be counted anew: it may be gone.
func (b *bigValue) replace() error {
	k := b.k
	// If it is not allowed, what follows would be carried out at once.
	k.word("MULTI")
	if _, err := k.call(); err != nil {
		return err
	}
	k.begin(b.im.target.unlink, b.name)
	k.end(0)
	k.begin("RENAME", b.temp)
	k.bytes(b.name)
	k.end(0)
	k.word("EXEC")
	k.end(0)
	b.uncertain = true
	if err := k.write(); err != nil {
		return b.certain(err)
	}
	var first error
	for i := range 3 {
		rep, err := k.answer()
		var refused *replyError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		if refused != nil { // EXEC itself is not allowed
			refused.text = strings.TrimPrefix(refused.text, "EXECABORT Transaction discarded because of: ")
		}
		if first == nil {
			first = err
		}
		if i == 2 && err == nil && rep.null {
			first = errTouched
			b.touched++
		}
		for ; rep.size > 0; rep.size-- {
			if _, err := k.answer(); err != nil && first == nil {
				first = err
			}
		}
	}
	b.uncertain = false
	return b.vanished(first)
}

// vanished makes an error of its own of the reply that there is no temporary key.
func (b *bigValue) vanished(err error) error {
	var refused *replyError
	if errors.As(err, &refused) && strings.HasPrefix(refused.text, "ERR no such key") {
		b.whole = false
		return errVanished
	}
	return err
}
