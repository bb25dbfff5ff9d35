package pipeline

import (
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

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
