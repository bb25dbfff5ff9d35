package dataset

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Rand is a splitmix64 generator. Unlike those of math/rand its sequence is this package's own, so that a data set never changes with the Go release.
// The zero value is a generator with seed 0. It is not safe for concurrent use.
type Rand struct{ state uint64 }

// NewRand returns a generator for a seed.
func NewRand(seed uint64) *Rand { return &Rand{state: seed} }

// Uint64 returns the next 64 random bits.
func (r *Rand) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Intn returns a number in [0, n); n must be positive.
func (r *Rand) Intn(n int) int {
	hi, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int(hi)
}

// Between returns a number in [lo, hi], both included.
func (r *Rand) Between(lo, hi int) int { return lo + r.Intn(hi-lo+1) }

// Chance is true in percent of 100 cases.
func (r *Rand) Chance(percent int) bool { return r.Intn(100) < percent }

// Float64 returns a number in [0, 1).
func (r *Rand) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// Fill overwrites p with random bytes, which no compressor can shrink.
func (r *Rand) Fill(p []byte) {
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, r.Uint64())
		p = p[8:]
	}
	if len(p) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.Uint64())
		copy(p, last[:])
	}
}

// alphabet has 64 letters, so that six random bits choose one.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// letterPairs holds two letters for each twelve bits.
var letterPairs = func() (pairs [1 << 12]uint16) {
	for i := range pairs {
		pairs[i] = uint16(alphabet[i&63]) | uint16(alphabet[i>>6])<<8
	}
	return pairs
}()

// AppendText appends n random letters, digits, '-' and '_'.
func (r *Rand) AppendText(dst []byte, n int) []byte {
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	p := dst[at:]
	for len(p) >= 10 {
		u := r.Uint64()
		binary.LittleEndian.PutUint64(p, uint64(letterPairs[u&0xfff])|uint64(letterPairs[u>>12&0xfff])<<16|
			uint64(letterPairs[u>>24&0xfff])<<32|uint64(letterPairs[u>>36&0xfff])<<48)
		binary.LittleEndian.PutUint16(p[8:], letterPairs[u>>48&0xfff])
		p = p[10:]
	}
	for u := r.Uint64(); len(p) > 0; p = p[1:] {
		p[0] = alphabet[u&63]
		u >>= 6
	}
	return dst
}
