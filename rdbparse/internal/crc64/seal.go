package crc64

import "encoding/binary"

// SealSize is how many bytes Seal writes beside p.
const SealSize = 1 + 2 + 8

// sealGeneric is Seal for values of any length and for any processor: it copies p, and
// then sums it.
func sealGeneric(dst []byte, first byte, p []byte, last uint16) {
	_ = dst[len(p)+SealSize-1] // a slice reaches beyond its length without complaint
	dst[0] = first
	n := 1 + copy(dst[1:], p)
	foot := (*[10]byte)(dst[n:])
	binary.LittleEndian.PutUint16(foot[:], last)
	binary.LittleEndian.PutUint64(foot[2:], Update(0, dst[:n+2]))
}
