package element

import (
	"encoding/binary"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// vectorSet is the module type of the sets of vectors that Redis has since 8.0.
const vectorSet = "vectorset"

// Flags of a vector set, after vset.c.
const (
	vectorProjected  = 1 // a matrix follows by which vectors were reduced
	vectorAttributes = 2 // every element has an attribute, which may be empty
)

// isVectorSet reports whether a value is a vector set.
func isVectorSet(v Value) bool {
	return v.Type.Type == rdbparse.TypeModule2 && rdbparse.ModuleName(v.Raw) == vectorSet
}

// compareVectorSets compares what vector sets hold: dimensions and settings, and
// each element with its attribute and its vector. The graph that links the
// elements is left out, and their order: a server that has loaded a vector set
// writes them otherwise. It returns false for a layout that it does not know.
func (c Comparer) compareVectorSets(a, b Value) (Difference, bool) {
	da, db := c.Digester(a.Type, b.Type), c.Digester(a.Type, b.Type)
	if !readVectorSet(a, da) || !readVectorSet(b, db) {
		return Difference{}, false
	}
	if da.Sum() == db.Sum() {
		return Difference{}, true
	}
	return Difference{"elements of the vector set"}, true
}

// readVectorSet adds what a vector set holds to d, as VectorSetRdbSave of vset.c
// writes it.
func readVectorSet(v Value, d *Digester) bool {
	m := moduleReader{Reader{w: window.Of(v.Raw), t: v.Type.Type, most: maxText}}
	w := m.w
	w.Mark()
	w.Len() // module id
	dimensions, n, config, flags := m.number(), m.number(), m.number(), m.number()
	if flags&^(vectorProjected|vectorAttributes) != 0 {
		return false
	}
	var head []byte
	for _, x := range []uint64{dimensions, n, config, flags} {
		head = binary.BigEndian.AppendUint64(head, x)
	}
	if flags&vectorProjected != 0 {
		head = binary.BigEndian.AppendUint64(head, m.number())
		head = m.appendText(head)
	}
	d.Add(&Element{Kind: Text, Value: head})
	var name, rest []byte
	for ; n > 0 && m.ok(); n-- {
		name, rest = m.appendText(name[:0]), rest[:0]
		if flags&vectorAttributes != 0 {
			rest = m.appendText(rest)
		}
		rest = m.appendText(rest)
		// Identity, level and links; the last is the vector's length and range.
		last := uint64(0)
		for params := m.number(); params > 0 && m.ok(); params-- {
			last = m.number()
		}
		d.Add(&Element{Kind: Field, Key: name, Value: binary.BigEndian.AppendUint64(rest, last)})
	}
	return w.Len() == window.ModuleEnd && m.ok() && len(w.Buffered()) == 0
}

// A moduleReader reads the items of a module's value.
type moduleReader struct{ Reader }

func (m *moduleReader) ok() bool { return m.w.Err() == nil && m.err == nil }

// number reads an item that is a number.
func (m *moduleReader) number() uint64 {
	if m.w.Len() != window.ModuleUint {
		m.w.Fail(window.ErrLength)
	}
	return m.w.Len()
}

// appendText reads an item that is a string and appends it, with its length.
func (m *moduleReader) appendText(dst []byte) []byte {
	if m.w.Len() != window.ModuleString {
		m.w.Fail(window.ErrLength)
	}
	s := m.text()
	if !m.ok() {
		return dst
	}
	return appendText(dst, m.take(s))
}
