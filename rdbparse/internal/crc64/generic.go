package crc64

import "encoding/binary"

// table[k][b] is the sum of the byte b followed by k zero bytes. Because the sum
// is linear, the sum of 16 bytes is the exclusive or of 16 independent look-ups
// ("slicing by 16"), instead of 16 that wait for each other.
var table = makeTable()

func makeTable() *[16][256]uint64 {
	t := new([16][256]uint64)
	for b := range 256 {
		crc := uint64(b)
		for range 8 {
			crc = timesX(crc)
		}
		t[0][b] = crc
	}
	for k := 1; k < len(t); k++ {
		for b := range 256 {
			prev := t[k-1][b]
			t[k][b] = prev>>8 ^ t[0][byte(prev)]
		}
	}
	return t
}

// updateGeneric is Update for processors without a carry-less multiplication.
func updateGeneric(crc uint64, p []byte) uint64 {
	t := table
	for len(p) >= 16 {
		lo := binary.LittleEndian.Uint64(p) ^ crc
		hi := binary.LittleEndian.Uint64(p[8:])
		crc = t[15][byte(lo)] ^ t[14][byte(lo>>8)] ^
			t[13][byte(lo>>16)] ^ t[12][byte(lo>>24)] ^
			t[11][byte(lo>>32)] ^ t[10][byte(lo>>40)] ^
			t[9][byte(lo>>48)] ^ t[8][lo>>56] ^
			t[7][byte(hi)] ^ t[6][byte(hi>>8)] ^
			t[5][byte(hi>>16)] ^ t[4][byte(hi>>24)] ^
			t[3][byte(hi>>32)] ^ t[2][byte(hi>>40)] ^
			t[1][byte(hi>>48)] ^ t[0][hi>>56]
		p = p[16:]
	}
	for _, b := range p {
		crc = crc>>8 ^ t[0][byte(crc)^b]
	}
	return crc
}

// timesX returns a times x modulo the Jones polynomial.
func timesX(a uint64) uint64 {
	return a>>1 ^ poly&-(a&1)
}
