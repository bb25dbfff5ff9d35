package dataset

import (
	"encoding/binary"
	"math"
)

// ziplistHeader is total bytes (u32), offset of the last entry (u32) and number of entries (u16).
const ziplistHeader = 10

// AppendZiplist appends a ziplist of elems. As ziplist.c does, an element shorter than 32 bytes that is the decimal form of a 64-bit integer
// is stored as one.
func AppendZiplist(dst []byte, elems [][]byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, ziplistHeader)...)
	tail, prev := ziplistHeader, 0
	for _, e := range elems {
		tail = len(dst) - start
		dst = appendPrevlen(dst, prev)
		if v, ok := parseInt(e); ok {
			dst = appendZiplistInt(dst, v)
		} else {
			dst = appendZiplistString(dst, e)
		}
		prev = len(dst) - start - tail
	}
	dst = append(dst, 0xff)
	putUint32(dst[start:], len(dst)-start)
	putUint32(dst[start+4:], tail)
	binary.LittleEndian.PutUint16(dst[start+8:], uint16(min(len(elems), math.MaxUint16)))
	return dst
}

// appendPrevlen appends the length of the entry before, in one byte or five.
func appendPrevlen(dst []byte, n int) []byte {
	if n < 254 {
		return append(dst, byte(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, 254), uint32(n))
}

func appendZiplistString(dst, s []byte) []byte {
	switch n := len(s); {
	case n < 1<<6:
		dst = append(dst, byte(n))
	case n < 1<<14:
		dst = append(dst, 0x40|byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0x80), uint32(n))
	}
	return append(dst, s...)
}

func appendZiplistInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0 && v <= 12:
		return append(dst, 0xf1+byte(v))
	case v >= math.MinInt8 && v <= math.MaxInt8:
		return append(dst, 0xfe, byte(v))
	case v >= math.MinInt16 && v <= math.MaxInt16:
		return append(dst, 0xc0, byte(v), byte(v>>8))
	case v >= -1<<23 && v < 1<<23:
		return append(dst, 0xf0, byte(v), byte(v>>8), byte(v>>16))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return binary.LittleEndian.AppendUint32(append(dst, 0xd0), uint32(v))
	default:
		return binary.LittleEndian.AppendUint64(append(dst, 0xe0), uint64(v))
	}
}
