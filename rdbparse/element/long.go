package element

import (
	"errors"
	"fmt"
	"io"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// ErrTooLong: a part of a big value that can only be given whole, as a key of an
// element, is longer than the Reader holds. The error is a *LongError.
var ErrTooLong = errors.New("part of the value is longer than can be held")

// A LongError is an ErrTooLong.
type LongError struct {
	Size int64 // bytes of the part, at least
}

// Error describes the error in one line.
func (e *LongError) Error() string { return fmt.Sprintf("%v: %d bytes", ErrTooLong, e.Size) }

// Unwrap returns ErrTooLong.
func (e *LongError) Unwrap() error { return ErrTooLong }

// minHeld is what a Reader may hold of things that are many small ones, however
// little it is told to hold: names of a template or stream node, fields of an
// entry.
const minHeld = 64 << 10

// OfBig returns a Reader of a big value, from its first byte on: it goes back there
// if it must. It holds strings of up to hold bytes. Longer ones are given in parts
// if they are values (see Element.Long), and are an error of kind ErrTooLong if
// they are keys: members, field names, names of groups, all of a stream's entry.
// Blobs of more than hold bytes are walked as they come. So its memory is a few
// times hold, whatever the value.
//
// Of the checks on blobs two come late: that of the end mark, and that of
// compressed bytes as a whole. Elements may have been given before an error.
//
// Where the elements have been read to their end, Scanner.Next goes on without more
// ado; a Reader of the same value made before is of no use any more.
//
// When the input ends within the value the error wraps rdbparse.ErrTruncated in
// place of ErrDamaged. After any other error v.Skip goes behind the value.
func OfBig(v *rdbparse.BigValue, hold int) *Reader {
	r := &Reader{}
	err := v.Rewind()
	r.start(v.Window(), v.Type())
	r.from, r.fields = v.Start(), v.Fields()
	r.big, r.most = v, uint64(min(max(hold, 1), maxText))
	if err != nil {
		r.err = err
	}
	return r
}

// BackLengths returns the kinds of back length met so far where they differ.
func (r *Reader) BackLengths() BackLengths { return r.backs | r.items.backs }

// Parts gives the bytes of the element's Value, if that is Long, to f, piece by
// piece and decompressed. The pieces are borrowed, valid until f returns. An error
// of f ends it and is returned as it is; what is left can be had with another call.
// Any other error is the Reader's. Next passes over what has not been taken.
//
// The expiry of a field in the encodings that store it behind the value (hash_2,
// hash_listpack_ex) is only known when all parts have been read: then ExpireAt is
// set, and in the next call of Next at the latest checked.
func (r *Reader) Parts(f func(p []byte) error) error {
	if r.err != nil || !r.pending {
		return r.err
	}
	var err error
	if r.items.long > 0 {
		err = r.items.parts(f)
		r.failItems()
	} else {
		err = r.plainParts(f)
	}
	if err != nil {
		return err
	}
	if r.err != nil {
		return r.err
	}
	r.pending = false
	if behind := r.behind; behind != nil {
		r.behind = nil
		behind(r)
		if err := r.w.Err(); err != nil {
			r.fail(r.reason(err))
		}
	}
	return r.err
}

// passLong passes over what has not been taken of a long value.
func (r *Reader) passLong() {
	if r.pending && r.items.long == 0 {
		r.plain.skip()
	}
	r.Parts(nil)
	r.el.Long = 0
}

// plainParts gives the parts of a string that stands in the dump by itself.
func (r *Reader) plainParts(f func(p []byte) error) error {
	for {
		p, err := r.plain.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			r.fail(r.reason(err))
			return nil
		case f == nil:
		default:
			if err := f(p); err != nil {
				return err
			}
		}
	}
}

// failItems makes an error of the items one of the reader.
func (r *Reader) failItems() {
	if err := r.items.Err(); err != nil {
		r.fail(err)
	}
}

// beginLong makes the string at the cursor, behind its head, the element's long
// value.
func (r *Reader) beginLong(h window.StringHead) {
	r.plain.reset(r.w, h)
	r.setLong(int64(h.Plain))
}

func (r *Reader) setLong(size int64) { r.el.Long, r.pending = size, true }

// letGo makes the key of an element with a long value independent of the window.
func (r *Reader) letGo(key span) []byte {
	if key.from >= 0 {
		r.scratch[0] = append(r.scratch[0][:0], r.take(key)...)
	}
	r.w.Unmark()
	return r.scratch[0]
}

// fits reports whether a string that is longer than the reader holds can be read
// all the same.
func (r *Reader) fits(h window.StringHead) bool {
	switch {
	case h.Size > maxText || h.Plain > maxText:
		r.w.Fail(window.ErrTooBig)
	case h.Form != window.Raw && h.Form != window.LZF:
		return true
	case h.Plain > r.most:
		r.tooLong(int64(h.Plain))
	case h.Size > 2*h.Plain: // more than any LZF string needs
		r.damaged("%w", lzf.ErrCorrupt)
	default:
		return true
	}
	return false
}

func (r *Reader) tooLong(size int64) { r.fail(&LongError{size}) }

// plainText gives the plain bytes of a string of a dump piece by piece.
type plainText struct {
	w    *window.Window
	form window.StringForm
	left uint64 // bytes of it still in the dump
	dec  lzf.Decoder
	rest []byte // decoded, and not yet read by Read
}

// reset begins with the string of which the head has been read.
func (t *plainText) reset(w *window.Window, h window.StringHead) {
	t.w, t.form, t.left, t.rest = w, h.Form, h.Size, nil
	if h.Form == window.LZF {
		t.dec.Reset(h.Plain)
	}
}

// next returns the next piece, valid until the next call or until the window is
// read. At the end the error is io.EOF.
func (t *plainText) next() ([]byte, error) {
	want := min(t.left, 1)
	if t.form == window.LZF {
		want = min(t.left, lzf.LongestOp)
	}
	switch {
	case want == 0 && t.form == window.LZF && t.dec.Left() > 0:
		return nil, lzf.ErrCorrupt
	case want == 0:
		return nil, io.EOF
	case !t.w.Need(int(want)):
		return nil, t.w.Err()
	}
	p := t.w.Buffered()
	p = p[:min(uint64(len(p)), t.left)]
	n, err := len(p), error(nil)
	if t.form == window.LZF {
		n, err = t.dec.Decode(p)
		p = t.dec.Bytes()
	}
	t.w.Advance(n)
	t.left -= uint64(n)
	return p[:len(p):len(p)], err
}

// Read gives the plain bytes to a window of their own.
func (t *plainText) Read(p []byte) (int, error) {
	for len(t.rest) == 0 {
		rest, err := t.next()
		if err != nil {
			return 0, err
		}
		t.rest = rest
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// skip passes over what is left. It is not looked at.
func (t *plainText) skip() {
	t.w.Skip(t.left)
	t.left, t.rest = 0, nil
	if t.form == window.LZF {
		t.dec.Reset(0)
	}
}
