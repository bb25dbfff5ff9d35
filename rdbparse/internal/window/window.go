// Package window reads a dump through one contiguous, movable view of its
// bytes, so that the same parser works on a stream and on a value in memory and
// can hand out slices of the view in place of copies.
package window

import (
	"errors"
	"io"

	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

// DefaultSize is the size in bytes of the buffer of a Window over a stream.
const DefaultSize = 256 << 10

// maxHome is the size in bytes up to which a buffer that had to grow is kept. A
// larger one is given up as soon as what is in it fits into a smaller one.
const maxHome = 4 << 20

// ErrTooLong is the error of a Window that would have to keep more than its
// limit of contiguous bytes, or to go beyond where it is to stop.
var ErrTooLong = errors.New("value is longer than it may be")

// A Window is a cursor over a stream of bytes (New) or over bytes in memory
// (Of). Its methods are sticky: after the first failure they do nothing and
// return zero values, and Err tells what happened.
//
// The bytes from the mark on, or from the cursor on where no mark is set, stay
// contiguous; everything before may be dropped by any call that reads. A slice
// returned by a method is borrowed: it is valid until the next call that reads,
// unless it lies behind the mark, and then until the mark is moved, though the
// buffer may have moved meanwhile: keep such bytes as distances from the mark
// and take them with Since.
type Window struct {
	b    []byte // the bytes at hand
	i    int    // cursor into b
	mark int    // first byte that must be kept, -1 if none
	err  error

	src    io.Reader
	home   []byte // the buffer to go back to after a larger one
	base   int64  // offset in the stream of b[0]
	limit  int    // most bytes to keep contiguous, 0 for no limit
	stop   int64  // offset at which to stop, 0 for none
	broken bool   // err is the source's
	again  *again // nil unless bytes are kept or read again

	unpacked uint64 // the most bytes that a compressed string met has without compression

	sum     uint64 // CRC64 of the stream before summed
	summed  int64  // offset in the stream
	summing bool
}

// New returns a Window over src, with a buffer of size bytes (DefaultSize if
// size is 0).
func New(src io.Reader, size int) *Window {
	if size <= 0 {
		size = DefaultSize
	}
	w := &Window{}
	w.home = make([]byte, size)
	w.b = w.home[:0]
	w.src = src
	w.mark = -1
	return w
}

// Of returns a Window over the bytes of p, which it does not change.
func Of(p []byte) *Window {
	w := &Window{}
	w.Reset(p)
	return w
}

// Reset makes w a Window over the bytes of p, as Of does, without allocating.
func (w *Window) Reset(p []byte) {
	*w = Window{b: p, mark: -1}
}

// Restart makes w, a Window over a stream, one that reads src from its start. It
// keeps its buffer.
func (w *Window) Restart(src io.Reader) {
	*w = Window{b: w.home[:0], home: w.home, src: src, mark: -1}
}

// Err returns the first error met: io.ErrUnexpectedEOF when the bytes ended
// early, ErrTooLong, an error of the source, or one set with Fail.
func (w *Window) Err() error { return w.err }

// Fail sets the error of w, unless it has one already.
func (w *Window) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Offset returns the position of the cursor in the stream, in bytes.
func (w *Window) Offset() int64 { return w.base + int64(w.i) }

// StartAt tells an unread Window over a stream that the next byte of its source
// is at offset off, and that sum is the CRC64 of the bytes before.
func (w *Window) StartAt(off int64, sum uint64) {
	w.base = off - int64(w.i)
	w.sum, w.summed = sum, off
}

// SetLimit bounds the bytes that w keeps contiguous; 0 is no bound.
func (w *Window) SetLimit(n int) { w.limit = n }

// Buffered returns the bytes at hand behind the cursor.
func (w *Window) Buffered() []byte { return w.b[w.i:] }

// Size returns how many bytes the buffers of w take.
func (w *Window) Size() int {
	if cap(w.b) == cap(w.home) {
		return cap(w.b)
	}
	return cap(w.b) + cap(w.home)
}

// Unpacked returns how many bytes the longest of the compressed strings that the cursor
// has come to claims to have without compression, 0 if there was none.
func (w *Window) Unpacked() uint64 { return w.unpacked }

// Advance moves the cursor over n bytes, which must be at hand.
func (w *Window) Advance(n int) { w.i += n }

// Mark sets the mark at the cursor.
func (w *Window) Mark() { w.mark = w.i }

// Unmark removes the mark.
func (w *Window) Unmark() { w.mark = -1 }

// Rewind puts the cursor back to the mark and clears an error of kind
// ErrTooLong.
func (w *Window) Rewind() {
	w.i = w.mark
	if w.err == ErrTooLong {
		w.err = nil
	}
}

// StopAt makes w fail with ErrTooLong instead of reading the source or passing
// over bytes beyond the offset off; what is at hand is not looked at. 0 is no
// bound.
func (w *Window) StopAt(off int64) { w.stop = off }

// Broken reports whether the error is one of the source: what follows the cursor
// cannot be had at all.
func (w *Window) Broken() bool { return w.broken }

// Recover clears the mark and an error that is not the source's: what was read was
// not as expected, but the bytes behind the cursor still are what they are.
func (w *Window) Recover() {
	w.mark = -1
	if !w.broken {
		w.err = nil
	}
}

// Pos returns the distance in bytes from the mark to the cursor.
func (w *Window) Pos() int { return w.i - w.mark }

// Since returns the bytes from from to to, both distances from the mark, with
// their capacity cut so that an append cannot touch what follows.
func (w *Window) Since(from, to int) []byte {
	return w.b[w.mark+from : w.mark+to : w.mark+to]
}

// StartSum makes w keep the CRC64 of the stream from the cursor on.
func (w *Window) StartSum() {
	w.summing, w.summed = true, w.Offset()
}

// Sum returns the CRC64 of the stream up to the cursor, or, where the cursor has
// been put back, up to the farthest place at which it may have been.
func (w *Window) Sum() uint64 {
	w.addSum()
	return w.sum
}

// Summed reports whether Sum is that of the bytes up to the cursor.
func (w *Window) Summed() bool { return !w.summing || w.summed <= w.Offset() }

// addSum adds the bytes before the cursor. It goes by offsets in the stream, so
// bytes that are read again do not count twice.
func (w *Window) addSum() {
	from := int(w.summed - w.base)
	if w.summing && from < w.i {
		w.sum = crc64.Update(w.sum, w.b[from:w.i])
		w.summed = w.base + int64(w.i)
	}
}

// Need makes n bytes available behind the cursor and reports whether it could.
func (w *Window) Need(n int) bool {
	if len(w.b)-w.i >= n {
		return w.err == nil
	}
	return w.fill(n)
}

// fill reads until n bytes are there behind the cursor. It is the cold path of
// every method: it alone moves bytes, grows the buffer and reads the source.
func (w *Window) fill(n int) bool {
	if w.err != nil {
		return false
	}
	if w.src == nil {
		w.err = io.ErrUnexpectedEOF
		return false
	}
	w.addSum()
	keep := w.i
	if w.mark >= 0 {
		keep = w.mark
	}
	if w.limit > 0 && w.i-keep+n > w.limit || w.stop > 0 && int64(n) > w.stop-w.Offset() {
		w.err = ErrTooLong
		return false
	}
	w.settle(keep)
	for len(w.b)-w.i < n {
		if len(w.b) == cap(w.b) {
			w.grow()
		}
		m, err := w.read(w.b[len(w.b):cap(w.b)])
		w.b = w.b[:len(w.b)+m]
		if err != nil {
			return w.ended(err, n)
		}
	}
	return true
}

// grow makes room in a full buffer: by what has arrived, never by what a length
// claims, and not beyond the limit, which whoever waits for bytes has kept to.
func (w *Window) grow() {
	size := 2 * cap(w.b)
	if w.limit > cap(w.b) {
		size = min(size, w.limit)
	}
	grown := make([]byte, len(w.b), size)
	copy(grown, w.b)
	w.b = grown
	if cap(grown) <= maxHome {
		w.home = grown[:0]
	}
}

// ended notes an error of the source, and reports whether n bytes had come before
// it: then only the next read meets it.
func (w *Window) ended(err error, n int) bool {
	w.src = failing{err}
	if len(w.b)-w.i >= n {
		return true
	}
	if w.err, w.broken = err, true; err == io.EOF {
		w.err = io.ErrUnexpectedEOF
	}
	return false
}

// settle moves the bytes from b[keep] on to the front of the buffer, or of the
// smaller one if they fit.
func (w *Window) settle(keep int) {
	if w.again != nil {
		w.keepTo(keep)
	}
	rest := w.b[keep:]
	to := w.b[:0]
	if cap(w.b) != cap(w.home) && len(rest) <= cap(w.home)/2 {
		to = w.home[:0]
	}
	w.b = append(to, rest...)
	w.base += int64(keep)
	w.i -= keep
	if w.mark >= 0 {
		w.mark = 0
	}
}

// failing is a source that has failed.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
