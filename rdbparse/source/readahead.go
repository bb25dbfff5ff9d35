package source

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// ReadAhead reads in a goroutine of its own, so that decompressing and waiting for the input overlap with the work on
// what was read. It holds at most depth chunks. One goroutine reads from it.
type ReadAhead struct {
	ctx    context.Context
	cancel context.CancelFunc
	filled chan chunk  // closed behind the last chunk
	free   chan []byte // a nil slice is a chunk not allocated yet
	cur    chunk
	left   []byte // of cur
	err    error  // sticky, behind the last byte
	done   sync.WaitGroup
	ended  atomic.Bool // nothing more is read of r
	end    func()      // interrupts r and joins
}

type chunk struct {
	buf []byte // whole
	n   int
	err error
}

// NewReadAhead starts reading r into up to depth (at least 2) chunks of size bytes, allocated as they are needed. A
// short read is passed on at once, unless r has a method Waits that says that more is there, as Source does for
// regular files. Close must be called; r belongs to the ReadAhead until then. When ctx ends, reading
// stops; if r has a method Interrupt, as Source does, also where it waits for input.
func NewReadAhead(ctx context.Context, r io.Reader, size, depth int) *ReadAhead {
	depth = max(depth, 2)
	a := &ReadAhead{filled: make(chan chunk, depth), free: make(chan []byte, depth)}
	for range depth {
		a.free <- nil
	}
	interrupt := func() {}
	if i, ok := r.(interface{ Interrupt() }); ok {
		interrupt = i.Interrupt
	}
	stop := context.AfterFunc(ctx, interrupt)
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.done.Go(func() { a.fill(r, max(size, 1)) })
	a.end = sync.OnceFunc(func() {
		stop()
		a.cancel()
		if !a.ended.Load() { // else the source stays usable
			interrupt()
		}
		a.done.Wait()
	})
	return a
}

func (a *ReadAhead) fill(r io.Reader, size int) {
	defer close(a.filled)
	read := readSome
	if w, ok := r.(interface{ Waits() bool }); ok && !w.Waits() {
		read = readMost
	}
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.ctx.Done():
			return
		}
		if buf == nil {
			buf = make([]byte, size)
		}
		n, err := read(r, buf)
		a.ended.Store(err != nil)
		a.filled <- chunk{buf: buf, n: n, err: err} // has room for every chunk
		if err != nil {
			return
		}
	}
}

// readSome reads at least one byte, unless r fails or never gives any.
func readSome(r io.Reader, buf []byte) (int, error) {
	for range maxEmptyReads {
		if n, err := r.Read(buf); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// readMost fills buf, since decompressors give small pieces and each hand-over costs.
func readMost(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = readSome(r, buf[n:])
		n += more
	}
	return n, err
}

// Read gives what r gave. After the end of the context it is that context's error, at once.
func (a *ReadAhead) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(a.left) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.next()
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
	return n, nil
}

// next waits for a chunk and gives the last one back.
func (a *ReadAhead) next() {
	if a.cur.buf != nil {
		a.free <- a.cur.buf // has room for every chunk
		a.cur = chunk{}
	}
	if a.err = context.Cause(a.ctx); a.err != nil {
		return
	}
	select {
	case c, ok := <-a.filled:
		if !ok { // the goroutine saw the end of the context first
			a.err = context.Cause(a.ctx)
			return
		}
		a.cur, a.left, a.err = c, c.buf[:c.n], c.err
	case <-a.ctx.Done():
		a.err = context.Cause(a.ctx)
	}
}

// Ready reports whether Read will return at once: with bytes, or with the end. It is called where Read is.
func (a *ReadAhead) Ready() bool {
	return len(a.left) > 0 || a.err != nil || len(a.filled) > 0 || a.ctx.Err() != nil
}

// Close stops the reading and waits for the goroutine; r is not closed. If r waits for input and cannot be interrupted,
// so does Close. A Source that was stopped before its end cannot be read afterwards. Close may be called again.
func (a *ReadAhead) Close() error {
	a.end()
	return nil
}
