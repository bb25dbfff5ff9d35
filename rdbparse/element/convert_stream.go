package element

import (
	"bytes"
	"encoding/binary"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// A cutter copies a stream and leaves out what an older encoding does not have.
// The value has been read through before: what it skips is known to be well
// formed.
type cutter struct {
	w        *window.Window // marked at the value's first byte
	dst      []byte
	from, to rdbparse.Type
	copied   int // bytes of the value that are copied or left out
}

// copyTo copies what lies between there and the cursor.
func (c *cutter) copyTo() {
	c.dst = append(c.dst, c.w.Since(c.copied, c.w.Pos())...)
	c.copied = c.w.Pos()
}

// drop passes over what f reads.
func (c *cutter) drop(f func()) {
	c.copyTo()
	f()
	c.copied = c.w.Pos()
}

func (c *cutter) lens(n int) {
	for ; n > 0; n-- {
		c.w.Len()
	}
}

// cutStream writes a stream in an older encoding, or the same, with the back
// lengths wanted.
func cutStream(dst []byte, v Value, to rdbparse.Type, back BackLengths) ([]byte, error) {
	if err := checkStream(v); err != nil {
		return dst, err
	}
	c := &cutter{w: window.Of(v.Raw), dst: dst, from: v.Type.Type, to: to}
	w := c.w
	w.Mark()
	for n := w.Len(); n > 0; n-- {
		w.SkipString()
		c.node(back)
	}
	c.lens(3)
	if hasOffsets(c.from) {
		if hasOffsets(to) {
			c.lens(5)
		} else {
			c.drop(func() { c.lens(5) })
		}
	}
	for n := w.Len(); n > 0; n-- {
		c.group()
	}
	c.copyTo()
	if hasIdempotence(to) {
		w.Skip(uint64(len(w.Buffered())))
		c.copyTo()
	}
	return c.dst, nil
}

// node copies the listpack of a node, with the back lengths wanted.
func (c *cutter) node(back BackLengths) {
	if back == 0 || plainSize(c.w) < minEdge {
		c.w.SkipString()
		return
	}
	before := c.w.Pos()
	r := &Reader{w: c.w, most: maxText}
	r.findBackLengths()
	if r.backs&^back == 0 {
		return
	}
	c.dst = append(c.dst, c.w.Since(c.copied, before)...)
	c.dst = appendText(c.dst, rebuild(nil, r.items.b, back))
	c.copied = c.w.Pos()
}

// checkStream reads a stream to its end, and refuses one whose pending entries do
// not each belong to one consumer: older servers crash on them.
func checkStream(v Value) error {
	var pending, owned uint64
	r := Open(v)
	for r.Next() {
		switch r.Element().Kind {
		case Group:
			if pending != owned {
				return orphaned(r)
			}
			pending, owned = 0, 0
		case Pending:
			pending++
		case Owned, Returned:
			owned++
		}
	}
	if r.Err() == nil && pending != owned {
		return orphaned(r)
	}
	return r.Err()
}

func orphaned(r *Reader) error {
	r.damaged("pending entries of a group and of its consumers do not add up")
	return r.Err()
}

// group copies one consumer group.
func (c *cutter) group() {
	w := c.w
	w.SkipString()
	c.lens(2)
	if hasOffsets(c.from) {
		if hasOffsets(c.to) {
			c.lens(1)
		} else {
			c.drop(func() { c.lens(1) })
		}
	}
	for n := w.Len(); n > 0; n-- {
		w.Skip(16 + 8)
		w.Len()
	}
	if !hasReturned(c.from) || hasReturned(c.to) {
		for n := w.Len(); n > 0; n-- {
			c.consumer(nil)
		}
		return
	}
	c.copyTo()
	returned, adopted := c.lookAhead()
	n := w.Len()
	c.copied = w.Pos()
	more := uint64(0)
	if len(returned) > 0 && !adopted {
		more = 1
	}
	c.dst = appendLen(c.dst, n+more)
	for ; n > 0; n-- {
		c.consumer(returned)
	}
	c.copyTo()
	if more > 0 {
		c.dst = appendText(c.dst, []byte(NackConsumer))
		c.dst = binary.LittleEndian.AppendUint64(c.dst, 0) // seen
		if hasActiveTime(c.to) {
			c.dst = append(c.dst, bytes.Repeat([]byte{0xff}, 8)...) // never active
		}
		c.dst = append(appendLen(c.dst, uint64(len(returned)/16)), returned...)
	}
	c.drop(func() { w.Skip(16 * w.Len()) })
}

// lookAhead returns, from before the consumers of a group, the entries given back
// that stand behind them, and whether there is a consumer that takes them.
func (c *cutter) lookAhead() (returned []byte, adopted bool) {
	w := window.Of(c.w.Buffered())
	w.Mark()
	for n := w.Len(); n > 0; n-- {
		adopted = c.isNackConsumer(w) || adopted
		w.Skip(8 + 8)
		w.Skip(16 * w.Len())
	}
	n := w.Len()
	from := w.Pos()
	w.Skip(16 * n)
	return w.Since(from, w.Pos()), adopted
}

// isNackConsumer moves over a consumer's name and reports whether it is the one
// that takes entries given back.
func (c *cutter) isNackConsumer(w *window.Window) bool {
	h := w.String()
	p := w.Bytes(int(h.Size))
	return h.Form == window.Raw && string(p) == NackConsumer
}

// consumer copies one consumer. The one named NackConsumer gets what was given
// back in addition to its own.
func (c *cutter) consumer(returned []byte) {
	w := c.w
	takes := c.isNackConsumer(w)
	w.Skip(8)
	if hasActiveTime(c.from) {
		if hasActiveTime(c.to) {
			w.Skip(8)
		} else {
			c.drop(func() { w.Skip(8) })
		}
	}
	if !takes || len(returned) == 0 {
		w.Skip(16 * w.Len())
		return
	}
	c.copyTo()
	n := w.Len()
	c.copied = w.Pos()
	c.dst = appendLen(c.dst, n+uint64(len(returned)/16))
	w.Skip(16 * n)
	c.copyTo()
	c.dst = append(c.dst, returned...)
}
