//go:build !purego

package crc16

import "golang.org/x/sys/cpu"

// fast tells that the processor has what the assembly needs. sum reads it.
var fast = cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41

// sum dispatches on fast.
//
//go:noescape
func sum(p []byte) (crc uint16, brace bool)

// sumCLMUL is Sum with PCLMULQDQ, and PSHUFB of SSSE3.
//
// The message is the polynomial of which its first bit is the highest
// coefficient, cut into blocks of 16 bytes counted from its end. What is left over
// at the start becomes a block too, with zeros in front: these do not change a sum
// that starts at 0. A block of 128 bits A moves behind by the next one, B, as
// high(A) * (x^192 mod P) + low(A) * (x^128 mod P) + B, which again has less than
// 128 bits. What remains is A, of which A * x^16 mod P is the sum: first high(A) *
// (x^80 mod P) + low(A) * x^16, of 80 bits, then the quotient of that by P, by
// multiplication with floor(x^80 / P) (Barrett), and then what the quotient leaves.
//
//go:noescape
func sumCLMUL(p []byte) (crc uint16, brace bool)

// The constants of the assembly: remainders and the quotient for the polynomial P.
var (
	fold   = [2]uint64{0xaefc, 0x650b}             // x^128 mod P, x^192 mod P
	reduce = [2]uint64{0xeb23, 0x11303471a041b343} // x^80 mod P, floor(x^80 / P) less x^64
)
