package rdbparse

import (
	"encoding/binary"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// A template is the field names that hashes of Redis 8.10 share: an opcode 242
// record, whose strings are kept as they stand in the dump.
type template struct {
	n      uint64
	fields []byte
}

type templates struct {
	byID  map[uint64]template
	bytes int
}

// Bounds on what the templates of a dump may take.
const (
	maxTemplate  = 1 << 20  // bytes of one template
	maxTemplates = 64 << 20 // bytes of all of them
)

// hashTemplate reads a template and keeps it.
func (s *Scanner) hashTemplate() {
	w := s.w
	id := w.Len()
	n := w.Len()
	w.Mark()
	w.SetLimit(maxTemplate + 1)
	w.SkipStrings(n)
	w.SetLimit(0)
	if w.Err() == nil {
		fields := append([]byte(nil), w.Since(0, w.Pos())...)
		t := &s.templates
		t.bytes += len(fields) + 64
		if n == 0 || len(fields) > maxTemplate || t.bytes > maxTemplates {
			w.Fail(fmt.Errorf("%w: hash template %d with %d fields of %d bytes", ErrCorrupt, id, n, len(fields)))
			return
		}
		if t.byID == nil {
			t.byID = make(map[uint64]template)
		}
		t.byID[id] = template{n, fields}
	}
	w.Unmark()
}

// skipTmplRef moves over a hash whose field names are in a template: its id and
// as many strings as the template has names, or one listpack that holds the id
// and the values.
func (s *Scanner) skipTmplRef(w *window.Window, t Type) {
	if t == TypeHashTmplLPRef {
		w.SkipString()
		return
	}
	id := w.Len()
	if w.Err() != nil {
		return
	}
	tmpl, ok := s.templates.byID[id]
	if !ok {
		w.Fail(fmt.Errorf("%w: no hash template %d stands before this value", ErrCorrupt, id))
		return
	}
	w.SkipStrings(tmpl.n)
}

// setFields gives the entry, a hash with a template, its field names. The value
// starts at w's cursor; of it only what is needed is read.
func (s *Scanner) setFields(w *window.Window, row *TypeInfo) bool {
	e := &s.entry
	id, ok := uint64(0), true
	if row.Type == TypeHashTmplLPRef {
		id, ok = firstInt(w)
	} else {
		id = w.Len()
	}
	if err := w.Err(); err != nil {
		return s.failKey(row, e.Key, err)
	}
	tmpl, known := s.templates.byID[id]
	if !ok || !known {
		return s.failKey(row, e.Key, fmt.Errorf("%w: no hash template %d stands before this value", ErrCorrupt, id))
	}
	e.Fields = tmpl.fields
	return true
}

// firstInt returns the first element of a listpack that is stored as a string at
// w's cursor, if it is an integer that is not negative.
func firstInt(w *window.Window) (uint64, bool) {
	const enough = 6 + 10 // a header and the longest integer
	var first [enough]byte
	h := w.String()
	lp := w.Bytes(int(min(h.Size, lzf.Enough(enough))))
	if h.Form == window.LZF {
		lzf.Prefix(first[:], lp)
	} else {
		copy(first[:], lp)
	}
	p := first[6:]
	var n int64
	switch c := p[0]; {
	case c < 0x80:
		n = int64(c)
	case c >= 0xc0 && c < 0xe0:
		n = int64(c&0x1f)<<8 | int64(p[1])
		if n >= 1<<12 {
			n -= 1 << 13
		}
	case c == 0xf1:
		n = int64(int16(binary.LittleEndian.Uint16(p[1:])))
	case c == 0xf2:
		n = int64(int32(uint32(p[1])<<8|uint32(p[2])<<16|uint32(p[3])<<24) >> 8)
	case c == 0xf3:
		n = int64(int32(binary.LittleEndian.Uint32(p[1:])))
	case c == 0xf4:
		n = int64(binary.LittleEndian.Uint64(p[1:]))
	default:
		return 0, false
	}
	return uint64(n), n >= 0
}
