package pipeline

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// A streamWriter makes commands of the parts of a stream.
type streamWriter struct {
	w    *pieceWriter
	info element.StreamInfo

	// The entries that groups wait for and that have been deleted from the
	// stream, in order: a server takes a pending entry only if the stream has it,
	// so it gets a stand-in until the groups are complete.
	gone  []element.ID
	next  int        // of gone
	first element.ID // of the stream's own entries

	grouped  bool                    // there is a group
	group    []byte                  // its name, which may be empty
	pending  map[element.ID]delivery // of the group
	consumer []byte
	claim    delivery // of the entries claimed by the command being built, ids
	ids      []element.ID
	counted  int64 // entries pending in the group
}

// A delivery is what is known of a pending entry.
type delivery struct {
	time  int64
	count uint64
}

// pendingSize is about how many bytes a pending entry takes here.
const pendingSize = 96

func newStreamWriter(w *pieceWriter) *streamWriter {
	return &streamWriter{w: w, pending: make(map[element.ID]delivery)}
}

// prepare finds the pending entries that the stream does not have any more. For
// that the value is read once more.
func (s *streamWriter) prepare() error {
	b := s.w.b
	r := element.OfBig(b.v, b.im.held)
	for r.Next() {
		el := r.Element()
		if el.Kind != element.Pending {
			continue
		}
		if err := s.room(len(s.gone), "its groups have"); err != nil {
			return err
		}
		s.gone = append(s.gone, el.ID)
	}
	if r.Err() != nil {
		return &sourceError{r.Err()}
	}
	if len(s.gone) > 0 {
		slices.SortFunc(s.gone, compareIDs)
		s.gone = slices.Compact(s.gone)
		if err := b.v.Rewind(); err != nil {
			return &sourceError{err}
		}
		if err := s.keepMissing(); err != nil {
			return err
		}
	}
	if err := b.v.Rewind(); err != nil {
		return &sourceError{err}
	}
	s.w.r = element.OfBig(b.v, b.im.held)
	return nil
}

// room makes sure that one more pending entry can be held beside n of them, which are
// those that whose names.
func (s *streamWriter) room(n int, whose string) error {
	b := s.w.b
	switch size := int64(n) * pendingSize; {
	case size > b.im.opts.Memory/4:
		return &refusedError{whose + " more pending entries than fit into --memory"}
	case size > int64(b.im.held)/2:
		return b.holdMore()
	}
	return nil
}

// keepMissing takes the entries that the stream has off the pending ones.
func (s *streamWriter) keepMissing() error {
	r := element.OfBig(s.w.b.v, s.w.b.im.held)
	gone, at := s.gone[:0], 0
	for r.Next() && r.Element().Kind == element.Entry {
		id := r.Element().ID
		for at < len(s.gone) && compareIDs(s.gone[at], id) < 0 {
			gone = append(gone, s.gone[at])
			at++
		}
		if at < len(s.gone) && s.gone[at] == id {
			at++
		}
	}
	if r.Err() != nil {
		return &sourceError{r.Err()}
	}
	s.gone = append(gone, s.gone[at:]...)
	return nil
}

func compareIDs(a, b element.ID) int {
	return cmp.Or(cmp.Compare(a.Ms, b.Ms), cmp.Compare(a.Seq, b.Seq))
}

// element makes commands of one part.
func (s *streamWriter) element(el *element.Element) error {
	switch el.Kind {
	case element.Entry:
		return s.entry(el)
	case element.Stream:
		s.info = el.Info
		return s.entriesEnd()
	case element.Group:
		if err := s.groupEnd(); err != nil {
			return err
		}
		return s.beginGroup(el)
	case element.Pending:
		if err := s.room(len(s.pending), "one of its groups has"); err != nil {
			return err
		}
		s.pending[el.ID] = delivery{el.Time, el.Count}
		return nil
	case element.Consumer:
		if err := s.endClaim(); err != nil {
			return err
		}
		s.consumer = append(s.consumer[:0], el.Key...)
		return s.beginConsumer()
	case element.Owned:
		return s.owned(el.ID)
	case element.Returned:
		if string(s.consumer) != element.NackConsumer {
			if err := s.endClaim(); err != nil {
				return err
			}
			s.consumer = append(s.consumer[:0], element.NackConsumer...)
		}
		return s.owned(el.ID)
	}
	return nil // what is known of idempotent producers: no command sets it
}

