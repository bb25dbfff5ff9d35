//go:build !purego

package crc64

import "golang.org/x/sys/cpu"

// What the processor offers, in the order in which update prefers it.
const (
	levelGeneric = iota // tables
	levelCLMUL          // one carry-less multiplication per instruction
	levelVPCLMUL        // two, in 256-bit registers
)

// level is read by update in crc64_amd64.s.
var level = detectLevel()

func detectLevel() uint8 {
	switch {
	case !cpu.X86.HasPCLMULQDQ || !cpu.X86.HasSSE41:
		return levelGeneric
	case cpu.X86.HasAVX2 && cpuidVPCLMULQDQ():
		return levelVPCLMUL
	default:
		return levelCLMUL
	}
}

// cpuidVPCLMULQDQ reports VPCLMULQDQ (CPUID leaf 7, ECX bit 10). The cpu package
// knows the bit only together with AVX-512, and there are processors with the
// 256-bit form alone: AMD Zen 3, Intel Alder Lake. Call it only where AVX2 is
// known to be there, which says that leaf 7 exists and that the operating system
// keeps the 256-bit registers.
func cpuidVPCLMULQDQ() bool

// update dispatches on level.
//
//go:noescape
func update(crc uint64, p []byte) uint64

// updateCLMUL is Update with SSE4.1 and PCLMULQDQ.
//
//go:noescape
func updateCLMUL(crc uint64, p []byte) uint64

// updateVPCLMUL is Update with AVX2 and VPCLMULQDQ.
//
//go:noescape
func updateVPCLMUL(crc uint64, p []byte) uint64

// Seal writes to dst what belongs into a DUMP payload with the value p: first, p,
// last in 2 bytes and the sum of all these in 8, little-endian. dst must have room for
// that, SealSize bytes beside p, and must not overlap p. It is one pass over p, which
// both copies and sums it, but for values above 253 bytes without VPCLMULQDQ.
//
//go:noescape
func Seal(dst []byte, first byte, p []byte, last uint16)
