package rdbparse_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestDetach reads the big values of a dump while the Scanner goes on, each by another
// goroutine and more than once, and expects what is held otherwise.
func TestDetach(t *testing.T) {
	for name, data := range bigDumps() {
		want, err := allHeld(data)
		if err != nil {
			t.Fatal(name, err)
		}
		opts := rdbparse.Options{MaxValue: 1, BufferSize: 32, AnyVersion: true, Again: bytes.NewReader(data)}
		sc := rdbparse.NewScanner(bytes.NewReader(data), opts)
		got, templates := make([]string, 0, len(want)), false
		var work sync.WaitGroup
		for sc.Next() {
			e, v, ok := sc.Detach(16)
			got = append(got, "")
			at := &got[len(got)-1]
			switch {
			case ok:
				work.Go(func() {
					for range 2 {
						raw, err := copyBig(v, 1<<40)
						if err != nil {
							t.Error(name, err)
						}
						whole := *e
						whole.Value = raw
						*at = render(&whole)
					}
				})
			case sc.Entry().Big: // only sc knows its template
				e := *sc.Entry()
				if !templates && e.Fields == nil {
					t.Errorf("%s: no copies of a %s", name, e.Type.Name)
				}
				templates = true
				if e.Value, err = copyBig(sc.BigValue(), 1<<40); err != nil {
					t.Error(name, err)
				}
				*at = render(&e)
			default:
				*at = render(sc.Entry())
			}
		}
		work.Wait()
		if sc.Err() != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %v\n%.3000s\nexpected\n%.3000s", name, sc.Err(), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for _, again := range []io.ReaderAt{nil, bytes.NewReader(dump("REDIS0011"))} {
		sc := rdbparse.NewScanner(bytes.NewReader(dump("REDIS0011", cat(0, "key", "value"))), rdbparse.Options{MaxValue: 1, Again: again})
		if _, _, ok := sc.Detach(16); ok {
			t.Error("detached before there was an entry")
		}
		sc.Next()
		if _, _, ok := sc.Detach(16); ok != (again != nil) {
			t.Errorf("detached %v, with %v to read again", ok, again)
		}
	}
}
