package rdbparse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// A BigValue reads the value of an entry that is Big, in memory that does not
// depend on its size: as bytes with Copy, or as elements with a Reader of package
// element. It can be read any number of times, see Rewind. It is not safe for
// concurrent use, with its Scanner included.
//
// However much of the value has been read, Scanner.Next goes on behind it.
type BigValue struct {
	s     *Scanner
	start int64 // offset of the first byte
	size  int64 // -1 if it is not known
	begun bool  // BigValue was called

	one   int64 // size as its first bytes tell it, -1 if they do not
	spool Spool
	lost  error // why the bytes are not kept
}

// errOnce is the reason why a value cannot be read again where nothing keeps it.
var errOnce = errors.New("the source can be read only once, and nothing keeps what was read of it")

// errLeft is the reason once the spool has been closed.
var errLeft = errors.New("its spool is closed")

// bigValue makes the entry of a value that is too long to be held; the window
// goes back to the value's first byte. from and to are the ends of the key, value
// the start of the value, as distances from the mark.
func (s *Scanner) bigValue(row *TypeInfo, at int64, from, to, value int) bool {
	w := s.w
	if from >= 0 {
		s.keyBuf = append(s.keyBuf[:0], w.Since(from, to)...)
	}
	w.Rewind()
	w.Skip(uint64(value))
	w.Unmark()
	s.setKey(row, at, s.keyBuf)
	s.entry.Big, s.entry.Value, s.entry.Fields = true, nil, nil
	s.big = BigValue{s: s, start: w.Offset(), size: -1, one: -1}
	if row.frame != frameTmplRef {
		return true
	}
	w.Mark()
	ok := s.setFields(w, row)
	if ok {
		w.Rewind()
	}
	w.Unmark()
	return ok
}

// BigValue returns the value of the current entry if that is Big, else nil. It is
// valid until the next call of Next.
func (s *Scanner) BigValue() *BigValue {
	if !s.entry.Big || !s.begun || s.err != nil || s.done {
		return nil
	}
	v := &s.big
	if !v.begun {
		v.begun = true
		v.one = v.announced()
		if s.opts.Again == nil && s.opts.Spool != nil {
			s.w.Keep(v.keep)
		}
	}
	return v
}

// Detach returns copies of the current entry, which must be Big, and of its value, which
// another goroutine can read while s goes on, in a buffer of its own of size bytes. They
// are read from Options.Again and stay valid for as long as that does. Detach reports
// false where that is nil, and where the value may need hash templates, which only s
// knows.
func (s *Scanner) Detach(size int) (*Entry, *BigValue, bool) {
	v := s.BigValue()
	if v == nil || s.opts.Again == nil || s.templates.byID != nil {
		return nil, nil, false
	}
	d := &Scanner{
		opts: s.opts, types: s.types, version: s.version, valkey: s.valkey, dialect: s.dialect,
		entry: s.entry, begun: true, most: s.most, prefix: noPrefix,
		keyBuf: bytes.Clone(s.entry.Key),
		w:      window.New(io.NewSectionReader(s.opts.Again, v.start, math.MaxInt64-v.start), size),
	}
	d.w.StartAt(v.start, 0)
	d.entry.Key, d.entry.Meta = d.keyBuf, bytes.Clone(s.entry.Meta)
	d.big = BigValue{s: d, start: v.start, size: v.size, begun: true, one: v.one}
	return &d.entry, &d.big, true
}

// leaveBig goes behind the big value of the entry, and gives up what was needed to
// read it.
func (s *Scanner) leaveBig() bool {
	if s.big.Skip() != nil {
		return false
	}
	if s.w.Forget(); s.w.Err() != nil {
		s.failBig(s.w.Err())
	}
	_ = s.big.close() // that it cannot be removed does not harm the reading
	return s.err == nil
}

// Close gives up the spool of the value that is being read. It is only needed
// where Options.Spool is set and reading ends before Next has returned false.
func (s *Scanner) Close() error { return s.big.close() }

// close closes the spool.
func (v *BigValue) close() error {
	if v.spool == nil {
		return nil
	}
	err := v.spool.Close()
	v.spool, v.lost = nil, errLeft
	return err
}

// keep writes bytes of the value that leave the window to the spool. A spool that
// fails does not fail the reading.
func (v *BigValue) keep(p []byte) {
	if v.lost != nil {
		return
	}
	if v.spool == nil {
		if v.spool, v.lost = v.s.opts.Spool(); v.lost != nil {
			v.spool = nil
			return
		}
	}
	if _, err := v.spool.Write(p); err != nil {
		_ = v.close()
		v.lost = fmt.Errorf("spool: %w", err)
	}
}

// announced returns the size of a value that is one string, as its first bytes
// tell it, without moving; -1 for any other, or if they are damaged.
func (v *BigValue) announced() int64 {
	w, t := v.s.w, v.s.entry.Type
	if t.frame != frameString && t.Type != TypeHashTmplLPRef {
		return -1
	}
	w.Mark()
	if t.head == elements(part8) {
		w.Skip(8)
	}
	h := w.String()
	head := w.Offset() - v.start
	failed := w.Err() != nil
	w.Return(v.start, nil, 0)
	if failed || h.Size > math.MaxInt64/2 {
		return -1
	}
	return head + int64(h.Size)
}

