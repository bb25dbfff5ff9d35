package dataset

import (
	"bytes"
	"encoding/binary"
)

// StreamID is the id of a stream entry.
type StreamID struct{ Ms, Seq uint64 }

// AppendStreamID appends the 16 big-endian bytes that stand for an id in stream nodes and pending lists.
func AppendStreamID(dst []byte, id StreamID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, id.Ms), id.Seq)
}

// StreamEntry is one entry: its fields are name, value, name, value ... A deleted entry stays in its node with a mark.
type StreamEntry struct {
	ID      StreamID
	Fields  [][]byte
	Deleted bool
}

// StreamNode is a node of a stream: a listpack and the id that the ids inside count from.
type StreamNode struct {
	ID       StreamID
	Listpack []byte
}

// Stream is what a stream value holds. The fields from FirstID to EntriesAdded are written from type 19 on.
type Stream struct {
	Nodes        []StreamNode
	Length       uint64
	LastID       StreamID
	FirstID      StreamID
	MaxDeletedID StreamID
	EntriesAdded uint64
	Groups       []Group
}

// Group is a consumer group. EntriesRead is written from type 19 on; ^uint64(0) stands for "not known".
type Group struct {
	Name        string
	LastID      StreamID
	EntriesRead uint64
	Pending     []Pending
	Consumers   []Consumer
}

// Pending is an entry delivered and not acknowledged. Its owner lists it too, in [Consumer.Pending].
type Pending struct {
	ID          StreamID
	DeliveredMs int64
	Count       uint64
}

// Consumer is a consumer of a group. ActiveMs is written in type 21 only.
type Consumer struct {
	Name     string
	SeenMs   int64
	ActiveMs int64
	Pending  []StreamID
}

// NewStream builds the nodes, counts and ids of a stream of entries, whose ids must ascend, with up to perNode entries a node. As in a server, a
// node whose entries are all deleted is left out.
func NewStream(entries []StreamEntry, perNode int) *Stream {
	s := &Stream{EntriesAdded: uint64(len(entries))}
	first := true
	for _, e := range entries {
		s.LastID = e.ID
		switch {
		case e.Deleted:
			s.MaxDeletedID = e.ID
		case first:
			s.FirstID, first = e.ID, false
			s.Length++
		default:
			s.Length++
		}
	}
	for len(entries) > 0 {
		n := min(perNode, len(entries))
		if lp, live := appendStreamListpack(nil, entries[:n]); live > 0 {
			s.Nodes = append(s.Nodes, StreamNode{ID: entries[0].ID, Listpack: lp})
		}
		entries = entries[n:]
	}
	return s
}

// Marks of an entry inside a node, as in t_stream.c.
const (
	entryDeleted    = 1
	entrySameFields = 2
)

// appendStreamListpack appends the listpack of one node and counts its live entries. The first entry gives the "master" field names; an entry
// that has the same ones holds values only.
func appendStreamListpack(dst []byte, entries []StreamEntry) (_ []byte, live int) {
	start := len(dst)
	for _, e := range entries {
		if !e.Deleted {
			live++
		}
	}
	master := entries[0]
	w := listpackWriter{buf: beginListpack(dst)}
	w.int(int64(live))
	w.int(int64(len(entries) - live))
	w.int(int64(len(master.Fields) / 2))
	for i := 0; i < len(master.Fields); i += 2 {
		w.str(master.Fields[i])
	}
	w.int(0)
	for _, e := range entries {
		w.entry(e, master)
	}
	return endListpack(w.buf, start, w.elems), live
}

// listpackWriter appends elements and counts them.
type listpackWriter struct {
	buf   []byte
	elems int
}

func (w *listpackWriter) int(v int64)  { w.buf = appendListpackInt(w.buf, v); w.elems++ }
func (w *listpackWriter) str(s []byte) { w.buf = appendListpackString(w.buf, s); w.elems++ }

func (w *listpackWriter) entry(e, master StreamEntry) {
	before := w.elems
	same := sameFields(e.Fields, master.Fields)
	flags := int64(0)
	if same {
		flags |= entrySameFields
	}
	if e.Deleted {
		flags |= entryDeleted
	}
	w.int(flags)
	w.int(int64(e.ID.Ms - master.ID.Ms))
	w.int(int64(e.ID.Seq - master.ID.Seq))
	if !same {
		w.int(int64(len(e.Fields) / 2))
	}
	for i, f := range e.Fields {
		if i%2 == 0 && same {
			continue
		}
		w.str(f)
	}
	w.int(int64(w.elems - before))
}

func sameFields(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i += 2 {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// AppendStream appends a stream as a value of type 15, 19 or 21.
func AppendStream(dst []byte, t Type, s *Stream) []byte {
	dst = AppendLen(dst, uint64(len(s.Nodes)))
	for _, n := range s.Nodes {
		dst = appendStreamNode(dst, n.ID, n.Listpack)
	}
	return appendStreamTail(dst, t, s)
}

func appendStreamNode(dst []byte, id StreamID, listpack []byte) []byte {
	return AppendRawString(AppendStreamID(append(dst, 16), id), listpack)
}

// appendStreamTail appends all that follows the nodes.
func appendStreamTail(dst []byte, t Type, s *Stream) []byte {
	dst = AppendLen(dst, s.Length)
	dst = appendIDLens(dst, s.LastID)
	if t >= TypeStream2 {
		dst = appendIDLens(dst, s.FirstID)
		dst = appendIDLens(dst, s.MaxDeletedID)
		dst = AppendLen(dst, s.EntriesAdded)
	}
	dst = AppendLen(dst, uint64(len(s.Groups)))
	for i := range s.Groups {
		dst = appendGroup(dst, t, &s.Groups[i])
	}
	return dst
}

func appendIDLens(dst []byte, id StreamID) []byte {
	return AppendLen(AppendLen(dst, id.Ms), id.Seq)
}

func appendGroup(dst []byte, t Type, g *Group) []byte {
	dst = AppendString(dst, g.Name)
	dst = appendIDLens(dst, g.LastID)
	if t >= TypeStream2 {
		dst = AppendLen(dst, g.EntriesRead)
	}
	dst = AppendLen(dst, uint64(len(g.Pending)))
	for _, p := range g.Pending {
		dst = AppendStreamID(dst, p.ID)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.DeliveredMs))
		dst = AppendLen(dst, p.Count)
	}
	dst = AppendLen(dst, uint64(len(g.Consumers)))
	for _, c := range g.Consumers {
		dst = AppendString(dst, c.Name)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.SeenMs))
		if t >= TypeStream3 {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(c.ActiveMs))
		}
		dst = AppendLen(dst, uint64(len(c.Pending)))
		for _, id := range c.Pending {
			dst = AppendStreamID(dst, id)
		}
	}
	return dst
}
