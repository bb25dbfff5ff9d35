package source

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
)

// pipes gives both ends of what an input can be that blocks.
func pipes(t *testing.T) map[string][2]io.ReadWriteCloser {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	return map[string][2]io.ReadWriteCloser{"pipe": {r, w}, "connection": {a, b}}
}

// TestInterrupt: a writer that holds its end open can hold nobody up.
func TestInterrupt(t *testing.T) {
	dump := testDump("x")
	for name, ends := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			defer closeOK(t, ends[0])
			defer closeOK(t, ends[1])
			wrote := make(chan error, 1)
			go func() { _, err := ends[1].Write(dump); wrote <- err }()
			s := streamed(t, ends[0])
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
			a := NewReadAhead(context.Background(), s, 100, 2)
			if _, err := io.ReadFull(a, make([]byte, len(dump))); err != nil {
				t.Fatal(err)
			}
			closeOK(t, a) // joins a goroutine that waits in Read
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrInterrupted) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestInterruptDetection(t *testing.T) {
	for name, ends := range pipes(t) {
		t.Run(name, func(t *testing.T) {
			defer closeOK(t, ends[0])
			defer closeOK(t, ends[1])
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				_, _ = ends[1].Write([]byte("RED"))
				cancel()
			}()
			if _, err := New(ctx, ends[0], "standard input"); !errors.Is(err, ErrInterrupted) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestInterruptSkip(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, r)
	defer closeOK(t, w)
	if _, err := w.Write(testDump("x")); err != nil {
		t.Fatal(err)
	}
	s := streamed(t, r)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.SkipTo(ctx, 1000) }()
	eventually(t, func() bool { return s.Offset() > 0 })
	cancel()
	if err := <-done; !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
