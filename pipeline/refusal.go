package pipeline

import (
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// refuse counts a key that is not sent at all.
func (f *Feeder) refuse(e *rdbparse.Entry, reason string) {
	f.refuseSized(e, f.sizeOf(e), reason)
}

// sizeOf returns the size of a value in the dump. One that is large is read to its end.
func (f *Feeder) sizeOf(e *rdbparse.Entry) int {
	if !e.Big {
		return len(e.Value)
	}
	v := f.value
	if v.Skip() != nil {
		return 0 // the scanner has the same error
	}
	return int(v.Offset() - v.Start())
}

func (f *Feeder) refuseSized(e *rdbparse.Entry, size int, reason string) {
	f.counts.failed++
	f.im.refusal(Refusal{Key: e.Key, DB: e.DB, Type: e.Type, Size: size, Reason: reason, Offset: e.Offset})
}

// report notes why command i of b, which is counted, was refused.
func (l *lane) report(b *batch, i int, reason string) {
	r := parseRestore(b.command(i))
	typ, size, rewritten := b.origin(i)
	if !rewritten {
		typ, size = typeOf(r.payload), len(r.payload)-rdbparse.FooterSize-1
	}
	l.im.refusal(Refusal{Key: r.key, DB: l.place.db, Type: typ, Size: size, Reason: reason, Offset: b.cmds[i].offset})
}

// typeOf returns the row of the type of a payload, nil if it has none.
func typeOf(payload []byte) *rdbparse.TypeInfo {
	v, err := element.ParsePayload(payload)
	if err != nil {
		return nil
	}
	return v.Type
}

// An origin is what a value was in the dump that has been rewritten. There is one for
// each such key in flight, so it takes 8 bytes.
type origin struct {
	size    uint32
	command uint16
	typ     rdbparse.Type
}

// noteOrigin notes that the last command of the batch that b fills has the value of to, and
// the dump that of from.
func (b *filling) noteOrigin(from, to *rdbparse.Entry) {
	if from.Type != to.Type || len(from.Value) != len(to.Value) {
		b.batch.origins = append(b.batch.origins, origin{uint32(len(from.Value)), uint16(len(b.cmds) - 1), from.Type.Type})
	}
}

// origin returns the type and the size that the value of command i has in the dump; false
// if they are those of the command.
func (b *batch) origin(i int) (*rdbparse.TypeInfo, int, bool) {
	at, found := slices.BinarySearchFunc(b.origins, i, func(o origin, i int) int { return int(o.command) - i })
	if !found {
		return nil, 0, false
	}
	return b.origins[at].typ.Info(), int(b.origins[at].size), true
}
