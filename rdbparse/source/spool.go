package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	// spoolPiece is in which pieces a Spool copies.
	spoolPiece = 256 << 10
	// spoolReset is how long the file must have grown to be begun anew when all of it has been read.
	spoolReset = 64 << 20
)

// Spool reads a stream as fast as that comes, into a temporary file, and gives what it has read from there; so who writes
// the stream is not held up by a slow reader. One goroutine reads from it. When the file cannot be written any more, e.g.
// since the disk is full, the reader gets the rest from the stream itself, and nothing is lost.
type Spool struct {
	in        io.Reader
	interrupt interrupter // nil if reads of in cannot be interrupted
	file      *os.File
	unlinked  bool
	warn      func(string)

	mu       sync.Mutex
	changed  sync.Cond
	written  int64  // how much the file holds
	read     int64  // how much of it has been delivered
	rest     []byte // read of in, and not in the file; behind it
	direct   bool   // behind rest in itself is read, by Read
	err      error  // of in, behind everything
	stopped  bool
	finished sync.WaitGroup
	end      func() error
}

// NewSpool starts to copy r into a new file in dir, which is removed at the end (on Linux it has no name from the
// start). warn is told, once at the most and from another goroutine, when the file cannot be written any more. When ctx ends
// reading fails with ErrInterrupted. Close must be called; r belongs to the Spool until then.
func NewSpool(ctx context.Context, r io.Reader, dir string, warn func(string)) (*Spool, error) {
	f, err := os.CreateTemp(dir, "rdbimport-spool-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{in: r, file: f, warn: warn}
	s.unlinked = runtime.GOOS == "linux" && os.Remove(f.Name()) == nil
	s.changed.L = &s.mu
	if s.interrupt = newInterrupter(r); s.interrupt != nil {
		s.in = s.interrupt
	}
	stop := context.AfterFunc(ctx, s.stop)
	s.finished.Go(s.copy)
	s.end = sync.OnceValue(func() error {
		stop()
		s.stop()
		s.finished.Wait()
		return s.remove()
	})
	return s, nil
}

// copy runs until the stream ends or the file cannot be written.
func (s *Spool) copy() {
	buf := make([]byte, spoolPiece)
	for {
		n, err := readSome(s.in, buf)
		if !s.keep(buf[:n], err) {
			return
		}
	}
}

// keep writes b behind what is in the file, and notes err, which came behind it. It reports whether to go on.
func (s *Spool) keep(b []byte, err error) bool {
	at := s.place()
	n, werr := s.file.WriteAt(b, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.changed.Broadcast()
	s.written = at + int64(n)
	s.err = err
	if werr != nil {
		s.rest, s.direct = b[n:], err == nil
		if !s.stopped {
			s.warn(fmt.Sprintf("the spool cannot be written, its writer may have to wait from here on: %v", bare(werr)))
		}
		return false
	}
	return err == nil && !s.stopped
}

// place returns where in the file to go on writing: at its start if all of it has been read and it is large.
func (s *Spool) place() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == s.written && s.written >= spoolReset && s.file.Truncate(0) == nil {
		s.read, s.written = 0, 0
	}
	return s.written
}

// Read gives what the stream gave. Where nothing has come yet it waits.
func (s *Spool) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	for s.read == s.written && len(s.rest) == 0 && !s.direct && s.err == nil && !s.stopped {
		s.changed.Wait()
	}
	left := s.written - s.read
	switch {
	case s.stopped:
		s.mu.Unlock()
		return 0, ErrInterrupted
	case left > 0:
		at := s.read
		s.mu.Unlock()
		return s.fromFile(p[:min(int64(len(p)), left)], at)
	case len(s.rest) > 0:
		n := copy(p, s.rest)
		s.rest = s.rest[n:]
		s.mu.Unlock()
		return n, nil
	case s.err != nil:
		defer s.mu.Unlock()
		return 0, s.err
	}
	s.mu.Unlock()
	return s.in.Read(p)
}

// fromFile reads what has been written; the file is not begun anew meanwhile, since this is not counted as read yet.
func (s *Spool) fromFile(p []byte, at int64) (int, error) {
	n, err := s.file.ReadAt(p, at)
	s.mu.Lock()
	s.read += int64(n)
	s.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("the spool cannot be read: %w", bare(err))
}

// Waiting is how many bytes have been read ahead and not been delivered.
func (s *Spool) Waiting() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written - s.read + int64(len(s.rest))
}

// SetReadDeadline makes a Read that waits, and every later one, return ErrInterrupted if t has passed; a zero t is
// accepted and changes nothing. By this a Source made of a Spool can be interrupted.
func (s *Spool) SetReadDeadline(t time.Time) error {
	switch {
	case t.IsZero():
		return nil
	case time.Until(t) > 0:
		return os.ErrNoDeadline
	}
	s.stop()
	return nil
}

// stop ends the copying and the reading.
func (s *Spool) stop() {
	s.mu.Lock()
	s.stopped = true
	s.changed.Broadcast()
	s.mu.Unlock()
	if s.interrupt != nil {
		s.interrupt.interrupt()
	}
}

// Close ends the copying and waits for it, and removes the file. The stream is not closed. If it waits for input and cannot
// be interrupted, so does Close. It must not run together with Read, and may be called again.
func (s *Spool) Close() error { return s.end() }

func (s *Spool) remove() error {
	if s.interrupt != nil {
		s.interrupt.close()
	}
	err := s.file.Close()
	if !s.unlinked {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}
