package crc64

import "math/bits"

// Combine returns the sum of A followed by B, given the sum of A, the sum of B
// and the length of B in bytes. It takes one multiplication for each bit set in
// the length, so it costs as much as summing a kilobyte or two: less than a
// second pass over B only when B is larger. It panics if lenB is negative.
//
// Sums are linear, so one pass over B can serve two sums that B continues: from
// s = Update(x, B), Combine(x^y, s, lenB) is Update(y, B).
func Combine(crcA, crcB uint64, lenB int64) uint64 {
	if lenB < 0 {
		panic("crc64: negative length")
	}
	// The sum of A followed by lenB zeros, which B's own sum is then added to.
	for n := uint64(lenB); n != 0; n &= n - 1 {
		crcA = mulx(crcA, powers[bits.TrailingZeros64(n)])
	}
	return crcA ^ crcB
}

// powers[k] times x moves a sum over 2^k bytes: it is x^(8*2^k-1) modulo the
// Jones polynomial. (It lacks the x that mulx adds.)
var powers = makePowers()

func makePowers() (p [63]uint64) {
	p[0] = 1 << 56 // x^7
	for k := 1; k < len(p); k++ {
		p[k] = mulxGeneric(p[k-1], p[k-1])
	}
	return p
}

// mulxGeneric returns a times b times x modulo the Jones polynomial. The factor x
// is what a carry-less multiplication of reflected polynomials adds by itself.
func mulxGeneric(a, b uint64) uint64 {
	var r uint64
	for range 64 { // from the highest power of a, which is bit 0, down
		r = timesX(r) ^ b&-(a&1)
		a >>= 1
	}
	return timesX(r)
}

// timesX returns a times x modulo the Jones polynomial.
func timesX(a uint64) uint64 {
	return a>>1 ^ poly&-(a&1)
}
