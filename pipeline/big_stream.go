package pipeline

import (
	"cmp"
	"fmt"
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

// beginGroup makes a group.
func (s *streamWriter) beginGroup(el *element.Element) error {
	s.group, s.grouped = append(s.group[:0], el.Key...), true
	k := s.w.k
	k.word("XGROUP")
	k.begin("CREATE", s.w.b.temp)
	k.bytes(s.group)
	k.id(el.ID)
	if s.w.b.im.target.streamIDs { // 7.0 and newer
		k.word("ENTRIESREAD")
		k.int(s.entriesRead(el))
	}
	return k.command()
}

// entriesRead is how many entries the group has read, -1 if that is not known.
// The encoding of Redis before 7.0 does not say; a server that loads it estimates.
func (s *streamWriter) entriesRead(el *element.Element) int64 {
	if s.w.b.e.Type.Type != rdbparse.TypeStreamListpacks {
		return int64(el.Read) // 2^64-1 becomes -1
	}
	length := int64(s.info.Length)
	switch {
	case length == 0:
		return 0
	case el.ID == s.info.LastID:
		return length
	case compareIDs(el.ID, s.info.LastID) > 0:
		return -1
	case compareIDs(el.ID, s.first) < 0:
		return 0
	case el.ID == s.first:
		return 1
	}
	return -1
}

// beginConsumer makes a consumer that may have no entries.
func (s *streamWriter) beginConsumer() error {
	k := s.w.k
	if s.w.b.im.target.createConsumer {
		k.word("XGROUP")
		k.begin("CREATECONSUMER", s.w.b.temp)
		k.bytes(s.group)
		k.bytes(s.consumer)
		return k.command()
	}
	// Reading what it holds makes it, and changes nothing.
	k.word("XREADGROUP")
	k.word("GROUP")
	k.bytes(s.group)
	k.bytes(s.consumer)
	k.word("STREAMS")
	k.bytes(s.w.b.temp)
	k.word("0")
	return k.command()
}

// owned gives the consumer a pending entry. Those of the same delivery go in one
// command.
func (s *streamWriter) owned(id element.ID) error {
	d, ok := s.pending[id]
	if !ok {
		return &sourceError{&element.Error{Type: s.w.b.e.Type.Type, Offset: s.w.b.v.Offset() - s.w.b.v.Start(),
			Err: fmt.Errorf("%w: a consumer holds entry %v, which is not pending", element.ErrDamaged, id)}}
	}
	if len(s.ids) > 0 && (d != s.claim || len(s.ids) == pieceParts) {
		if err := s.endClaim(); err != nil {
			return err
		}
	}
	s.claim = d
	s.ids = append(s.ids, id)
	s.counted++
	return nil
}

// endClaim ends the claim being built.
func (s *streamWriter) endClaim() error {
	if len(s.ids) == 0 {
		return nil
	}
	k := s.w.k
	k.begin("XCLAIM", s.w.b.temp)
	k.bytes(s.group)
	k.bytes(s.consumer)
	k.word("0")
	for _, id := range s.ids {
		k.id(id)
	}
	k.word("TIME")
	k.int(max(0, s.claim.time))
	k.word("RETRYCOUNT")
	k.int(int64(s.claim.count))
	k.word("FORCE")
	k.word("JUSTID")
	s.ids = s.ids[:0]
	return k.command()
}

// groupEnd ends a group, and makes sure that all of its pending entries are there.
func (s *streamWriter) groupEnd() error {
	if !s.grouped {
		return nil
	}
	if err := s.endClaim(); err != nil {
		return err
	}
	if s.counted != int64(len(s.pending)) {
		return &sourceError{&element.Error{Type: s.w.b.e.Type.Type, Offset: s.w.b.v.Offset() - s.w.b.v.Start(),
			Err: fmt.Errorf("%w: %s, of which consumers hold %d", element.ErrDamaged, counted(len(s.pending), "pending entry"), s.counted)}}
	}
	if s.counted > 0 {
		k := s.w.k
		k.begin("XPENDING", s.w.b.temp)
		k.bytes(s.group)
		n, err := k.firstNumber()
		if err != nil {
			return err
		}
		if n != s.counted {
			return s.w.b.lost(fmt.Sprintf("of the pending entries of a group the target keeps %d of %d", n, s.counted))
		}
	}
	clear(s.pending)
	s.counted, s.consumer = 0, s.consumer[:0]
	return nil
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

// firstNumber sends the command of the arguments that were added, and returns the
// first number of the array that it is answered by.
func (k *link) firstNumber() (int64, error) {
	rep, err := k.call()
	if err != nil {
		return 0, err
	}
	if rep.kind != '*' || rep.size < 1 {
		return 0, fmt.Errorf("%w: %q in place of an array", errProtocol, rep.text)
	}
	first, err := k.answer()
	if err != nil {
		return 0, err
	}
	n, ok := parseInt(first.text)
	if !ok {
		return 0, fmt.Errorf("%w: %q in place of a number", errProtocol, first.text)
	}
	for i := rep.size - 1; i > 0; i-- {
		if err := k.skip(); err != nil {
			return 0, err
		}
	}
	return n, nil
}
