package pipeline

import (
	"errors"
	"fmt"
	"math/bits"
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
	return func(yield func(p []byte) error) error {
		var failed error
		err := r.Parts(func(p []byte) error {
			failed = yield(p)
			return failed
		})
		if err != nil && failed == nil {
			return &sourceError{err}
		}
		return err
	}
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
	if b.e.Type.Type == rdbparse.TypeModule2 && killsServer(im.target.version) && !im.opts.AllowModules {
		return &refusedError{fmt.Sprintf("%s would exit if the module is not loaded (--allow-modules sends it)", im.target.oldest)}
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
		var failed error
		err := rdbparse.CopyPayload(e, value, func(p []byte) error {
			failed = yield(p)
			return failed
		})
		if err != nil && failed == nil {
			return &sourceError{err}
		}
		return err
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

// writePieces writes the value into a temporary key by commands of its elements.
func (b *bigValue) writePieces() error {
	b.newTemporary()
	w := pieceWriter{b: b, k: b.k, r: element.OfBig(b.v, b.im.held)}
	if b.e.Type.Kind == rdbparse.KindStream {
		w.stream = newStreamWriter(&w)
		if err := w.stream.prepare(); err != nil {
			return err
		}
	}
	for w.r.Next() {
		if err := w.element(w.r.Element()); err != nil {
			return err
		}
	}
	if err := w.r.Err(); err != nil {
		return &sourceError{err}
	}
	if err := w.end(); err != nil {
		return err
	}
	if w.stream != nil {
		if err := w.stream.finish(); err != nil {
			return err
		}
	}
	if b.parts == 0 && w.stream == nil {
		if err := b.k.drain(); err != nil {
			return err
		}
		if w.faded > 0 {
			b.f.counts.expired++ // with all of its fields
		} else {
			b.f.counts.filtered++
		}
		return errNothing
	}
	return nil
}

// errNothing says that a value has no elements: its key is settled.
var errNothing = errors.New("nothing to write")

// A pieceWriter makes commands of the elements of a value.
type pieceWriter struct {
	b *bigValue
	k *link
	r *element.Reader

	expiring []expiringField // of the HSET being built
	names    []byte          // their names
	faded    int64           // fields that had expired
	late     []byte          // name of a field whose expiry stands behind its value

	stream *streamWriter // nil unless the value is a stream
}

// fading counts fields that expire, by the number of bits of how many ms that is
// after they began to be written.
type fading struct {
	began  int64
	counts [64]int64
}

func (f *fading) add(at int64) { f.counts[bits.Len64(uint64(max(at-f.began, 0)))]++ }

// most returns how many of them may have expired at now.
func (f *fading) most(now int64) (n int64) {
	for i, count := range f.counts {
		if i == 0 || now-f.began >= 1<<(i-1) {
			n += count
		}
	}
	return n
}

// An expiringField is a field of a hash with an expiry.
type expiringField struct {
	at  int64
	end int // of its name in names
}

// commandOf is the command that adds elements of a kind to a key.
var commandOf = map[element.Kind]string{
	element.ListItem: "RPUSH", element.Member: "SADD", element.Field: "HSET", element.Scored: "ZADD",
}

// element adds one element to the command being built.
func (w *pieceWriter) element(el *element.Element) error {
	if w.stream != nil {
		return w.stream.element(el)
	}
	word := commandOf[el.Kind]
	if word == "" {
		return &refusedError{fmt.Sprintf("a value of type %s cannot be written in pieces", w.b.e.Type.Type)}
	}
	if el.Kind == element.Field {
		word = w.b.im.target.hset
	}
	if el.Long > 0 {
		if err := w.end(); err != nil { // it has a command of its own
			return err
		}
	}
	if el.Kind == element.Field && el.ExpireAt != 0 {
		keep, err := w.expiry(el)
		if err != nil || !keep {
			return err
		}
	}
	w.b.parts++
	k := w.k
	if k.count == 0 {
		k.begin(word, w.b.temp)
	}
	switch el.Kind {
	case element.ListItem:
		if el.Long > 0 {
			return k.long(el.Long, w.b.reading(w.r))
		}
		k.bytes(el.Value)
	case element.Member:
		k.bytes(el.Key)
	case element.Field:
		k.bytes(el.Key)
		if el.Long > 0 {
			return w.longField(el)
		}
		k.bytes(el.Value)
	case element.Scored:
		k.score(el.Score)
		k.bytes(el.Key)
	}
	if len(k.args) >= pieceBytes || k.count >= pieceParts {
		return w.end()
	}
	return nil
}

// longField ends the command of a field with a long value, the expiry of which may
// be known only behind it.
func (w *pieceWriter) longField(el *element.Element) error {
	known := el.ExpireAt != 0
	w.late = append(w.late[:0], el.Key...)
	if err := w.k.long(el.Long, w.b.reading(w.r)); err != nil {
		return err
	}
	if !known && el.ExpireAt != 0 {
		el.Key = w.late
		keep, err := w.expiry(el)
		if err != nil {
			return err
		}
		if !keep {
			w.b.parts--
			w.k.begin("HDEL", w.b.temp)
			w.k.bytes(w.late)
			return w.k.command()
		}
	}
	return w.expire()
}

// end ends the command being built.
func (w *pieceWriter) end() error {
	if w.k.count == 0 {
		return nil
	}
	if err := w.k.command(); err != nil {
		return err
	}
	return w.expire()
}

// expiry notes the expiry of a field, and reports whether the field is to be
// written at all.
func (w *pieceWriter) expiry(el *element.Element) (keep bool, err error) {
	b := w.b
	switch {
	case el.ExpireAt <= b.im.clock.now.Load():
		w.faded++
		return false, nil
	case b.im.target.fieldExpiry && el.ExpireAt > b.im.target.latestField:
		return false, errLateField
	case b.im.target.fieldExpiry:
	case b.im.opts.DropFieldTTL:
		return true, nil
	default:
		return false, &refusedError{fmt.Sprintf("its fields expire, and %s cannot keep that (--drop-field-ttl keeps the fields for ever)", b.im.target.oldest)}
	}
	b.fading.add(el.ExpireAt)
	w.names = append(w.names, el.Key...)
	w.expiring = append(w.expiring, expiringField{el.ExpireAt, len(w.names)})
	return true, nil
}

// expire gives the fields of the last command their expiries, those with the same
// one together.
func (w *pieceWriter) expire() error {
	from := 0
	for i := 0; i < len(w.expiring); {
		n := i + 1
		for n < len(w.expiring) && w.expiring[n].at == w.expiring[i].at {
			n++
		}
		w.k.begin("HPEXPIREAT", w.b.temp)
		w.k.int(w.expiring[i].at)
		w.k.word("FIELDS")
		w.k.int(int64(n - i))
		for ; i < n; i++ {
			w.k.bytes(w.names[from:w.expiring[i].end])
			from = w.expiring[i].end
		}
		if err := w.k.command(); err != nil {
			return err
		}
	}
	w.expiring, w.names = w.expiring[:0], w.names[:0]
	return nil
}
