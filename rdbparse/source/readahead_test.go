package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadAhead(t *testing.T) {
	want := testDump(filler(100_000))
	broken := errors.New("broken")
	for name, r := range map[string]func() io.Reader{
		"whole":      func() io.Reader { return bytes.NewReader(want) },
		"one byte":   func() io.Reader { return iotest.OneByteReader(bytes.NewReader(want)) },
		"with error": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(want)) },
	} {
		for _, size := range []int{1, 999, 64 << 10, 1 << 20} {
			a := NewReadAhead(context.Background(), r(), size, 3)
			if got, err := io.ReadAll(a); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, chunks of %d: %d bytes, %v", name, size, len(got), err)
			}
			if !a.Ready() {
				t.Errorf("%s: the end is not ready", name)
			}
			closeOK(t, a)
			closeOK(t, a)
		}
	}
	a := NewReadAhead(context.Background(), io.MultiReader(bytes.NewReader(want), iotest.ErrReader(broken)), 1000, 2)
	defer closeOK(t, a)
	if got, err := io.ReadAll(a); !errors.Is(err, broken) || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, broken) {
		t.Errorf("again: %v", err)
	}
}

// TestReadAheadReady: what was written is passed on at once, and Ready tells of it.
func TestReadAheadReady(t *testing.T) {
	r, w := io.Pipe()
	a := NewReadAhead(context.Background(), r, 1000, 2)
	defer closeOK(t, a)
	defer closeOK(t, w)
	buf := make([]byte, 10)
	for range 5 {
		if a.Ready() {
			t.Fatal("ready without a byte")
		}
		if _, err := w.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		eventually(t, a.Ready)
		if n, err := a.Read(buf); n != 3 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Read(buf[:2]); n != 2 || err != nil || !a.Ready() {
		t.Fatalf("read %d, %v, ready %v", n, err, a.Ready())
	}
}

// eventually polls for a state.
func eventually(t *testing.T, state func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !state() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never came to that state")
		}
	}
}

// TestReadAheadBounded: no more than depth chunks are read before somebody takes them.
func TestReadAheadBounded(t *testing.T) {
	src := &endless{}
	a := NewReadAhead(context.Background(), src, 100, 3)
	eventually(t, func() bool { return len(a.filled) == 3 })
	closeOK(t, a)
	if src.n != 300 {
		t.Errorf("%d bytes read ahead", src.n)
	}
}

type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) { e.n += len(p); return len(p), nil }

func TestReadAheadContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	a := NewReadAhead(ctx, &endless{}, 100, 3)
	defer closeOK(t, a)
	if _, err := a.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel(cause)
	eventually(t, func() bool { _, err := a.Read(make([]byte, 1000)); return errors.Is(err, cause) })
}

// TestReadAheadGivesNothing: a reader that never gives anything is no endless loop.
func TestReadAheadGivesNothing(t *testing.T) {
	a := NewReadAhead(context.Background(), emptyReader{}, 100, 3)
	defer closeOK(t, a)
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
	if _, err := New(context.Background(), emptyReader{}, "in"); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }
