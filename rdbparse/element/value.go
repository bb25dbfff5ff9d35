// Package element opens the values of a dump into their elements, compares two
// values in meaning whatever their encodings, and rewrites a value's bytes for a
// server that does not know its encoding.
//
// The encodings are those of listpack.c, ziplist.c, intset.c, zipmap.c,
// t_stream.c and rdb.c of the servers. Every length is checked before it is used,
// and nothing is allocated for what a header merely claims.
package element

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// Reasons why a value cannot be opened or rewritten, for errors.Is.
var (
	// ErrDamaged: the bytes do not fit the encoding that they are said to have.
	ErrDamaged = errors.New("value does not fit its own encoding")
	// ErrOpaque: nothing is known about what is inside such a value: a module's,
	// or an encoding of which only the length is known.
	ErrOpaque = errors.New("value of this type cannot be opened")
	// ErrTemplate: the value's field names stand elsewhere in the dump, and
	// Value.Fields does not give them.
	ErrTemplate = errors.New("field names of the hash template are not given")
	// ErrEmpty: the collection has no elements. RESTORE refuses such a value, and
	// a key cannot have it.
	ErrEmpty = errors.New("empty collection")
	// ErrFieldExpiry: fields of the hash expire, and the encoding asked for
	// cannot say so.
	ErrFieldExpiry = errors.New("expiry of hash fields would be lost")
	// ErrConversion: there is no way from the value's type to the one asked for.
	ErrConversion = errors.New("no conversion between these types")
	// ErrPayload: the bytes are no reply of DUMP.
	ErrPayload = errors.New("not a DUMP payload")
)

// An Error says where in a value and why it cannot be read. It wraps one of the
// reasons above or an error of the source.
type Error struct {
	Type   rdbparse.Type
	Offset int64 // in the value's bytes, at or shortly behind the fault
	Err    error
}

// Error describes the error in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("%v, offset %d in the value: %v", e.Type, e.Offset, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// reason marks an error of the window that is a fault of the value as such.
func reason(err error) error {
	for _, fault := range []error{io.ErrUnexpectedEOF, window.ErrLength, window.ErrTooBig, window.ErrDouble, window.ErrLZFSize, lzf.ErrCorrupt} {
		if errors.Is(err, fault) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}

// A Value is a value of a dump, in memory.
type Value struct {
	Type *rdbparse.TypeInfo
	Raw  []byte // the bytes behind the type, or behind the key in a dump

	// Fields are the field names of a hash of type 30 or 32, as they stand in the
	// dump's record of the template: strings, one behind the other.
	Fields []byte
	// Meta is the KEY_META prefix of a payload, as in rdbparse.Entry; nil if none.
	Meta []byte
}

// opKeyMeta stands before the type in a payload of Redis 8.6 and newer.
const opKeyMeta = 243

// valkeyVersion is the lowest RDB version of Valkey's own numbering. Below it
// types 22 and up are Redis's.
const valkeyVersion = 80

// ParsePayload splits a reply of DUMP, or the argument of RESTORE, into its
// parts. The value borrows from payload. A CRC of zero is not checked: servers
// with checksums switched off write it.
func ParsePayload(payload []byte) (Value, error) {
	n := len(payload) - rdbparse.FooterSize
	if n < 1 {
		return Value{}, fmt.Errorf("%w: %d bytes", ErrPayload, len(payload))
	}
	body, footer := payload[:n], payload[n:]
	version := binary.LittleEndian.Uint16(footer)
	if sum := binary.LittleEndian.Uint64(footer[2:]); sum != 0 && sum != crc64.Update(0, payload[:n+2]) {
		return Value{}, fmt.Errorf("%w: wrong checksum", ErrPayload)
	}
	var v Value
	if body[0] == opKeyMeta && version < valkeyVersion {
		size, err := metaSize(body)
		if err != nil {
			return Value{}, err
		}
		v.Meta, body = body[:size:size], body[size:]
		if len(body) == 0 {
			return Value{}, fmt.Errorf("%w: nothing follows the metadata", ErrPayload)
		}
	}
	if v.Type = payloadType(body[0], version); v.Type == nil {
		return Value{}, fmt.Errorf("%w: type %d in a payload of version %d is not known", ErrPayload, body[0], version)
	}
	v.Raw = body[1:]
	return v, nil
}

// valkeyOnly has the bit that marks the numbers that Valkey uses its own way.
const valkeyOnly = rdbparse.TypeHash2 &^ 0xff

// payloadType returns the row of a type byte, nil if it is not known: the
// version decides which family's numbers from 22 on are meant.
func payloadType(b byte, version uint16) *rdbparse.TypeInfo {
	t := rdbparse.Type(b)
	if version >= valkeyVersion && t >= rdbparse.TypeHashMetadataPreGA {
		t |= valkeyOnly
	}
	return t.Info()
}

// metaSize returns the length of the KEY_META prefix that body starts with.
func metaSize(body []byte) (int, error) {
	w := window.Of(body)
	w.Skip(1)
	for n := w.Len(); n > 0 && w.Err() == nil; n-- {
		w.Skip(4)
		w.SkipModuleItems()
	}
	if err := w.Err(); err != nil {
		return 0, fmt.Errorf("%w: metadata: %w", ErrPayload, err)
	}
	return int(w.Offset()), nil
}

// identical reports whether two values are the same bytes of the same type.
func identical(a, b Value) bool {
	return a.Type.Type == b.Type.Type && bytes.Equal(a.Raw, b.Raw) && bytes.Equal(a.Fields, b.Fields)
}
