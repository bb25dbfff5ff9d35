package rdbparse

import (
	"fmt"

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
	w.SkipStrings(n)
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
