// Package crc16 computes the checksum that a cluster's slots are made of:
// CRC16/XMODEM, that is polynomial 0x1021, starting at 0, not reflected, with no
// final inversion (crc16.c in Redis).
package crc16

import "bytes"

// Brace is the byte that begins a hash tag.
const Brace = '{'

// Sum returns the sum of p, and whether there is a Brace in it: whoever wants the
// one wants to know the other, and looking for both costs as much as looking for
// one. It allocates nothing and keeps no reference to p.
func Sum(p []byte) (crc uint16, brace bool) { return sum(p) }

// tables holds the remainders: tables[n][b] is that of byte b followed by n bytes
// of zero, so that eight bytes are folded with eight independent loads.
var tables = makeTables()

func makeTables() (t [8][256]uint16) {
	for b := range 256 {
		crc := uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[0][b] = crc
	}
	for n := 1; n < len(t); n++ {
		for b := range 256 {
			prev := t[n-1][b]
			t[n][b] = prev<<8 ^ t[0][prev>>8]
		}
	}
	return t
}

// sumGeneric is Sum for any processor.
func sumGeneric(p []byte) (crc uint16, brace bool) {
	brace = bytes.IndexByte(p, Brace) >= 0
	t := &tables
	for len(p) >= 8 {
		crc = t[7][p[0]^byte(crc>>8)] ^ t[6][p[1]^byte(crc)] ^
			t[5][p[2]] ^ t[4][p[3]] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	if len(p) >= 4 {
		crc = t[3][p[0]^byte(crc>>8)] ^ t[2][p[1]^byte(crc)] ^ t[1][p[2]] ^ t[0][p[3]]
		p = p[4:]
	}
	for _, b := range p {
		crc = crc<<8 ^ t[0][byte(crc>>8)^b]
	}
	return crc, brace
}
