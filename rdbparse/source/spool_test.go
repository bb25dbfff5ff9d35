package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func noWarning(t *testing.T) func(string) {
	return func(text string) { t.Errorf("warning: %s", text) }
}

func newSpool(t *testing.T, r io.Reader, warn func(string)) *Spool {
	t.Helper()
	dir := t.TempDir()
	s, err := NewSpool(t.Context(), r, dir, warn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return s
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// TestSpoolGivesTheStream: what comes out is what went in, and the error behind it.
func TestSpoolGivesTheStream(t *testing.T) {
	data := randomBytes(3*spoolPiece + 123)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		r   io.Reader
		err error
	}{
		"plain":     {bytes.NewReader(data), nil},
		"halves":    {iotest.HalfReader(bytes.NewReader(data)), nil},
		"late end":  {iotest.DataErrReader(bytes.NewReader(data)), nil},
		"with fail": {io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), broken},
	} {
		s := newSpool(t, c.r, noWarning(t))
		got, err := io.ReadAll(iotest.HalfReader(s))
		if !bytes.Equal(got, data) || !errors.Is(err, c.err) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(data), err)
		}
		if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: read on behind the end: %d, %v", name, n, err)
		}
	}
}

// TestSpoolLetsTheWriterFinish: the writer of a pipe is through before anybody reads.
func TestSpoolLetsTheWriterFinish(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := newSpool(t, r, noWarning(t))
	data := randomBytes(2 << 20)
	if _, err := w.Write(data); err != nil { // would wait for ever: a pipe holds 64 KiB
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
	if s.Waiting() != 0 {
		t.Errorf("%d bytes waiting", s.Waiting())
	}
}

// TestSpoolBeginsTheFileAnew: the file does not grow for ever where the reader keeps up.
func TestSpoolBeginsTheFileAnew(t *testing.T) {
	r, w := io.Pipe()
	s := newSpool(t, r, noWarning(t))
	piece := randomBytes(spoolPiece)
	got := make([]byte, len(piece))
	for i := range spoolReset/spoolPiece + 10 {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, piece) {
			t.Fatalf("piece %d: %v", i, err)
		}
	}
	_ = w.Close()
	if _, err := io.ReadAll(s); err != nil {
		t.Fatal(err)
	}
	if s.written >= spoolReset {
		t.Errorf("the file holds %d bytes", s.written)
	}
}

// TestSpoolOnAFullDisk: what cannot be written comes straight from the stream.
func TestSpoolOnAFullDisk(t *testing.T) {
	data := randomBytes(4 << 20)
	for name, r := range map[string]io.Reader{
		"long": io.MultiReader(bytes.NewReader(data[:100]), bytes.NewReader(data[100:])), "ended": iotest.DataErrReader(bytes.NewReader(data[:100])),
	} {
		want := data
		if name == "ended" {
			want = data[:100]
		}
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Skip("this system has no /dev/full")
		}
		var warnings atomic.Int64
		gate := make(chan struct{})
		s := newSpool(t, io.MultiReader(gated{gate}, r), func(string) { warnings.Add(1) })
		_ = s.file.Close()
		s.file = full // before the first byte is copied
		close(gate)
		got, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
		if warnings.Load() != 1 {
			t.Errorf("%s: %d warnings", name, warnings.Load())
		}
	}
}

// gated ends when its channel is closed.
type gated struct{ gate chan struct{} }

func (g gated) Read([]byte) (int, error) {
	<-g.gate
	return 0, io.EOF
}

// TestSpoolIsInterrupted while it waits for the stream: by the source, by the context, and by Close.
func TestSpoolIsInterrupted(t *testing.T) {
	for _, how := range []string{"source", "context", "close"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s, err := NewSpool(ctx, r, t.TempDir(), noWarning(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(testDump("some")[:12]); err != nil {
			t.Fatal(err)
		}
		src, err := New(t.Context(), s, "stream")
		if err != nil {
			t.Fatal(err)
		}
		switch how {
		case "source":
			time.AfterFunc(10*time.Millisecond, src.Interrupt)
		case "context":
			time.AfterFunc(10*time.Millisecond, cancel)
		case "close":
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := io.ReadAll(src); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: %v", how, err)
		}
		cancel()
		if err := errors.Join(src.Close(), s.Close(), r.Close(), w.Close()); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// TestSpoolNeedsAFolder: one that is not there is an error at the start.
func TestSpoolNeedsAFolder(t *testing.T) {
	if _, err := NewSpool(t.Context(), bytes.NewReader(nil), "/nonexistent", noWarning(t)); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}
