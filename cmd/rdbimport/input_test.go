package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStandardInputIsFolder: that is a mistake in the command line, and no input that was
// lost meanwhile.
func TestStandardInputIsFolder(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close() //nolint:errcheck // it was only opened
	for _, args := range [][]string{{"-", "127.0.0.1:1"}, {"inspect", "-"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, dir, &stdout, &stderr); code != exitStart || !strings.Contains(stderr.String(), "standard input is a directory\nhint: ") {
			t.Errorf("%v: exit code %d, %s", args, code, &stderr)
		}
	}
}

// TestSlowSourceFlushes: when no bytes come for a while, what was read before is
// sent; and never while the reader's goroutine is at work.
func TestSlowSourceFlushes(t *testing.T) {
	r, w := io.Pipe()
	flushed := make(chan struct{}, 1)
	f := &feedReader{r: r, ready: func() bool { return false }}
	f.flushAfter(func() {
		select {
		case flushed <- struct{}{}:
		default:
		}
	})
	var reader sync.WaitGroup
	var n int
	var err error
	reader.Go(func() { n, err = f.Read(make([]byte, 10)) })
	select {
	case <-flushed:
	case <-time.After(10 * time.Second):
		t.Fatal("a reader that waits has nothing flushed")
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	reader.Wait()
	if n != 3 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if f.waited.Load() < int64(lingerTime) {
		t.Errorf("waited %v, want %v at least", time.Duration(f.waited.Load()), lingerTime)
	}
	f.stop()
	f.linger() // a timer that fires late
	select {
	case <-flushed:
		t.Error("flushed when the reader does not wait")
	default:
	}
}

// TestReadyIsNotWaiting: bytes that are there cost no time.
func TestReadyIsNotWaiting(t *testing.T) {
	want := errors.New("x")
	f := &feedReader{r: readerFunc(func([]byte) (int, error) { return 2, want }), ready: func() bool { return true }}
	f.flushAfter(func() { t.Error("flushed") })
	if n, err := f.Read(make([]byte, 4)); n != 2 || err != want {
		t.Errorf("read %d, %v", n, err)
	}
	if f.waited.Load() != 0 {
		t.Error("waited")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestOpenAgain: a file is read again while it stands under its name, and not another one
// that has been put in its place.
func TestOpenAgain(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "dump.rdb")
	write := func(name string) {
		if err := os.WriteFile(name, []byte("REDIS0009\xff\x00\x00\x00\x00\x00\x00\x00\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(name)
	in, err := openInput(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := in.openAgain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again.close()
	write(name + ".saved")
	if err := os.Rename(name+".saved", name); err != nil {
		t.Fatal(err)
	}
	if _, err := in.openAgain(t.Context()); !errors.Is(err, errReplaced) || !strings.Contains(err.Error(), name) {
		t.Errorf("error %v, want %v", err, errReplaced)
	}
	in.close()
}
