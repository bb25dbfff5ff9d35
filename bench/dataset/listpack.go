package dataset

import (
	"encoding/binary"
	"math"
)

// AppendListpack appends a listpack of elems. As listpack.c does, an element that is the decimal form of a 64-bit integer is stored as one.
func AppendListpack(dst []byte, elems [][]byte) []byte {
	start := len(dst)
	dst = beginListpack(dst)
	for _, e := range elems {
		dst = appendListpackString(dst, e)
	}
	return endListpack(dst, start, len(elems))
}

// beginListpack leaves room for the header: total bytes (u32) and number of elements (u16).
func beginListpack(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0, 0) }

// endListpack closes the listpack that began at start. More than 65534 elements are counted as "unknown", 65535.
func endListpack(dst []byte, start, elems int) []byte {
	dst = append(dst, 0xff)
	putUint32(dst[start:], len(dst)-start)
	binary.LittleEndian.PutUint16(dst[start+4:], uint16(min(elems, math.MaxUint16)))
	return dst
}

func appendListpackString[S ~string | ~[]byte](dst []byte, s S) []byte {
	if v, ok := parseInt(s); ok {
		return appendListpackInt(dst, v)
	}
	start := len(dst)
	switch n := len(s); {
	case n < 1<<6:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<12:
		dst = append(dst, 0xe0|byte(n>>8), byte(n))
	default:
		dst = binary.LittleEndian.AppendUint32(append(dst, 0xf0), uint32(n))
	}
	dst = append(dst, s...)
	return appendBacklen(dst, len(dst)-start)
}

func appendListpackInt(dst []byte, v int64) []byte {
	start := len(dst)
	switch {
	case v >= 0 && v < 1<<7:
		dst = append(dst, byte(v))
	case v >= -1<<12 && v < 1<<12:
		dst = append(dst, 0xc0|byte(v>>8)&0x1f, byte(v))
	case v >= math.MinInt16 && v <= math.MaxInt16:
		dst = append(dst, 0xf1, byte(v), byte(v>>8))
	case v >= -1<<23 && v < 1<<23:
		dst = append(dst, 0xf2, byte(v), byte(v>>8), byte(v>>16))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		dst = binary.LittleEndian.AppendUint32(append(dst, 0xf3), uint32(v))
	default:
		dst = binary.LittleEndian.AppendUint64(append(dst, 0xf4), uint64(v))
	}
	return appendBacklen(dst, len(dst)-start)
}

// appendBacklen appends the length of an element behind it, seven bits a byte, most significant first, so that it can be read backwards.
// The bounds are those of listpack.c, which for some lengths uses a byte more than need be.
func appendBacklen(dst []byte, n int) []byte {
	switch {
	case n <= 127:
		return append(dst, byte(n))
	case n < 1<<14-1:
		return append(dst, byte(n>>7), byte(n)|0x80)
	case n < 1<<21-1:
		return append(dst, byte(n>>14), byte(n>>7)|0x80, byte(n)|0x80)
	case n < 1<<28-1:
		return append(dst, byte(n>>21), byte(n>>14)|0x80, byte(n>>7)|0x80, byte(n)|0x80)
	default:
		return append(dst, byte(n>>28), byte(n>>21)|0x80, byte(n>>14)|0x80, byte(n>>7)|0x80, byte(n)|0x80)
	}
}