// Type returns the type of the value.
func (v *BigValue) Type() *TypeInfo { return v.s.entry.Type }

// Fields returns the entry's Fields: field names that stand in a template.
func (v *BigValue) Fields() []byte { return v.s.entry.Fields }

// Window returns the window at the value, for package element.
func (v *BigValue) Window() *window.Window { return v.s.w }

// Start returns the offset of the value's first byte in the dump.
func (v *BigValue) Start() int64 { return v.start }

// Offset returns the present offset in the dump.
func (v *BigValue) Offset() int64 { return v.s.w.Offset() }

// Announced returns the size in bytes that the value claims to have, for the
// encodings that are one string: its head says it. Nothing is read for it. A dump
// that is cut off has less.
func (v *BigValue) Announced() (size int64, ok bool) { return max(v.one, 0), v.one >= 0 }

// EndsHere tells that the value ends at the cursor, as package element knows when
// a Reader has ended.
func (v *BigValue) EndsHere() { v.size = v.Offset() - v.start }

// atEnd reports whether the cursor is behind the value, and so is the checksum.
func (v *BigValue) atEnd() bool {
	w := v.s.w
	return v.known() >= 0 && w.Err() == nil && w.Offset() == v.start+v.known() && w.Summed()
}

// known returns the size of the value, -1 if it is not known.
func (v *BigValue) known() int64 {
	if v.size >= 0 {
		return v.size
	}
	return v.one
}

// Measure goes over the value, from its first byte, and returns how many bytes it
// has. If these are more than most, it fails with ErrTooLong as soon as it knows,
// somewhere within the value, unless most is 0. Any other error is the Scanner's:
// nothing can be read any more.
func (v *BigValue) Measure(most int64) (size int64, err error) {
	if most > 0 && v.known() > most {
		return v.known(), ErrTooLong
	}
	if err := v.Rewind(); err != nil {
		return 0, err
	}
	w := v.s.w
	if most > 0 && most <= math.MaxInt64-v.start {
		w.StopAt(v.start + most)
	}
	v.s.skipValue(w, v.Type())
	w.StopAt(0)
	size = v.Offset() - v.start
	switch {
	case w.Err() == window.ErrTooLong:
		w.Recover()
		return size, ErrTooLong
	case w.Err() != nil:
		return size, v.s.failBig(w.Err())
	}
	if v.size = size; most > 0 && size > most {
		return size, ErrTooLong
	}
	return size, nil
}

// Copy gives the bytes of the value to f, from its first one, piece by piece as
// they stand in the buffer: borrowed, valid until f returns. A value whose size is
// not known is measured first. An error of f ends the copying and is returned as it
// is; any other is ErrNoReplay or the Scanner's.
func (v *BigValue) Copy(f func(p []byte) error) error {
	if v.known() < 0 {
		if _, err := v.Measure(0); err != nil {
			return err
		}
	}
	if err := v.Rewind(); err != nil {
		return err
	}
	w := v.s.w
	for left := v.known(); left > 0; {
		if !w.Need(1) {
			return v.s.failBig(w.Err())
		}
		p := w.Buffered()
		p = p[:min(int64(len(p)), left)]
		w.Advance(len(p))
		left -= int64(len(p))
		if err := f(p[:len(p):len(p)]); err != nil {
			return err
		}
	}
	return nil
}

// Rewind goes back to the first byte of the value. It fails with ErrNoReplay if
// that has left the buffer and nothing keeps it: see Options.Again and
// Options.Spool. What had been read then stays read.
func (v *BigValue) Rewind() error {
	s := v.s
	if s.err != nil {
		return s.err
	}
	w := s.w
	if w.Holds(v.start) {
		w.Return(v.start, nil, 0)
		return nil
	}
	if s.opts.Again != nil {
		w.Return(v.start, s.opts.Again, 0)
		return nil
	}
	if w.KeepAll(); v.lost != nil {
		return fmt.Errorf("%w: %w", ErrNoReplay, v.lost)
	}
	if v.spool == nil {
		return fmt.Errorf("%w: %w", ErrNoReplay, errOnce)
	}
	w.Return(v.start, v.spool, v.start)
	return nil
}

// Skip goes behind the value, whatever has been read of it, and after any error of
// a Reader of its elements. It may have to go back for that, and then fails like
// Rewind; that, and any other error, is the Scanner's, too.
func (v *BigValue) Skip() error {
	s, w := v.s, v.s.w
	switch {
	case s.err != nil:
		return s.err
	case w.Broken():
		return s.failBig(w.Err())
	}
	end := v.start + v.known()
	switch at := v.Offset(); {
	case v.known() >= 0 && at <= end:
		w.Recover()
		w.Skip(uint64(end - at))
	default:
		if err := v.Rewind(); err != nil {
			return s.failBig(err)
		}
		s.skipValue(w, v.Type())
	}
	if w.Err() != nil {
		return s.failBig(w.Err())
	}
	v.EndsHere()
	return nil
}

// failBig ends the scan with an error within a big value.
func (s *Scanner) failBig(err error) error {
	_ = s.big.close()
	s.failKey(s.entry.Type, s.keyBuf, err)
	return s.err
}
