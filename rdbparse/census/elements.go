package census

import (
	"math"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// unknown stands for a number of elements that is not known.
const unknown = -1

// elements returns how many elements a value has: items, members, fields or
// entries; unknown for strings and for what cannot be opened. A count that stands in
// the value is taken from there; packed values are walked, if they are held.
func (c *Census) elements(e *rdbparse.Entry) int64 {
	switch {
	case e.Big:
		return c.stated
	case e.Value == nil, e.Type.Type == rdbparse.TypeString:
		return unknown
	}
	w := window.Of(e.Value)
	if n, ok := statedFirst(w, e.Type.Type); ok {
		return n
	}
	if e.Type.Kind == rdbparse.KindStream { // behind the listpacks, each with its first ID
		if n := w.Len(); n < math.MaxUint64/2 {
			w.SkipStrings(2 * n)
		}
		return stated(w)
	}
	return c.walk(e)
}

// statedFirst returns the number of elements of a type whose values begin with
// it.
func statedFirst(w *window.Window, t rdbparse.Type) (n int64, ok bool) {
	switch t {
	case rdbparse.TypeHashMetadata: // behind the earliest expiry
		w.Skip(8)
		return stated(w), true
	case rdbparse.TypeList, rdbparse.TypeSet, rdbparse.TypeHash, rdbparse.TypeZSet, rdbparse.TypeZSet2,
		rdbparse.TypeHash2, rdbparse.TypeHashMetadataPreGA:
		return stated(w), true
	}
	return unknown, false
}

// statedBy does the same for a value that is not held. It stays at its first
// byte.
func statedBy(e *rdbparse.Entry, v *rdbparse.BigValue) int64 {
	w := v.Window()
	w.Mark()
	n, _ := statedFirst(w, e.Type.Type)
	if v.Rewind() != nil {
		return unknown // the dump ends there
	}
	return n
}

// stated returns the length at the cursor.
func stated(w *window.Window) int64 {
	n := w.Len()
	if w.Err() != nil || n > math.MaxInt64 {
		return unknown
	}
	return int64(n)
}

// walk counts the elements of a packed value.
func (c *Census) walk(e *rdbparse.Entry) int64 {
	if !element.CanOpen(e.Type) {
		return unknown
	}
	c.reader.Reset(element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields})
	n := int64(0)
	for c.reader.Next() {
		n++
	}
	if c.reader.Err() != nil {
		return unknown
	}
	return n
}
