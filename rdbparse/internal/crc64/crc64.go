// Package crc64 computes the checksum that Redis puts behind a dump and behind
// every DUMP payload: CRC-64/Jones, bit-reflected, starting at 0, with no final
// inversion (crc64.c in Redis, which takes the polynomial from "An Improved
// 64-bit Cyclic Redundancy Check for Protein Sequences", D. T. Jones).
//
// hash/crc64 can be given the same polynomial, but inverts the sum before and
// after every call, and goes through tables, which is ten times slower.
package crc64

// poly is the Jones polynomial 0xad93d23594c935a9 in reflected form: bit i is
// the coefficient of x^(63-i); x^64 is implied.
const poly = 0x95ac9329ac4bc9b5

// Update returns the sum of the bytes already summed in crc followed by p. The
// sum of no bytes is 0. It allocates nothing and keeps no reference to p.
func Update(crc uint64, p []byte) uint64 {
	return update(crc, p)
}
