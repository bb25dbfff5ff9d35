package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// wholeString is the longest string, uncompressed, that is sent as a RESTORE:
// that costs a master 5 ms a MB at worst, a SET next to nothing.
const wholeString = 32 << 20

// splits reports whether values of a type can be written in pieces. Of an array,
// and of a module's value, there is no way but to send the whole.
func splits(t *rdbparse.TypeInfo) bool {
	switch t.Kind {
	case rdbparse.KindList, rdbparse.KindSet, rdbparse.KindZSet, rdbparse.KindHash, rdbparse.KindStream:
		return element.CanOpen(t)
	}
	return false
}

// writeString writes a string: one of moderate size, or whose expiry and access
// count RESTORE would bring along, as it stands in the dump; any other by SET.
func (b *bigValue) writeString() error {
	r := element.OfBig(b.v, b.im.held)
	packed := b.compressed()
	if !r.Next() {
		return &sourceError{r.Err()}
	}
	el := r.Element()
	size := max(el.Long, int64(len(el.Value)))
	if b.restoresString(size, packed) && b.v.Rewind() == nil {
		raw, _ := b.v.Announced()
		return b.restore(b.e, raw, b.v.Copy)
	}
	if size > int64(b.im.target.maxCommand) {
		return &refusedError{b.tooLarge()}
	}
	b.newTemporary()
	b.k.begin("SET", b.temp)
	if el.Long == 0 {
		b.k.bytes(el.Value)
		if err := b.k.command(); err != nil {
			return err
		}
	} else if err := b.k.long(size, b.reading(r)); err != nil {
		return err
	}
	for r.Next() {
	}
	if r.Err() != nil {
		return &sourceError{r.Err()}
	}
	b.parts = size
	return b.commit()
}

// compressed reports whether the string of which the first byte comes next stands in
// the dump compressed.
func (b *bigValue) compressed() bool {
	w := b.v.Window()
	return w.Need(1) && w.Buffered()[0] == lzfString
}

// restoresString reports whether a string of so many bytes is sent as it stands in the
// dump. A server that exits on a value that it cannot load gets no compressed one: what
// is wrong with that shows only where it is decompressed.
func (b *bigValue) restoresString(size int64, compressed bool) bool {
	raw, known := b.v.Announced()
	return known && size <= wholeString && b.payloadSize(raw) <= int64(b.im.target.maxCommand) &&
		!(compressed && killsServer(b.im.target.version)) && b.asIs() == nil
}

// reading gives the parts of the present element of r, and tells errors of the
// dump from those of the link.
func (b *bigValue) reading(r *element.Reader) stream {
	return func(yield func(p []byte) error) error { return fromSource(r.Parts, yield) }
}

// payloadSize is the size of the argument of RESTORE for raw bytes of a value.
func (b *bigValue) payloadSize(raw int64) int64 {
	return int64(len(b.e.Meta)) + 1 + raw + rdbparse.FooterSize
}

func (b *bigValue) tooLarge() string {
	return fmt.Sprintf("the value is larger than one command may be on the target (%d MB)", b.im.target.maxCommand>>20)
}

// asIs says why the value cannot be sent as it stands in the dump, nil if it can.
func (b *bigValue) asIs() error {
	im := b.im
	if modulesKill(b.e.Type, im.target.version, im.opts.AllowModules) {
		return &refusedError{im.target.wouldExit()}
	}
	switch plan := element.Plan(b.e.Type, im.target.version); plan.Verb {
	case element.AsIs:
		return nil
	case element.Refuse:
		return &refusedError{plan.Reason}
	}
	return &refusedError{"the value is too large to be rewritten for " + im.target.oldest.String()}
}

// writeWhole sends a value that cannot be split as one RESTORE, which is streamed.
func (b *bigValue) writeWhole() error {
	if err := b.asIs(); err != nil {
		return err
	}
	raw, known := b.v.Announced()
	if !known {
		var err error
		raw, err = b.v.Measure(int64(b.im.target.maxCommand))
		if err != nil && !errors.Is(err, rdbparse.ErrTooLong) {
			return &sourceError{err}
		}
	}
	if b.payloadSize(raw) > int64(b.im.target.maxCommand) {
		return &refusedError{b.tooLarge()}
	}
	return b.restore(b.e, raw, b.v.Copy)
}

// restore streams the value as one RESTORE. e says what it is, and value gives its raw
// bytes.
func (b *bigValue) restore(e *rdbparse.Entry, raw int64, value stream) error {
	im, k, d := b.im, b.k, b.im.dialect
	ttl := im.ttl(b.e)
	k.written = 0
	k.begin("RESTORE", b.name)
	k.int(ttl)
	var then []string
	if d.replace {
		then = append(then, "REPLACE")
	}
	if d.absolute && ttl != 0 {
		then = append(then, "ABSTTL")
	}
	switch {
	case d.absolute && b.e.Freq >= 0:
		then = append(then, "FREQ", fmt.Sprint(b.e.Freq))
	case d.absolute && b.e.Idle >= 0:
		then = append(then, "IDLETIME", fmt.Sprint(b.e.Idle))
	}
	err := k.long(b.payloadSize(raw), func(yield func(p []byte) error) error {
		return fromSource(func(sink func(p []byte) error) error { return rdbparse.CopyPayload(e, value, sink) }, yield)
	}, then...)
	if err != nil {
		return err
	}
	b.uncertain = true
	if err := k.drain(); err != nil {
		return b.certain(err)
	}
	if err := b.waitForReplicas(); err != nil {
		return err
	}
	b.uncertain = false
	b.accepted()
	return nil
}

// certain notes that the last command was answered, if err is its answer.
func (b *bigValue) certain(err error) error {
	var reply *replyError
	if errors.As(err, &reply) {
		b.uncertain = false
	}
	return err
}

// newTemporary gives the value a new temporary key.
func (b *bigValue) newTemporary() {
	b.attempts++
	b.temp, b.whole = temporaryName(b.name, b.im.runID, b.attempts), false
	b.parts, b.fading = 0, fading{began: b.im.clock.now.Load()}
	b.im.noteTemporary(TemporaryKey{b.f.db, b.temp})
}

// noteTemporary tells the user's journal of a key that is about to be made.
func (im *Importer) noteTemporary(t TemporaryKey) {
	im.journal.Lock() // so that the user is told of them in order
	defer im.journal.Unlock()
	im.mu.Lock()
	im.temporary = append(im.temporary, t)
	all := slices.Clone(im.temporary)
	im.mu.Unlock()
	if im.opts.Temporary != nil {
		im.opts.Temporary(all)
	}
}

// forgetTemporary notes that a temporary key is no more.
func (im *Importer) forgetTemporary(key []byte) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for i, t := range im.temporary {
		if string(t.Key) == string(key) {
			im.temporary = append(im.temporary[:i], im.temporary[i+1:]...)
			return
		}
	}
}
