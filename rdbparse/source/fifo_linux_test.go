package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFIFO: the source is opened before the writer comes, and ends when it goes.
func TestFIFO(t *testing.T) {
	path, dump := fifo(t), testDump(filler(300_000))
	type result struct {
		got []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		s, err := Open(context.Background(), path)
		if err != nil {
			done <- result{nil, err}
			return
		}
		got, err := io.ReadAll(s)
		done <- result{got, errors.Join(err, s.Close())}
	}()
	// The write end opens only once the read end is open, so nothing is waited for by time.
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(dump); err != nil {
		t.Fatal(err)
	}
	closeOK(t, w)
	if res := <-done; res.err != nil || !bytes.Equal(res.got, dump) {
		t.Errorf("read %d bytes, %v", len(res.got), res.err)
	}
}

// TestFIFOWithoutWriter: waiting for one ends with the context.
func TestFIFOWithoutWriter(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	path, done := fifo(t), make(chan error, 1)
	go func() {
		_, err := Open(ctx, path)
		done <- err
	}()
	eventually(t, func() bool { // a writer gets in once the reader is there
		w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			defer cancel()
			defer closeOK(t, w)
			_, err = w.Write([]byte("R")) // held open until the context has ended
			if err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-done; !errors.Is(err, ErrInterrupted) {
				t.Errorf("error %v", err)
			}
		}
		return err == nil
	})
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, fifo(t)); !errors.Is(err, ErrInterrupted) {
		t.Errorf("no writer ever: %v", err)
	}
}

// TestBlockingStandardInput: a pipe in blocking mode, as standard input is, is interrupted as well.
func TestBlockingStandardInput(t *testing.T) {
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	defer closeOK(t, r)
	defer closeOK(t, w)
	dump := testDump("x")
	if _, err := w.Write(dump); err != nil {
		t.Fatal(err)
	}
	s := streamed(t, r)
	a := NewReadAhead(context.Background(), s, 100, 2)
	if _, err := io.ReadFull(a, make([]byte, len(dump))); err != nil {
		t.Fatal(err)
	}
	closeOK(t, a)
}
