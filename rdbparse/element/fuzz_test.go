package element_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// FuzzReader opens any bytes as a value of each type. Oracles: one large read
// against single bytes, equality with itself, every conversion against its origin,
// and that a Checker finds what a Reader does.
func FuzzReader(f *testing.F) {
	index := map[rdbparse.Type]uint8{}
	for i, row := range rdbparse.Types() {
		index[row.Type] = uint8(i)
	}
	for _, c := range values {
		f.Add(index[c.t], c.raw, []byte{1, 'f', 1, 'g'})
	}
	if os.Getenv("RDBIMPORT_CORPUS") != "" {
		for _, s := range corpus(f, "lib") {
			if len(s.v.Raw) < 1000 {
				f.Add(index[s.v.Type.Type], s.v.Raw, []byte(nil))
			}
		}
	}
	types := rdbparse.Types()
	f.Fuzz(func(t *testing.T, which uint8, raw, fields []byte) {
		row := &types[int(which)%len(types)]
		v := element.Value{Type: row, Raw: raw, Fields: fields}
		whole, err := render(element.Open(v))
		if len(whole) > 1<<22 {
			return // compressed to the extreme; the rest would take too long
		}
		if checked := new(element.Checker).Check(v); element.CanOpen(row) && err != nil && checked == nil { // it may find something else before
			t.Fatalf("not found by the check: %v", err)
		}
		if err != nil {
			if !errors.Is(err, element.ErrDamaged) && !errors.Is(err, element.ErrOpaque) && !errors.Is(err, element.ErrTemplate) {
				t.Fatal(err)
			}
			return
		}
		if row.Type != rdbparse.TypeHashTmplLPRef && row.Type != rdbparse.TypeHashTmplArrayRef {
			small, err := render(element.NewReader(window.New(iotest.OneByteReader(bytes.NewReader(raw)), 16), row))
			if err != nil || small != whole {
				t.Fatalf("byte by byte: %v\n%s\nagainst\n%s", err, small, whole)
			}
		}
		for i := range types {
			convertAndCompare(t, v, &types[i])
		}
	})
}

func convertAndCompare(t *testing.T, v element.Value, to *rdbparse.TypeInfo) {
	raw, err := element.Convert(nil, v, to.Type, element.Options{})
	if err != nil {
		for _, known := range []error{element.ErrConversion, element.ErrEmpty, element.ErrFieldExpiry, element.ErrDamaged} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatal(err)
	}
	got := element.Value{Type: to, Raw: raw, Fields: v.Fields}
	if diff, err := element.Diff(v, got); err != nil || !diff.Same() {
		t.Fatalf("as %s: %v, %v", to.Name, diff, err)
	}
}

// FuzzPayload splits any bytes, and puts together again what it could split.
func FuzzPayload(f *testing.F) {
	for _, c := range values {
		f.Add([]byte(payload(c.t, c.raw)))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		v, err := element.ParsePayload(p)
		if err != nil {
			return
		}
		body := join(v.Meta, []byte{v.Type.Type.Byte()}, v.Raw)
		if !bytes.Equal(body, p[:len(p)-rdbparse.FooterSize]) {
			t.Fatalf("%x became %x", p, body)
		}
	})
}
