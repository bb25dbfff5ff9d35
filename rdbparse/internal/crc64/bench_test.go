package crc64

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

var sink uint64

func BenchmarkUpdate(b *testing.B) {
	data := randomBytes(1<<20 + 1000) // away from the start of a page, as most values are
	for _, impl := range implementations() {
		for _, n := range []int{8, 16, 24, 32, 48, 64, 100, 256, 1 << 10, 16 << 10, 256 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", impl.name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				p := data[1000:][:n]
				for b.Loop() {
					sink = impl.update(0, p)
				}
			})
		}
	}
}

// BenchmarkMixed sums values of 10 to 100 bytes one behind the other, as a dump
// of small values has them: each length is a surprise to the branch predictor,
// and each sum waits for the one before.
func BenchmarkMixed(b *testing.B) {
	data := randomBytes(1 << 20)
	r := rand.New(rand.NewPCG(1, 2))
	var ends []int
	for at := 0; at < len(data)-100; {
		at += 10 + r.IntN(91)
		ends = append(ends, at)
	}
	for _, impl := range implementations() {
		b.Run(impl.name, func(b *testing.B) {
			i, at := 0, 0
			crc := uint64(0)
			for b.Loop() {
				crc = impl.update(crc, data[at:ends[i]])
				at = ends[i]
				if i++; i == len(ends) {
					i, at = 0, 0
				}
			}
			sink = crc
			b.SetBytes(int64(ends[len(ends)-1] / len(ends))) // the mean
		})
	}
}

// BenchmarkSeal makes payloads: in one pass, and by a copy and a sum.
func BenchmarkSeal(b *testing.B) {
	data := randomBytes(1<<20 + 1000)
	dst := make([]byte, 1<<20+SealSize)
	for _, impl := range []struct {
		name string
		seal func([]byte, byte, []byte, uint16)
	}{{"Seal", Seal}, {"generic", sealGeneric}} {
		for _, n := range []int{3, 10, 14, 25, 40, 64, 100, 250, 300, 500, 1 << 10, 4 << 10, 16 << 10, 256 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", impl.name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				p := data[1000:][:n]
				for b.Loop() {
					impl.seal(dst, 3, p, 11)
				}
			})
		}
	}
}
