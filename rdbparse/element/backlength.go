package element

import (
	"encoding/binary"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/listpack"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// BackLengths is a set of ways to write the length that stands behind each
// element of a listpack, for reading backwards, in units of 7 bits. They differ
// for elements of exactly 2^14-1, 2^21-1 and 2^28-1 bytes only (a text of 16378
// bytes is one of 2^14-1): servers used to spend a byte too many on them, and
// since Valkey 9.1 they do not (valkey pull request 3601; Redis merged the same
// change, 15151, in 2026).
//
// A server steps over the length without looking at it. So one that expects the
// other kind loses its way behind such an element: it refuses the value if it
// checks payloads deeply, and else goes on with a list, hash or stream that ends
// there, or with garbage.
type BackLengths uint8

// The kinds of back length.
const (
	LongBack  BackLengths = 1 << iota // up to Valkey 9.0, and most Redis
	ShortBack                         // Valkey 9.1 and newer
)

// BackLengths returns the kind that the server expects. For Redis it is a guess
// from 8.10 on: which release has the change first has not been measured.
func (s ServerVersion) BackLengths() BackLengths {
	if s.Valkey && s.Version >= 901 || !s.Valkey && s.Version >= 810 {
		return ShortBack
	}
	return LongBack
}

// backLength checks the length behind an element of size bytes, at the start of
// p, and returns how many bytes it takes, 0 if it is wrong, and its kind if that
// makes a difference.
func backLength(p []byte, size int) (n int, kind BackLengths) {
	n, edge := listpack.BackBytes(size)
	switch {
	case isBackLength(p, n, size):
		if edge {
			kind = LongBack
		}
		return n, kind
	case edge && isBackLength(p, n-1, size):
		return n - 1, ShortBack
	}
	return 0, 0
}

// isBackLength reports whether p starts with size written in n bytes: the first
// holds the highest bits, and all others are marked.
func isBackLength(p []byte, n, size int) bool {
	if len(p) < n {
		return false
	}
	for k := n - 1; k >= 0; k-- {
		want := byte(size & 127)
		if k > 0 {
			want |= 128
		}
		if p[k] != want {
			return false
		}
		size >>= 7
	}
	return true
}

// appendBackLength appends the length of an element of size bytes.
func appendBackLength(dst []byte, size int, kind BackLengths) []byte {
	n, edge := listpack.BackBytes(size)
	if edge && kind == ShortBack {
		n--
	}
	for k := n - 1; k >= 0; k-- {
		c := byte(size>>(7*k)) & 127
		if k < n-1 {
			c |= 128
		}
		dst = append(dst, c)
	}
	return dst
}

// minEdge is the size of the smallest listpack in which the kinds can differ.
const minEdge = listpack.Header + 1<<14 - 1 + 2 + 1

// FindBackLengths returns the kinds of back length that v has where they differ:
// 0 for nearly every value. It opens only listpacks of more than 16 KiB, so it
// costs little for most values.
func FindBackLengths(v Value) (BackLengths, error) {
	if v.Type == nil || !HasListpack(v.Type.Type) || !HasLargeListpack(v) {
		return 0, nil
	}
	r := Open(v)
	w := r.w
	switch {
	case r.err != nil:
	case v.Type.Kind == rdbparse.KindStream:
		for n := w.Len(); n > 0 && w.Err() == nil && r.err == nil; n-- {
			w.SkipString()
			r.findBackLengths()
		}
	case v.Type.Type == rdbparse.TypeListQuicklist2:
		for n := w.Len(); n > 0 && w.Err() == nil && r.err == nil; n-- {
			if w.Len() == quicklistPacked {
				r.findBackLengths()
			} else {
				w.SkipString()
			}
		}
	case v.Type.Type == rdbparse.TypeHashTmplLP || v.Type.Type == rdbparse.TypeHashTmplArray || v.Type.Type == rdbparse.TypeHashTmplLPRef:
		for r.Next() { // rare types: the names may be a listpack too
		}
	default:
		if v.Type.Type == rdbparse.TypeHashListpackEx {
			w.Skip(8)
		}
		r.findBackLengths()
	}
	if w.Err() != nil {
		r.fail(r.reason(w.Err()))
	}
	return r.backs | r.items.backs, r.err
}

// HasLargeListpack reports whether one of the listpacks of a value is so large
// that back lengths can differ, or the value is damaged. Only of such a value can
// FindBackLengths tell anything. The value must be of a type for which HasListpack
// is true. It looks at lengths only.
func HasLargeListpack(v Value) bool {
	var w window.Window
	w.Reset(v.Raw)
	blobs := uint64(1)
	switch v.Type.Type {
	case rdbparse.TypeHashTmplLP, rdbparse.TypeHashTmplArray:
		return true
	case rdbparse.TypeHashListpackEx:
		w.Skip(8)
	case rdbparse.TypeListQuicklist2:
		blobs = w.Len()
	default:
		if v.Type.Kind == rdbparse.KindStream {
			blobs = w.Len()
		}
	}
	for ; blobs > 0 && w.Err() == nil; blobs-- {
		if v.Type.Type == rdbparse.TypeListQuicklist2 {
			w.Len()
		} else if v.Type.Kind == rdbparse.KindStream {
			w.SkipString()
		}
		h := w.String()
		if h.Plain >= minEdge {
			return true
		}
		w.Skip(h.Size)
	}
	return w.Err() != nil
}

// findBackLengths looks at the listpack at the cursor and moves over it.
func (r *Reader) findBackLengths() {
	if plainSize(r.w) < minEdge {
		r.w.SkipString()
		return
	}
	if r.nextBlob(formListpack); r.w.Err() != nil || r.err != nil {
		return
	}
	for r.items.Next() {
	}
	if err := r.items.Err(); err != nil {
		r.fail(err)
	}
	r.backs |= r.items.backs
}

// plainSize returns the size of the string at the cursor, and leaves the cursor
// where it is.
func plainSize(w *window.Window) uint64 {
	ahead := window.Of(w.Buffered())
	return ahead.String().Plain
}

// HasListpack reports whether values of type t keep elements in listpacks, so that
// PlanValue may decide otherwise than Plan.
func HasListpack(t rdbparse.Type) bool {
	switch t {
	case rdbparse.TypeHashListpack, rdbparse.TypeZSetListpack, rdbparse.TypeSetListpack, rdbparse.TypeListQuicklist2,
		rdbparse.TypeHashListpackExPreGA, rdbparse.TypeHashListpackEx,
		rdbparse.TypeHashTmplLP, rdbparse.TypeHashTmplLPRef, rdbparse.TypeHashTmplArray:
		return true
	}
	info := t.Info()
	return info != nil && info.Kind == rdbparse.KindStream
}

// rebuild appends a listpack with back lengths of another kind. The listpack has
// been walked before.
func rebuild(dst, blob []byte, kind BackLengths) []byte {
	from := len(dst)
	dst = append(dst, blob[:listpack.Header]...)
	it := Listpack(blob)
	for at := it.i; it.Next(); at = it.i {
		dst = append(dst, blob[at:at+it.size]...)
		dst = appendBackLength(dst, it.size, kind)
	}
	dst = append(dst, endMark)
	binary.LittleEndian.PutUint32(dst[from:], uint32(len(dst)-from))
	return dst
}
