package element

import (
	"fmt"
	"io"

	"github.com/rdbimport/rdbimport/rdbparse/internal/listpack"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// A blobStream is a blob that is walked as it comes: Items.b is what is at hand of
// it, from the element at the cursor on.
type blobStream struct {
	view *window.Window // over the blob's bytes
	in   *plainText     // where these come from
	size int64          // bytes of the blob
	base int64          // offset in the blob of Items.b[0]
	hold int64          // texts of more bytes are not held
	rest int64          // bytes of a long text still to come
	free int            // zipmap: bytes behind the long text
}

const (
	viewSize = 32 << 10
	// mostHead is at least the bytes of an element that has no text, and those
	// before the text of another.
	mostHead = 16
	// mostBehind is the most bytes behind a text that belong to its element: the
	// free ones in a zipmap.
	mostBehind = 255
)

// streamBlob sets the reader on the items of a blob that it does not hold. The
// head of the string has been read.
func (r *Reader) streamBlob(f form, h window.StringHead) {
	r.plain.reset(r.w, h)
	s := &r.blobs
	if s.view == nil {
		s.view = window.New(&r.plain, viewSize)
	} else {
		s.view.Restart(&r.plain)
	}
	*s = blobStream{view: s.view, in: &r.plain, size: int64(h.Plain), hold: int64(r.most)}
	it := &r.items
	*it = Items{form: f, src: s}
	if !s.view.Need(int(min(s.size, mostHead))) {
		it.broken()
		return
	}
	switch b := s.view.Buffered(); f {
	case formZipmap:
		it.zipmap(b, s.size)
	case formIntset:
		it.intset(b, s.size)
	case formZiplist:
		it.ziplist(b, s.size)
	default:
		it.listpack(b, s.size)
	}
}

// load takes the next element of a stream into the view. One with a text that is
// not held is opened by it, and then it reports true for long.
func (it *Items) load() (long, ok bool) {
	s := it.src
	if it.long > 0 {
		if it.parts(nil); it.err != nil {
			return false, false
		}
		it.long = 0
	}
	if !it.need(mostHead) {
		return false, false
	}
	p := it.b[it.i:it.end]
	if len(p) == 0 {
		return false, true
	}
	head, text := it.textAt(p)
	if int64(text) <= s.hold {
		return false, it.need(head + text + mostBehind)
	}
	return true, it.openLong(p, head, text)
}

// need makes n bytes from the cursor on available, or all there are.
func (it *Items) need(n int) bool {
	s := it.src
	s.view.Advance(it.i)
	s.base += int64(it.i)
	it.i = 0
	if !s.view.Need(int(min(int64(n), s.size-s.base))) {
		return it.broken()
	}
	it.b = s.view.Buffered()
	it.end = len(it.b)
	if s.base+int64(len(it.b)) == s.size && it.form != formIntset {
		it.end--
	}
	return true
}

// broken ends the walk because the bytes cannot be had.
func (it *Items) broken() bool {
	it.text, it.isInt = nil, false
	it.err = it.src.view.Err()
	if it.src.in.w.Err() == nil { // the fault is in the compressed bytes
		it.err = fmt.Errorf("%w: %w", ErrDamaged, it.err)
	}
	return false
}

// textAt returns the bytes before the text of the element that p starts with, and
// of the text; 0 for an element without one.
func (it *Items) textAt(p []byte) (head, text int) {
	switch it.form {
	case formListpack:
		head, text = listpack.Text(p)
	case formZiplist:
		if _, head = ziplistBefore(p); head < len(p) && p[0] != endMark {
			code, n, _ := ziplistCode(p[head:])
			head, text = head+code, n
		}
	case formZipmap:
		if p[0] == endMark {
			return 0, 0
		}
		if text, head = zipmapSize(p); it.seen%2 == 1 {
			head++
		}
	}
	return head, text
}

// openLong opens the element that p starts with, whose text is not held: the text
// comes next in the view.
func (it *Items) openLong(p []byte, head, text int) bool {
	s := it.src
	s.free = 0
	switch it.form {
	case formListpack:
		it.size = head + text
	case formZiplist:
		if before, _ := ziplistBefore(p); before != it.width {
			return it.fail("wrong length of the element before")
		}
		it.width = head + text
	case formZipmap:
		if it.seen%2 == 1 && head <= len(p) {
			s.free = int(p[head-1])
		}
	}
	behind := s.free + 1 // the end mark
	if it.form == formListpack {
		behind++ // and a back length
	}
	if int64(head)+int64(text)+int64(behind) > s.size-s.base {
		return it.fail("element reaches beyond the end")
	}
	s.view.Advance(head)
	s.base += int64(head)
	it.b, it.i, it.end = nil, 0, 0
	it.text, it.isInt, it.long, s.rest = nil, false, int64(text), int64(text)
	it.seen++
	return true
}

// parts gives what is left of a long text to f, if that is not nil, and goes behind
// the element. It returns errors of f only.
func (it *Items) parts(f func(p []byte) error) error {
	s := it.src
	for s.rest > 0 {
		if !s.view.Need(1) {
			it.broken()
			return nil
		}
		p := s.view.Buffered()
		p = p[:min(int64(len(p)), s.rest)]
		s.view.Advance(len(p))
		s.base += int64(len(p))
		if s.rest -= int64(len(p)); f != nil {
			if err := f(p[:len(p):len(p)]); err != nil {
				return err
			}
		}
	}
	if s.rest == 0 {
		s.rest = -1 // and the element is closed, once
		it.closeLong()
	}
	return nil
}

// closeLong goes over what stands behind a long text.
func (it *Items) closeLong() {
	if !it.need(mostBehind) {
		return
	}
	it.i = it.src.free
	if it.form == formListpack {
		back, kind := backLength(it.b[:it.end], it.size)
		if back == 0 {
			it.fail("element and the length behind it contradict each other")
		}
		it.i, it.backs = back, it.backs|kind
	}
}

// finishStream checks what a blob in memory has been checked for at the start: that
// the end mark stands at its end, and that its bytes give no more.
func (it *Items) finishStream() bool {
	if it.form != formIntset && it.b[it.end] != endMark {
		return it.fail("no end mark")
	}
	if _, err := it.src.in.next(); err != io.EOF {
		return it.fail("its compressed bytes give more")
	}
	return false
}
