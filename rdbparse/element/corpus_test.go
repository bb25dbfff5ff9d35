package element_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// A sample is a value of the corpus.
type sample struct {
	file, key string
	db        uint32
	v         element.Value
}

// corpus returns every value of the dumps below the folder that RDBIMPORT_CORPUS
// names whose path holds part. Without the variable the test is skipped: the
// dumps are not part of the repository.
func corpus(t testing.TB, part string) []sample {
	t.Helper()
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of dumps")
	}
	var all []sample
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".rdb") && strings.Contains(path, part) {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(dir, path)
			all = append(all, samples(name, data)...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no values in %s/*%s*", dir, part)
	}
	return all
}

func samples(name string, data []byte) (all []sample) {
	sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true, SkipChecksum: true})
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			all = append(all, sample{name, string(e.Key), e.DB, element.Value{Type: e.Type, Raw: bytes.Clone(e.Value)}})
		}
	}
	return all
}

func (s sample) String() string { return fmt.Sprintf("%s: %.40q (%v)", s.file, s.key, s.v.Type.Type) }

// render writes out the elements of a value, one per line.
func render(r *element.Reader) (string, error) {
	var b strings.Builder
	for r.Next() {
		e := r.Element()
		if e.Long > 0 {
			if e = gather(r); e == nil {
				break
			}
		}
		switch e.Kind {
		case element.Text, element.ListItem:
			fmt.Fprintf(&b, "%q\n", e.Value)
		case element.Member:
			fmt.Fprintf(&b, "%q\n", e.Key)
		case element.Scored:
			fmt.Fprintf(&b, "%q %v\n", e.Key, e.Score)
		case element.Field:
			fmt.Fprintf(&b, "%q=%q @%d\n", e.Key, e.Value, e.ExpireAt)
		case element.Slot:
			fmt.Fprintf(&b, "[%d]=%q\n", e.Index, e.Value)
		case element.Entry:
			fmt.Fprintf(&b, "%v %q\n", e.ID, e.Pairs)
		case element.Stream:
			fmt.Fprintf(&b, "stream %+v\n", e.Info)
		case element.Group:
			fmt.Fprintf(&b, "group %q last %v read %d\n", e.Key, e.ID, int64(e.Read))
		case element.Pending:
			fmt.Fprintf(&b, "pending %v at %d, %d times\n", e.ID, e.Time, e.Count)
		case element.Consumer:
			fmt.Fprintf(&b, "consumer %q seen %d active %d\n", e.Key, e.Time, e.Active)
		case element.Owned:
			fmt.Fprintf(&b, "owned %v\n", e.ID)
		case element.Returned:
			fmt.Fprintf(&b, "returned %v\n", e.ID)
		case element.Idempotent, element.Idempotency:
			fmt.Fprintf(&b, "idempotence %d %d\n", e.Time, e.Count)
		case element.Producer:
			fmt.Fprintf(&b, "producer %q\n", e.Key)
		case element.Produced:
			fmt.Fprintf(&b, "produced %q %v\n", e.Key, e.ID)
		}
	}
	return b.String(), r.Err()
}

// gather returns the element, which has a long value, with that; nil if it cannot
// be read.
func gather(r *element.Reader) *element.Element {
	value := []byte{}
	if r.Parts(func(p []byte) error {
		value = append(value, p...)
		return nil
	}) != nil {
		return nil
	}
	e := *r.Element()
	if e.Value != nil || e.Long != int64(len(value)) {
		value = fmt.Appendf(nil, "%d of %d bytes, and %q", len(value), e.Long, e.Value)
	}
	e.Value = value
	return &e
}

func TestCorpus(t *testing.T) {
	opened := map[rdbparse.Type]int{}
	for _, s := range corpus(t, "") {
		if s.v.Type.Kind == rdbparse.KindModule {
			continue // nothing is known about what is inside
		}
		opened[s.v.Type.Type]++
		whole, err := render(element.Open(s.v))
		if err != nil || whole == "" {
			t.Errorf("%v: %v", s, err)
			continue
		}
		small := iotest.OneByteReader(bytes.NewReader(s.v.Raw))
		if got, err := render(element.NewReader(window.New(small, 16), s.v.Type)); err != nil || got != whole {
			t.Errorf("%v: read byte by byte: %v\n%s\nagainst\n%s", s, err, got, whole)
		}
		// The same bytes would be equal unopened.
		if diff, err := element.Diff(s.v, reencoded(s.v)); err != nil || !diff.Same() {
			t.Errorf("%v: not equal to itself: %v, %v", s, diff, err)
		}
	}
	for _, n := range []rdbparse.Type{0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, rdbparse.TypeHash2} {
		if opened[n] == 0 {
			t.Errorf("the corpus has no value of %v", n)
		}
	}
}

// reencoded returns a value of the same elements in other bytes where the type
// allows it: with its first length or count in the longest form.
func reencoded(v element.Value) element.Value {
	if len(v.Raw) == 0 || v.Type.Type == rdbparse.TypeHashMetadata || v.Type.Type == rdbparse.TypeHashListpackEx {
		return v
	}
	var n uint64
	rest := v.Raw
	switch c := rest[0]; {
	case c < 0x40:
		n, rest = uint64(c), rest[1:]
	case c < 0x80:
		n, rest = uint64(c&0x3f)<<8|uint64(rest[1]), rest[2:]
	case c == 0x80:
		n, rest = uint64(binary.BigEndian.Uint32(rest[1:])), rest[5:]
	default:
		return v
	}
	return element.Value{Type: v.Type, Raw: append(binary.BigEndian.AppendUint64([]byte{0x81}, n), rest...)}
}

// TestCorpusCut cuts every value short, and expects to be told so.
func TestCorpusCut(t *testing.T) {
	for _, s := range corpus(t, "") {
		if s.v.Type.Kind == rdbparse.KindModule {
			continue
		}
		for n := 0; n < len(s.v.Raw); n += 1 + len(s.v.Raw)/10 {
			cut := element.Value{Type: s.v.Type, Raw: s.v.Raw[:n]}
			if _, err := render(element.Open(cut)); err == nil {
				t.Fatalf("%v: cut to %d of %d bytes and still whole", s, n, len(s.v.Raw))
			}
		}
		long := element.Value{Type: s.v.Type, Raw: append(bytes.Clone(s.v.Raw), 0)}
		if _, err := render(element.Open(long)); err == nil {
			t.Fatalf("%v: a byte behind it goes unnoticed", s)
		}
	}
}
