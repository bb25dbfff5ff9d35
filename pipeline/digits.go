package pipeline

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// shortNumbers are the numbers below their count, with the end of the line
// behind them; the last byte says how many bytes that is.
var shortNumbers = func() (all [1024][8]byte) {
	for n := range all {
		text := strconv.AppendInt(all[n][:0], int64(n), 10)
		text = append(text, '\r', '\n')
		all[n][7] = byte(len(text))
	}
	return all
}()

// putBulkNumber writes a number that is not negative as a bulk string to b, which
// has room for 8 bytes more than that, and returns how many bytes it takes.
func putBulkNumber(b []byte, n int64) int {
	at := len("$1\r\n")
	if n >= 1e9 {
		at = len("$10\r\n")
	}
	digits := putDigits(b[at:], uint64(n))
	if digits < 10 {
		*(*[4]byte)(b) = [4]byte{'$', '0' + byte(digits), '\r', '\n'}
	} else {
		*(*[5]byte)(b) = [5]byte{'$', '1', '0' + byte(digits-10), '\r', '\n'}
	}
	at += digits
	*(*[2]byte)(b[at:]) = [2]byte{'\r', '\n'}
	return at + 2
}

// putDigits writes n, below 10^19, in decimal to b, which has room for 8 bytes more
// than that, and returns how many digits these are.
func putDigits(b []byte, n uint64) int {
	at := 0
	if n >= 1e8 {
		at = putDigits(b, n/1e8)
		n %= 1e8
		binary.LittleEndian.PutUint64(b[at:], eightDigits(n)|zeros)
		return at + 8
	}
	d := eightDigits(n)
	leading := min(bits.TrailingZeros64(d)/8, 7) // the last digit stays
	binary.LittleEndian.PutUint64(b, (d|zeros)>>(8*leading))
	return 8 - leading
}

// zeros are eight digits of 0.
const zeros = 0x3030303030303030

// eightDigits returns the eight digits of n, below 10^8, as bytes from 0 to 9, the
// first in the lowest. It divides all halves at once, then all quarters, then all
// digits: a product with 10486 and a shift by 20 divide any number below 10,000 by
// 100, one with 103 and a shift by 10 any below 100 by 10.
func eightDigits(n uint64) uint64 {
	x := n/1e4 | n%1e4<<32
	q := x * 10486 >> 20 & 0x0000007f_0000007f
	x = q | (x-100*q)<<16
	q = x * 103 >> 10 & 0x000f_000f_000f_000f
	return q | (x-10*q)<<8
}
