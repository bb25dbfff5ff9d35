package source_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse/source"
)

// TestAgain reads a file in the middle while it is read from its start.
func TestAgain(t *testing.T) {
	dump := []byte("REDIS0011\xff\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, before := range []string{"", "$18\r\n"} { // a dump alone, and behind the head of a reply
		name := filepath.Join(t.TempDir(), "dump.rdb")
		if err := os.WriteFile(name, append([]byte(before), dump...), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := source.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 4)
		if _, err := io.ReadFull(s, first); err != nil {
			t.Fatal(err)
		}
		again := make([]byte, 5)
		if _, err := s.Again().ReadAt(again, 4); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(s)
		if err != nil || string(again) != "S0011" || !bytes.HasPrefix(append(first, rest...), dump) {
			t.Errorf("behind %q: again %q, first %q, rest %q, %v", before, again, first, rest, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAgainNot(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("REDIS0011\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
		_ = w.Close()
	}()
	s, err := source.New(t.Context(), r, "pipe")
	if err != nil {
		t.Fatal(err)
	}
	if s.Again() != nil {
		t.Error("a pipe can be read again")
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		t.Error(err)
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	k, err := source.NewKeep(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"abc", "defg"} {
		if _, err := k.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 4)
	if _, err := k.ReadAt(p, 2); err != nil || string(p) != "cdef" {
		t.Errorf("%q, %v", p, err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if _, err := source.NewKeep(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there")
	}
}
