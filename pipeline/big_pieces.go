package pipeline

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// kindCommands are the commands by which values of a kind are written in pieces.
type kindCommands struct {
	counts string // the parts that a key has
	adds   string // parts to a key; for target.adds to say of a hash
	part   string // what stands behind the key in adds, for a part
	also   string // a command that every value takes, beside; KEY stands for the key
}

// commandsOfKind has all kinds that can be written in pieces. Commands that depend on
// what is in a value are not in it: XCLAIM, say.
var commandsOfKind = map[rdbparse.Kind]kindCommands{
	rdbparse.KindString: {counts: "STRLEN", adds: "SET", part: "value"},
	rdbparse.KindList:   {counts: "LLEN", adds: "RPUSH", part: "element"},
	rdbparse.KindSet:    {counts: "SCARD", adds: "SADD", part: "member"},
	rdbparse.KindZSet:   {counts: "ZCARD", adds: "ZADD", part: "1 member"},
	rdbparse.KindHash:   {counts: "HLEN", adds: "HSET", part: "field value"},
	rdbparse.KindStream: {counts: "XLEN", adds: "XADD", part: "1-1 field value", also: "XSETID KEY 1-1"},
}

// adds returns the command that adds parts to a key of a kind.
func (c *commands) adds(kind rdbparse.Kind) string {
	if kind == rdbparse.KindHash {
		return c.hset
	}
	return commandsOfKind[kind].adds
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

// element adds one element to the command being built.
func (w *pieceWriter) element(el *element.Element) error {
	if w.stream != nil {
		return w.stream.element(el)
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
		k.begin(w.b.im.target.adds(w.b.e.Type.Kind), w.b.temp)
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
