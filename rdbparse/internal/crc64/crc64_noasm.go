//go:build !amd64 || purego

package crc64

func update(crc uint64, p []byte) uint64 {
	return updateGeneric(crc, p)
}

// Seal writes to dst what belongs into a DUMP payload with the value p: first, p,
// last in 2 bytes and the sum of all these in 8, little-endian. dst must have room for
// that, SealSize bytes beside p, and must not overlap p.
func Seal(dst []byte, first byte, p []byte, last uint16) { sealGeneric(dst, first, p, last) }
