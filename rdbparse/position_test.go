package rdbparse_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/corpus"
)

// TestResume goes on at every position of every dump of the corpus, and expects
// the records that a whole scan finds there, and the same checksum.
func TestResume(t *testing.T) {
	for _, f := range corpus.Files(t) {
		if len(f.Data) > 64<<10 {
			continue // the small ones hold every type
		}
		testResume(t, f.Name, f.Data)
	}
}

func TestResumeFrames(t *testing.T) {
	for _, f := range frames {
		testResume(t, f.typ.String(), dump(f.magic, head(f.typ), cat(int(f.typ.Byte()), "key", f.value, 252, zeros(8), 0, "next", "value")))
	}
}

func testResume(t *testing.T, name string, data []byte) {
	t.Helper()
	whole, want := records(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
	sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
	for n := 1; sc.Next(); n++ {
		p, ok := sc.Position()
		if !ok {
			continue
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back rdbparse.Position
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		rest, err := rdbparse.ResumeScanner(bytes.NewReader(data[back.Offset:]), back, rdbparse.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := scanRecords(rest)
		if strings.Join(got, "\n") != strings.Join(whole[n:], "\n") {
			t.Fatalf("%s: behind record %d:\n%s\nexpected\n%s", name, n, strings.Join(got, "\n"), strings.Join(whole[n:], "\n"))
		}
		if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() {
			t.Fatalf("%s: behind record %d: %v, expected %v", name, n, err, want)
		}
	}
}
