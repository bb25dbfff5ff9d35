package dataset

import (
	"encoding/binary"
	"math"
	"strconv"
)

// AppendLen appends an RDB length in its shortest form, as rdbSaveLen of rdb.c writes it.
func AppendLen(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n))
	case n < 1<<14:
		return append(dst, 0x40|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return AppendLen32(dst, uint32(n))
	default:
		return AppendLen64(dst, n)
	}
}

// AppendLen32 appends a length in its 32-bit form whatever its size: longer than need be, and legal.
func AppendLen32(dst []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0x80), n)
}

// AppendLen64 appends a length in its 64-bit form (RDB version 8 and later) whatever its size.
func AppendLen64(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0x81), n)
}

// AppendRawString appends s with its length in front, neither int-encoded nor compressed.
func AppendRawString[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(AppendLen(dst, uint64(len(s))), s...)
}

// AppendIntString appends the decimal string of v in the shortest of the three integer forms of an RDB string.
func AppendIntString(dst []byte, v int32) []byte {
	switch {
	case v >= math.MinInt8 && v <= math.MaxInt8:
		return append(dst, 0xc0, byte(v))
	case v >= math.MinInt16 && v <= math.MaxInt16:
		return append(dst, 0xc1, byte(v), byte(v>>8))
	default:
		return binary.LittleEndian.AppendUint32(append(dst, 0xc2), uint32(v))
	}
}

// AppendString appends s as a server with rdbcompression off does: a decimal 32-bit integer in its integer form, all else raw.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	if len(s) <= 11 {
		if v, ok := parseInt(s); ok && v >= math.MinInt32 && v <= math.MaxInt32 {
			return AppendIntString(dst, int32(v))
		}
	}
	return AppendRawString(dst, s)
}

// parseInt reads s if it is the one decimal form of an int64: no sign for zero, no leading zeros, no plus.
func parseInt[S ~string | ~[]byte](s S) (int64, bool) {
	if len(s) == 0 || len(s) > 20 {
		return 0, false
	}
	if len(s) == 1 && s[0] == '0' {
		return 0, true
	}
	digits, limit := 0, uint64(math.MaxInt64)
	if s[0] == '-' {
		digits, limit = 1, 1<<63
	}
	if digits == len(s) || s[digits] == '0' {
		return 0, false
	}
	var v uint64
	for i := digits; i < len(s); i++ {
		d := uint64(s[i]) - '0'
		if d > 9 || v > (limit-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	if digits == 1 {
		return -int64(v), true
	}
	return int64(v), true
}

// appendScore appends a score as servers write it into packed sorted sets: an integer where it is one, else 17 significant digits.
func appendScore(dst []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return strconv.AppendInt(dst, int64(f), 10)
	default:
		return strconv.AppendFloat(dst, f, 'g', 17, 64)
	}
}
