package element

import (
	"encoding/binary"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// streamState is where a Reader is in a stream.
type streamState struct {
	master  ID     // which the ids of the node are counted from
	node    bool   // there is one
	entries uint64 // still to come in the node, deleted ones too
	arena   []byte // integers of an entry, written out

	groups, pending, consumers, owned uint64 // still to come
	producers, produced               uint64
}

// Flags of an entry of a stream's listpack, after stream.h.
const (
	entryDeleted    = 1
	entrySameFields = 2
)

// What the encodings of streams add to that of Redis 5.0.
func hasOffsets(t rdbparse.Type) bool     { return t >= rdbparse.TypeStreamListpacks2 }
func hasActiveTime(t rdbparse.Type) bool  { return t >= rdbparse.TypeStreamListpacks3 }
func hasIdempotence(t rdbparse.Type) bool { return t >= rdbparse.TypeStreamListpacks4 }
func hasReturned(t rdbparse.Type) bool    { return t >= rdbparse.TypeStreamListpacks5 }

func (r *Reader) openStream() bool {
	r.left = r.w.Len()
	r.stream = streamState{arena: r.stream.arena[:0]}
	r.step = (*Reader).nextStreamNode
	return false
}

// nextStreamNode reads the next node: the id that it counts from, and a listpack
// that starts with the number of entries, of deleted ones, and the fields of the
// master entry.
func (r *Reader) nextStreamNode() bool {
	if r.left == 0 {
		r.step = (*Reader).readStreamInfo
		return false
	}
	r.left--
	st := &r.stream
	if !r.nodeID() {
		return false
	}
	if r.nextBlob(formListpack); r.w.Err() != nil || r.err != nil {
		return false
	}
	live, dead := r.itemInt(), r.itemInt()
	r.masterFields(r.itemInt())
	if r.itemInt() != 0 && r.err == nil {
		r.damaged("master entry of a stream node has no end")
	}
	if live < 0 || dead < 0 {
		r.damaged("impossible count of entries")
	}
	st.entries = uint64(live) + uint64(dead)
	r.step = (*Reader).readEntry
	return false
}

// nodeID reads the id that a node counts from: a string of 16 bytes.
func (r *Reader) nodeID() bool {
	const size = 16
	before, h := r.stream.master, r.w.String()
	if h.Form == window.LZF && h.Plain == size && h.Size <= 2*size { // no server compresses it
		p := r.w.Bytes(int(h.Size))
		if id := r.decompress(r.scratch[0], p, size); r.err == nil {
			r.stream.master, r.scratch[0] = parseID(id), id
		}
	} else if h.Form == window.Raw && h.Size == size {
		r.stream.master = r.rawID()
	} else if r.w.Err() == nil {
		r.damaged("id of a stream node has %d bytes", h.Plain)
	}
	if r.w.Err() != nil || r.err != nil {
		return false
	}
	if r.stream.node && !before.less(r.stream.master) {
		return r.damaged("stream nodes are not in ascending order")
	}
	r.stream.node = true
	return true
}

// masterFields keeps the n field names of a node's master entry.
func (r *Reader) masterFields(n int64) {
	r.names, r.ends = r.names[:0], r.ends[:0]
	if n < 0 {
		r.damaged("impossible count of fields")
	}
	for ; n > 0 && r.err == nil && r.partner(); n-- {
		r.itemName()
	}
}

// name returns the name of field k of the template or stream node.
func (r *Reader) name(k int) []byte {
	from := 0
	if k > 0 {
		from = r.ends[k-1]
	}
	return r.names[from:r.ends[k]:r.ends[k]]
}

// itemInt reads an item that must be an integer.
func (r *Reader) itemInt() int64 {
	if r.err != nil || !r.partner() {
		return 0
	}
	n, ok := r.items.Int()
	if !ok {
		r.damaged("a text in place of a number")
	}
	return n
}

// readEntry gives the next entry of the node that is not deleted.
func (r *Reader) readEntry() bool {
	st := &r.stream
	for ; st.entries > 0; st.entries-- {
		flags := r.itemInt()
		if flags&^(entryDeleted|entrySameFields) != 0 {
			return r.damaged("entry with unknown flags %#x", flags)
		}
		// Distances from the master's id; they wrap round.
		r.el.ID = ID{st.master.Ms + uint64(r.itemInt()), st.master.Seq + uint64(r.itemInt())}
		r.el.Pairs, st.arena = r.el.Pairs[:0], st.arena[:0]
		n := int64(len(r.ends))
		parts := n + 3
		same := flags&entrySameFields != 0
		if !same {
			n = r.itemInt()
			parts = 2*n + 4
		}
		if n < 0 {
			return r.damaged("impossible count of fields")
		}
		for k := int64(0); k < n && r.err == nil; k++ {
			r.readPair(same, k)
		}
		if r.itemInt() != parts && r.err == nil {
			return r.damaged("wrong length behind an entry")
		}
		if r.err != nil {
			return false
		}
		if flags&entryDeleted == 0 {
			st.entries--
			r.el.Kind = Entry
			return true
		}
	}
	r.step = (*Reader).nextStreamNode
	if r.items.Next() {
		return r.damaged("more entries in a stream node than it says")
	}
	if err := r.items.Err(); err != nil {
		return r.fail(err)
	}
	return false
}

// readPair appends a field and its value to the entry's.
func (r *Reader) readPair(same bool, k int64) {
	field := []byte(nil)
	if same {
		field = r.name(int(k))
	} else {
		field = r.arenaText()
	}
	r.el.Pairs = append(r.el.Pairs, field, r.arenaText())
}

// checkEntry refuses an entry that with the current item is too long to be held.
func (r *Reader) checkEntry() {
	size := int64(len(r.stream.arena)) + r.items.long + int64(len(r.items.Text()))
	if uint64(size) > r.most || uint64(8*len(r.el.Pairs)) > max(r.most, minHeld) {
		r.tooLong(size)
	}
}

// arenaText reads an item as text. The arena may move as it grows: earlier texts
// then keep the array they are in.
func (r *Reader) arenaText() []byte {
	if r.err != nil || !r.partner() {
		return nil
	}
	if r.items.src != nil {
		r.checkEntry()
	} else if text := r.items.Text(); text != nil {
		return text
	}
	st := &r.stream
	from := len(st.arena)
	st.arena = r.items.Append(st.arena)
	return st.arena[from:len(st.arena):len(st.arena)]
}

func parseID(p []byte) ID {
	return ID{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])}
}

// lenID reads an id stored as two lengths.
func (r *Reader) lenID() ID { return ID{r.w.Len(), r.w.Len()} }

// rawID reads an id stored as 16 bytes.
func (r *Reader) rawID() ID {
	if p := r.w.Bytes(16); p != nil {
		return parseID(p)
	}
	return ID{}
}

func (r *Reader) readStreamInfo() bool {
	info := StreamInfo{Length: r.w.Len(), LastID: r.lenID()}
	if hasOffsets(r.t) {
		info.FirstID, info.MaxDeletedID, info.EntriesAdded = r.lenID(), r.lenID(), r.w.Len()
	}
	r.stream.groups = r.w.Len()
	r.el.Kind, r.el.Info = Stream, info
	r.step = (*Reader).nextGroup
	return true
}
