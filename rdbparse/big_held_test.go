package rdbparse_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestAsBig reads values that are held as if they were not, more than once, and expects
// the same bytes.
func TestAsBig(t *testing.T) {
	for name, data := range bigDumps() {
		sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
		for sc.Next() {
			held := *sc.Entry()
			if held.Record != rdbparse.RecordKey || held.Fields != nil { // only sc knows the template
				continue
			}
			want := render(&held)
			e, v := rdbparse.AsBig(sc.Entry())
			if !e.Big || e.Value != nil {
				t.Errorf("%s: %+v", name, e)
			}
			for range 2 {
				raw, err := copyBig(v, 1<<40)
				whole := *e
				if whole.Value = raw; err != nil || render(&whole) != want {
					t.Errorf("%s: %v\n%.200s\nexpected\n%.200s", name, err, render(&whole), want)
				}
			}
			if size, err := v.Measure(0); err != nil || int(size) != len(held.Value) || v.Skip() != nil || v.Offset() != size {
				t.Errorf("%s: %d bytes in place of %d, %v", name, size, len(held.Value), err)
			}
			if _, err := v.Measure(int64(len(held.Value)) - 1); len(held.Value) > 1 && !errors.Is(err, rdbparse.ErrTooLong) {
				t.Errorf("%s: longer than it may be, and %v", name, err)
			}
		}
		if sc.Err() != nil {
			t.Error(name, sc.Err())
		}
	}
}
