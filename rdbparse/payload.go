package rdbparse

import (
	"encoding/binary"
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

// FooterSize is the number of bytes of a payload behind the value: the RDB
// version in 2 bytes and the CRC64 of all before it in 8, little-endian.
const FooterSize = 10

// metaVersion is the lowest version of a payload with KEY_META, Redis 8.6's.
const metaVersion = 13

// PayloadSize returns the number of bytes that AppendPayload appends for e.
func PayloadSize(e *Entry) int {
	return len(e.Meta) + 1 + len(e.Value) + FooterSize
}

// AppendPayload appends to dst the argument of RESTORE, as DUMP would give it,
// for the value of e, and returns the longer slice. The version in its footer is
// the lowest that the value's type may have, so that every server that knows the
// type takes it. It allocates only if dst is too small.
func AppendPayload(dst []byte, e *Entry) []byte {
	n := len(dst)
	dst = slices.Grow(dst, PayloadSize(e))
	return dst[:n+PutPayload(dst[n:cap(dst)], e)]
}

// PutPayload writes to b what AppendPayload appends, and returns how many bytes
// that is: PayloadSize(e), for which b must have room.
func PutPayload(b []byte, e *Entry) int {
	if e.Meta != nil {
		return putWithMeta(b, e)
	}
	crc64.Seal(b, e.Type.Type.Byte(), e.Value, e.Type.Version)
	return len(e.Value) + crc64.SealSize
}

// putWithMeta is PutPayload for a value with KEY_META, which stands before the type.
func putWithMeta(b []byte, e *Entry) int {
	n := copy(b, e.Meta)
	b[n] = e.Type.Type.Byte()
	n++
	n += copy(b[n:], e.Value)
	foot := (*[FooterSize]byte)(b[n:])
	binary.LittleEndian.PutUint16(foot[:], max(e.Type.Version, metaVersion))
	binary.LittleEndian.PutUint64(foot[2:], crc64.Update(0, b[:n+2]))
	return n + FooterSize
}
