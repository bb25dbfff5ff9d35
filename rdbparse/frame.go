package rdbparse

import (
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse/internal/listpack"
	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// skipValue moves the window over one value of type t: the framing. It looks at
// lengths only and reads as little as it can.
func (s *Scanner) skipValue(w *window.Window, t *TypeInfo) {
	switch t.frame {
	case frameString:
		if t.head == elements(part8) {
			w.Skip(8)
		}
		w.SkipString()
	case frameStrings:
		w.SkipStrings(w.Len())
	case frameElements:
		skipParts(w, t.head)
		skipElements(w, t.parts, w.Len())
	case frameModule:
		w.Len()
		w.SkipModuleItems()
	case frameQuicklist2:
		skipQuicklist2(w)
	case frameStream:
		skipStream(w, t.Type)
	case frameArray:
		skipArray(w)
	case frameTmpl:
		skipTmpl(w, t.Type)
	case frameTmplRef:
		s.skipTmplRef(w, t.Type)
	case frameCron:
		w.SkipString()
		w.Skip(16)
		w.SkipStrings(w.Len())
		w.SkipStrings(w.Len())
	case frameDragonfly:
		skipDragonfly(w, t.Type)
	default:
		w.Fail(fmt.Errorf("%w: the end of a value of type %v cannot be found", ErrUnknown, t.Type))
	}
}

func skipParts(w *window.Window, p parts) {
	for ; p != 0; p >>= 4 {
		switch p & 15 {
		case partString:
			w.SkipString()
		case partLen:
			w.Len()
		case partDouble:
			w.SkipDouble()
		case part8:
			w.Skip(8)
		}
	}
}

func skipElements(w *window.Window, p parts, n uint64) {
	switch p {
	case elements(partString, partString):
		if n > 1<<62 {
			w.Fail(errCount)
			return
		}
		w.SkipStrings(2 * n)
	case elements(partString, part8):
		w.SkipStringsAnd8(n)
	default:
		for ; n > 0 && w.Err() == nil; n-- {
			skipParts(w, p)
		}
	}
}

// Containers of a quicklist's nodes.
const (
	quicklistPlain  = 1
	quicklistPacked = 2
)

func skipQuicklist2(w *window.Window) {
	for n := w.Len(); n > 0 && w.Err() == nil; n-- {
		if c := w.Len(); w.Err() == nil && c != quicklistPlain && c != quicklistPacked {
			w.Fail(fmt.Errorf("%w: %d is no container of a list node", ErrCorrupt, c))
		}
		w.SkipString()
	}
}

func skipStream(w *window.Window, t Type) {
	v2, v3 := t >= TypeStreamListpacks2, t >= TypeStreamListpacks3
	v4, v5 := t >= TypeStreamListpacks4, t >= TypeStreamListpacks5
	for n := w.Len(); n > 0 && w.Err() == nil; n-- { // nodes: master id, listpack
		w.SkipString()
		w.SkipString()
	}
	skipLens(w, 3) // length, last id
	if v2 {
		skipLens(w, 5) // first id, max deleted id, entries added
	}
	for groups := w.Len(); groups > 0 && w.Err() == nil; groups-- {
		w.SkipString()
		skipLens(w, 2)
		if v2 {
			w.Len() // entries read
		}
		for n := w.Len(); n > 0 && w.Err() == nil; n-- { // pending entries
			w.Skip(16 + 8)
			w.Len()
		}
		for n := w.Len(); n > 0 && w.Err() == nil; n-- { // consumers
			w.SkipString()
			w.Skip(8)
			if v3 {
				w.Skip(8)
			}
			skipIDs(w)
		}
		if v5 {
			skipIDs(w) // entries given back
		}
	}
	if v4 {
		skipLens(w, 2) // idempotence: duration, most entries
		for n := w.Len(); n > 0 && w.Err() == nil; n-- {
			w.SkipString()
			for m := w.Len(); m > 0 && w.Err() == nil; m-- {
				w.SkipString()
				skipLens(w, 2)
			}
		}
		skipLens(w, 2)
	}
}

func skipLens(w *window.Window, n int) {
	for ; n > 0; n-- {
		w.Len()
	}
}

// skipIDs moves over a count and that many stream ids of 16 bytes.
func skipIDs(w *window.Window) {
	n := w.Len()
	if n > 1<<58 {
		w.Fail(errCount)
		return
	}
	w.Skip(16 * n)
}

var errCount = fmt.Errorf("%w: impossible count", ErrCorrupt)

// Tags of the values of a sparse array.
const (
	arrayString  = 0
	arrayInt     = 1
	arrayFloat   = 2
	arrayString2 = 3
)

func skipArray(w *window.Window) {
	n := w.Len()
	if w.Len() != 0 { // a cursor follows
		w.Len()
	}
	for ; n > 0 && w.Err() == nil; n-- {
		w.Len()
		switch tag := w.Len(); tag {
		case arrayString, arrayString2:
			w.SkipString()
		case arrayInt, arrayFloat:
			w.Skip(8)
		default:
			w.Fail(fmt.Errorf("%w: %d is no tag of an array element", ErrCorrupt, tag))
		}
	}
}

// skipTmpl moves over a hash that carries its field names: a listpack of names
// (form 0) or plain strings (form 1), then the values, as a listpack or as plain
// strings of the number of the names.
func skipTmpl(w *window.Window, t Type) {
	var n uint64
	switch form := w.Len(); {
	case w.Err() != nil:
		return
	case form == 0 && t == TypeHashTmplArray:
		n = countListpack(w)
	case form == 0:
		w.SkipString()
	case form == 1:
		n = w.Len()
		w.SkipStrings(n)
	default:
		w.Fail(fmt.Errorf("%w: %d is no form of field names", ErrCorrupt, form))
		return
	}
	if t == TypeHashTmplLP {
		n = 1
	}
	w.SkipStrings(n)
}

// countListpack moves over a string that holds a listpack and returns the number
// of its elements. It is the one place where finding the end of a value needs a
// look inside.
func countListpack(w *window.Window) uint64 {
	h := w.String()
	if w.Err() != nil {
		return 0
	}
	if h.Form != window.Raw && h.Form != window.LZF || h.Size > maxTemplate || h.Plain > maxTemplate {
		w.Fail(fmt.Errorf("%w: field names of a hash template", ErrCorrupt))
		return 0
	}
	lp := w.Bytes(int(h.Size))
	if lp == nil {
		return 0
	}
	if h.Form == window.LZF {
		plain := make([]byte, h.Plain)
		if err := lzf.Decompress(plain, lp); err != nil {
			w.Fail(fmt.Errorf("%w: %w", ErrCorrupt, err))
			return 0
		}
		lp = plain
	}
	n, ok := listpack.Count(lp)
	if !ok {
		w.Fail(fmt.Errorf("%w: listpack of field names", ErrCorrupt))
	}
	return n
}

func skipDragonfly(w *window.Window, t Type) {
	switch t {
	case TypeDragonflySBF, TypeDragonflySBF2:
		w.Len()
		w.Skip(16)
		skipLens(w, 3)
		for n := w.Len(); n > 0 && w.Err() == nil; n-- {
			w.Len()
			if t == TypeDragonflySBF {
				w.SkipString()
			} else {
				skipChunks(w)
			}
		}
	case TypeDragonflyCMS:
		width, depth := w.Len(), w.Len()
		w.Len()
		if width > 1<<30 || depth > 1<<20 {
			w.Fail(errCount)
			return
		}
		w.Skip(8 * width * depth)
	case TypeDragonflyTopK:
		skipLens(w, 4)
		w.Skip(8)
		for n := w.Len(); n > 0 && w.Err() == nil; n-- {
			w.SkipString()
			w.Len()
		}
		w.SkipString()
	case TypeDragonflyCuckoo:
		skipLens(w, 6)
		for n := w.Len(); n > 0 && w.Err() == nil; n-- {
			skipChunks(w)
		}
	}
}

// skipChunks moves over a total and chunks, each with its length, that add up to
// it.
func skipChunks(w *window.Window) {
	for total := w.Len(); total > 0 && w.Err() == nil; {
		k := w.Len()
		if k == 0 || k > total {
			w.Fail(errCount)
			return
		}
		w.Skip(k)
		total -= k
	}
}

// isFormat reports whether err is one of the errors of the window that say that
// the bytes are no valid length or string.
func isFormat(err error) bool {
	return errors.Is(err, window.ErrLength) || errors.Is(err, window.ErrTooBig) ||
		errors.Is(err, window.ErrDouble) || errors.Is(err, window.ErrLZFSize) ||
		errors.Is(err, window.ErrModuleItem)
}
