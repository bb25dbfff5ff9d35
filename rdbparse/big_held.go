package rdbparse

import (
	"math"

	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// AsBig returns e, a key whose value is held, as an entry that is Big, and its value, which
// is read from e.Value: so what can be done with a large value can be done with any.
// Both are valid for as long as e is.
func AsBig(e *Entry) (*Entry, *BigValue) {
	s := &Scanner{w: window.Of(e.Value), entry: *e, begun: true, most: math.MaxInt, prefix: noPrefix, keyBuf: e.Key}
	s.entry.Big, s.entry.Value = true, nil
	s.big = BigValue{s: s, size: int64(len(e.Value)), one: -1, begun: true}
	s.big.one = s.big.announced()
	return &s.entry, &s.big
}