// entry adds an entry, and before it the stand-ins that come before it.
func (s *streamWriter) entry(el *element.Element) error {
	for s.next < len(s.gone) && compareIDs(s.gone[s.next], el.ID) < 0 {
		if err := s.standIn(s.gone[s.next]); err != nil {
			return err
		}
		s.next++
	}
	if s.w.b.parts == 0 {
		s.first = el.ID
	}
	s.w.b.parts++
	k := s.w.k
	k.begin("XADD", s.w.b.temp)
	k.id(el.ID)
	for _, p := range el.Pairs {
		k.bytes(p)
	}
	return k.command()
}

// standIn adds an entry that is to be deleted again.
func (s *streamWriter) standIn(id element.ID) error {
	k := s.w.k
	k.begin("XADD", s.w.b.temp)
	k.id(id)
	k.word("x")
	k.word("")
	return k.command()
}

// entriesEnd adds the stand-ins behind the last entry. A stream of no entries
// gets one that makes the key, and is gone at once.
func (s *streamWriter) entriesEnd() error {
	for ; s.next < len(s.gone); s.next++ {
		if err := s.standIn(s.gone[s.next]); err != nil {
			return err
		}
	}
	if s.w.b.parts > 0 || len(s.gone) > 0 {
		return nil
	}
	id := s.info.LastID
	if id == (element.ID{}) {
		id.Seq = 1
	}
	if err := s.standIn(id); err != nil {
		return err
	}
	// XTRIM leaves no trace, as XDEL does.
	k := s.w.k
	k.begin("XTRIM", s.w.b.temp)
	k.word("MAXLEN")
	k.word("0")
	return k.command()
}

// finish completes the stream: without the stand-ins, and with the numbers that
// it had.
func (s *streamWriter) finish() error {
	if err := s.groupEnd(); err != nil {
		return err
	}
	b, k := s.w.b, s.w.k
	from := 0
	if len(s.gone) > 0 && b.im.target.streamIDs && (b.parts == 0 || compareIDs(s.gone[0], s.first) < 0) {
		// Those before the first entry were trimmed away, most likely, which leaves
		// no trace as a deletion does.
		k.begin("XTRIM", b.temp)
		if b.parts == 0 {
			k.word("MAXLEN")
			k.word("0")
			from = len(s.gone)
		} else {
			k.word("MINID")
			k.id(s.first)
		}
		if err := k.command(); err != nil {
			return err
		}
		for from < len(s.gone) && compareIDs(s.gone[from], s.first) < 0 {
			from++
		}
	}
	for from < len(s.gone) {
		to := min(from+pieceParts, len(s.gone))
		k.begin("XDEL", b.temp)
		for _, id := range s.gone[from:to] {
			k.id(id)
		}
		if err := k.command(); err != nil {
			return err
		}
		from = to
	}
	info := s.info
	k.begin("XSETID", b.temp)
	k.id(info.LastID)
	if b.im.target.streamIDs {
		if b.e.Type.Type == rdbparse.TypeStreamListpacks {
			info.EntriesAdded = info.Length
		}
		k.word("ENTRIESADDED")
		k.int(int64(info.EntriesAdded))
		k.word("MAXDELETEDID")
		k.id(info.MaxDeletedID)
	}
	return k.command()
}

// id adds the id of an entry.
func (w *wire) id(id element.ID) {
	var b [48]byte
	p := append(strconv.AppendUint(b[:0], id.Ms, 10), '-')
	w.bytes(strconv.AppendUint(p, id.Seq, 10))
}
