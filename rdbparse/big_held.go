package rdbparse

import (
	"bytes"
	"math"

	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// BigOf returns a copy of e, whose value is in memory, as an entry that is Big, and what
// reads that value, through a buffer of size bytes at most. Both borrow from e, whose bytes must
// not change meanwhile.
func BigOf(e *Entry, size int) (*Entry, *BigValue) {
	s := &Scanner{
		opts: Options{Again: bytes.NewReader(e.Value)}, dialect: e.Type.Type &^ 0xff,
		entry: *e, begun: true, most: math.MaxInt, prefix: noPrefix, keyBuf: e.Key,
		w: window.New(bytes.NewReader(e.Value), max(min(size, len(e.Value)), 1)),
	}
	s.entry.Big, s.entry.Value = true, nil
	s.big = BigValue{s: s, size: int64(len(e.Value)), begun: true, one: -1}
	s.big.one = s.big.announced()
	return &s.entry, &s.big
}

// Unpacked returns how many bytes the longest part of a value that is compressed has when
// it is not: a string, or all that is packed into one. It is 0 where none is, and as much
// as there can be where the value is damaged, or needs a hash template.
func Unpacked(t *TypeInfo, value []byte) int64 {
	if t.frame == frameTmplRef {
		return math.MaxInt64
	}
	w := window.Of(value)
	(&Scanner{}).skipValue(w, t)
	if w.Err() != nil || w.Unpacked() > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(w.Unpacked())
}
