package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestShareOfSeveralSources: what readers at the same time have waited is no more
// than the time that went by.
func TestShareOfSeveralSources(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	s := &summary{Result: pipeline.Result{Waited: 8 * time.Second}}
	s.addSources([]*sourceRun{
		{name: "a", began: at(0), ended: at(10), waited: 2 * time.Second, keys: 5, behind: 1},
		{name: "b", began: at(1), ended: at(11), waited: 2 * time.Second, keys: 7, behind: 2},
		{name: "c"}, // never begun
	}, time.Second)
	if want := 12 * time.Second; s.duration != want { // 11 to read, 1 to drain
		t.Errorf("duration %v, want %v", s.duration, want)
	}
	if want := 2200 * time.Millisecond; s.source.Round(time.Millisecond) != want { // a fifth of 11
		t.Errorf("source %v, want %v", s.source, want)
	}
	if want := 5400 * time.Millisecond; s.masters.Round(time.Millisecond) != want { // two fifths of 11, and 1
		t.Errorf("masters %v, want %v", s.masters, want)
	}
	if s.behind != 3 || len(s.sources) != 3 || s.sources[1].duration != 10*time.Second || s.sources[2].duration != 0 {
		t.Errorf("%+v", s)
	}
	if s.checksum != rdbparse.ChecksumPending {
		t.Errorf("checksum %v, but one source was not read", s.checksum)
	}
}

// TestProgressOfSeveralSources: it shows the sum of what was read of all of them.
func TestProgressOfSeveralSources(t *testing.T) {
	dir := t.TempDir()
	r := newImport(&streams{}, &settings{sources: []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}})
	var sizes [2]int64
	for i, s := range r.inputs {
		f, err := os.Create(s.name)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := dataset.Mixed(f, 2000*(i+1), 1)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		sizes[i] = stats.Bytes
		if s.in, err = openInput(t.Context(), s.name, nil); err != nil {
			t.Fatal(err)
		}
	}
	defer r.closeInputs()
	if got := r.totalBytes(); got != sizes[0]+sizes[1] {
		t.Errorf("total %d, want %d + %d", got, sizes[0], sizes[1])
	}
	if got := r.bytesRead(); got != 0 {
		t.Errorf("%d bytes read before the start", got)
	}
	want := int64(0)
	for i, s := range r.inputs {
		s.start(t.Context(), nil)
		sc := rdbparse.NewScanner(s.in.reader, rdbparse.Options{})
		for sc.Next() {
		}
		want += sizes[i]
		if got := r.bytesRead(); sc.Err() != nil || got != want {
			t.Errorf("after source %d: %d bytes, want %d (%v)", i, got, want, sc.Err())
		}
	}
}

// TestProgressOfResumed: neither the speed nor the time left counts what an earlier run has
// settled, whether it is passed over, read up to, or a source before.
func TestProgressOfResumed(t *testing.T) {
	const size, settled = 300_000, 200_000      // unpacked
	name := filepath.Join(t.TempDir(), "plain") // a file, which nothing reads ahead of this test
	if err := os.WriteFile(name, bytes.Repeat([]byte("REDIS0009 "), size/10), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newImport(&streams{}, &settings{sources: []string{name, name}})
	for _, s := range r.inputs {
		var err error
		if s.in, err = openInput(t.Context(), s.name, nil); err != nil {
			t.Fatal(err)
		}
	}
	defer r.closeInputs()
	start := time.Unix(1000, 0)
	m := newMeter(speedWindow, start)
	look := func(seconds int) sample {
		s := r.sample(0)
		s.at = start.Add(time.Duration(seconds) * time.Second)
		m.add(s)
		return s
	}
	if s := look(0); s.bytes != 0 || s.skipping {
		t.Errorf("before the start: %+v", s)
	}
	s := r.inputs[0]
	s.startAfter(t.Context(), settled, nil)
	if s := look(1); !s.skipping {
		t.Errorf("at the start: %+v", s)
	}
	if _, ok := m.left(2 * size); ok {
		t.Error("the time left is known from what is skipped")
	}
	buf := make([]byte, settled)
	if _, err := io.ReadFull(s.in.reader, buf); err != nil {
		t.Fatal(err)
	}
	if s := look(2); s.skipping || s.bytes < settled || s.bytes != s.settled {
		t.Errorf("at the mark: %+v", s)
	}
	if b, _ := m.speed(); b != 0 {
		t.Errorf("%v bytes/s are imported at the mark", b)
	}
	if _, err := io.Copy(io.Discard, s.in.reader); err != nil {
		t.Fatal(err)
	}
	before := look(4)
	if before.bytes != size || before.bytes-before.settled != size-settled {
		t.Errorf("at the end: %+v", before)
	}
	if b, _ := m.speed(); b != (size-settled)/4 {
		t.Errorf("%v bytes/s at the end", b)
	}
	// The second one is entered at a place.
	next := r.inputs[1]
	if _, err := io.ReadFull(next.in.Source, buf); err != nil {
		t.Fatal(err)
	}
	next.passed.Store(next.in.RawRead())
	next.start(t.Context(), nil)
	if n := before.span(look(4)); n != 0 {
		t.Errorf("%d bytes imported behind what was passed over", n)
	}
}
