package element_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// measured returns what MeasureHash makes of the key of a dump, and the bytes that it gives.
func measured(t *testing.T, dump []byte, hold, way int) (h *element.BigHash, raw []byte, err error) {
	t.Helper()
	big := bigValue(bigScanner(dump, way))
	if big == nil {
		t.Fatal("no big value")
	}
	if h, err = element.MeasureHash(big, hold); err != nil {
		return nil, nil, err
	}
	for range 2 {
		raw = nil
		if err := h.Copy(func(p []byte) error { raw = append(raw, p...); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return h, raw, nil
}

// TestBigHash gives hashes of all encodings with field expiry piece by piece, and compares
// them with their origin.
func TestBigHash(t *testing.T) {
	var all []dataset.Field
	for i := range 3000 {
		all = append(all, dataset.Field{Name: fmt.Appendf(nil, "field %d", i), Value: fmt.Appendf(nil, "%d", i), ExpireMs: int64(i%3) * (1<<46 + int64(i))})
	}
	long := strings.Repeat("0123456789", 10_000)
	few := []dataset.Field{
		{Name: []byte("a"), Value: []byte(long), ExpireMs: 1<<48 - 1}, {Name: []byte("b"), Value: []byte(long)}, {Name: nil, Value: nil, ExpireMs: 1},
		{Name: []byte("c"), Value: []byte(long[:77_777]), ExpireMs: dataset.FutureMs}, {Name: []byte("d"), Value: []byte("-17"), ExpireMs: 5},
	}
	for name, fields := range map[string][]dataset.Field{"many": all, "long": few, "none expires": {{Name: []byte("f"), Value: []byte("v")}}} {
		for typ, value := range map[rdbparse.Type][]byte{
			rdbparse.TypeHash2:          dataset.AppendHash2Valkey(nil, fields),
			rdbparse.TypeHashMetadata:   dataset.AppendHashMetadata(nil, fields),
			rdbparse.TypeHashListpackEx: dataset.AppendHashListpackEx(nil, fields),
		} {
			v := element.Value{Type: typ.Info(), Raw: value}
			for way := range 4 {
				h, raw, err := measured(t, inDump(v), 1000, way)
				if err != nil || int(h.Size()) != len(raw) {
					t.Fatalf("%s, %v: %v, %d bytes", name, typ, err, len(raw))
				}
				diff, err := element.Diff(v, element.Value{Type: rdbparse.TypeHashMetadata.Info(), Raw: raw})
				if err != nil || !diff.Same() {
					t.Errorf("%s, %v: %v, %v", name, typ, diff, err)
				}
			}
		}
	}
}

// checkBigHash gives any hash piece by piece that can be read, and compares.
func checkBigHash(t *testing.T, dump []byte, hold, way int) {
	t.Helper()
	v, _, broken := heldValue(dump)
	if v.Type == nil || broken != nil || len(v.Raw) < 2 {
		return
	}
	_, wantErr := render(element.Open(v))
	h, raw, err := measured(t, dump, hold, way)
	switch {
	case errors.Is(err, element.ErrTooLong), errors.Is(err, element.ErrFieldExpiry), errors.Is(err, element.ErrEmpty):
	case (err == nil) != (wantErr == nil):
		t.Fatalf("%v, but held %v", err, wantErr)
	case err == nil:
		diff, err := element.Diff(v, element.Value{Type: rdbparse.TypeHashMetadata.Info(), Raw: raw})
		if err != nil || !diff.Same() || int(h.Size()) != len(raw) {
			t.Fatalf("%v, %v, %d bytes in place of %d", diff, err, len(raw), h.Size())
		}
	}
}

// TestBigHashRefused expects what cannot be written so to be found by the measuring, and
// an error of the receiver to come back.
func TestBigHashRefused(t *testing.T) {
	hash := func(fields ...dataset.Field) []byte {
		return inDump(element.Value{Type: rdbparse.TypeHash2.Info(), Raw: dataset.AppendHash2Valkey(nil, fields)})
	}
	field := dataset.Field{Name: []byte("f"), Value: bytes.Repeat([]byte("v"), 5000), ExpireMs: 1 << 48}
	if _, _, err := measured(t, hash(field), 100, 0); !errors.Is(err, element.ErrFieldExpiry) || !strings.Contains(err.Error(), `"f"`) {
		t.Errorf("an expiry of 49 bits: %v", err)
	}
	none := inDump(element.Value{Type: rdbparse.TypeHashMetadata.Info(), Raw: make([]byte, 9)})
	if _, _, err := measured(t, none, 100, 0); !errors.Is(err, element.ErrEmpty) {
		t.Errorf("no fields: %v", err)
	}
	damaged := inDump(element.Value{Type: rdbparse.TypeHashListpackEx.Info(), Raw: join(make([]byte, 8), str("no listpack"))})
	if _, _, err := measured(t, damaged, 100, 0); !errors.Is(err, element.ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
	field.ExpireMs--
	h, err := element.MeasureHash(bigValue(bigScanner(hash(field, field, field), 0)), 100)
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for most := range 5 {
		n := 0
		if err := h.Copy(func([]byte) error {
			if n++; n > most {
				return enough
			}
			return nil
		}); err != enough {
			t.Errorf("after %d pieces: %v", most, err)
		}
	}
}
