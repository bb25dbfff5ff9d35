package window

import "io"

// again is what a Window knows of bytes that are kept, and of bytes that it reads
// for another time. Offsets are those of the stream.
type again struct {
	tap  func(p []byte) // gets the bytes that are dropped; nil if none are kept
	kept int64          // tap has got everything before

	from  io.ReaderAt // what is read before the source goes on; nil if nothing is
	shift int64       // offset of the first byte of from
	live  int64       // where the source goes on
}

// Keep makes w give to tap each byte from the cursor on before it drops it, once
// and in order, until Forget. The bytes are borrowed.
func (w *Window) Keep(tap func(p []byte)) {
	w.again = &again{tap: tap, kept: w.Offset()}
}

// keepTo gives the bytes before b[to] to the tap.
func (w *Window) keepTo(to int) {
	a := w.again
	if from := int(a.kept - w.base); a.tap != nil && from < to {
		a.tap(w.b[from:to])
		a.kept = w.base + int64(to)
	}
}

// KeepAll gives the tap all bytes at hand, those behind the cursor too.
func (w *Window) KeepAll() {
	if w.again != nil {
		w.keepTo(len(w.b))
	}
}

// Holds reports whether the byte at offset off is still at hand, so that Return
// needs nothing to read it from.
func (w *Window) Holds(off int64) bool { return off >= w.base && off <= w.base+int64(len(w.b)) }

// Return puts the cursor to the offset off, before or at where it is, and clears
// mark and error; an error of the source is met again in its place. What is no
// longer at hand is read from from, of which the first byte is at the offset shift
// and which reaches to where the source goes on.
func (w *Window) Return(off int64, from io.ReaderAt, shift int64) {
	w.addSum()
	w.mark, w.err, w.broken = -1, nil, false
	if w.Holds(off) {
		w.i = int(off - w.base)
		return
	}
	if w.again == nil {
		w.again = &again{}
	}
	a := w.again
	if a.from == nil { // else the source still stands where it stood
		a.live = w.base + int64(len(w.b))
	}
	a.from, a.shift = from, shift
	w.b, w.i, w.base = w.b[:0], 0, off
}

// Forget ends what Keep has begun. What is still to be read again, at most as much
// as was at hand when Return was called, is taken into the buffer first.
func (w *Window) Forget() {
	if a := w.again; a != nil && a.from != nil && w.err == nil {
		a.tap = nil
		if ahead := a.live - w.Offset(); ahead > 0 {
			w.Need(int(ahead))
		}
	}
	w.again = nil
}

// read reads from the source, or what stands before it for another time.
func (w *Window) read(p []byte) (int, error) {
	a := w.again
	if a == nil || a.from == nil {
		return w.src.Read(p)
	}
	at := w.base + int64(len(w.b))
	if at >= a.live {
		a.from = nil
		return w.src.Read(p)
	}
	n, err := a.from.ReadAt(p[:min(int64(len(p)), a.live-at)], at-a.shift)
	if n > 0 {
		err = nil // met again, if it stays
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
