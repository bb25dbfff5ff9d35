package census

import (
	"math"
	"math/bits"
)

// A Count is a number of keys and the bytes that they take in the dump: those of
// their records, from the expiry to the last byte of the value.
type Count struct{ Keys, Bytes int64 }

func (c *Count) add(bytes int64) {
	c.Keys++
	c.Bytes += bytes
}

func minus(a, b Count) Count { return Count{a.Keys - b.Keys, a.Bytes - b.Bytes} }

const (
	fineBits = 4 // a bucket of a Histogram is a sixteenth of a power of two
	fine     = 1 << fineBits
)

// A Histogram counts sizes in buckets that grow with the size, so that a
// percentile is at most a sixteenth too large.
type Histogram struct {
	buckets [64 * fine]int64
	max     int64
}

// Add counts one size; a negative one is zero.
func (h *Histogram) Add(size int64) {
	size = max(size, 0)
	h.buckets[bucketOf(size)]++
	h.max = max(h.max, size)
}

// bucketOf returns the bucket of a size: up to fine each size has its own.
func bucketOf(size int64) int {
	shift := bits.Len64(uint64(size)) - fineBits - 1
	if shift <= 0 {
		return int(size)
	}
	return shift<<fineBits + int(size>>shift)
}

// largestIn returns the largest size that falls into a bucket.
func largestIn(bucket int) int64 {
	if bucket < 2*fine {
		return int64(bucket)
	}
	shift := bucket>>fineBits - 1
	return (int64(bucket-shift<<fineBits)+1)<<shift - 1
}

// Max returns the largest size, exactly; 0 of nothing.
func (h *Histogram) Max() int64 { return h.max }

// Percentile returns a size that p percent of the sizes do not exceed, at most a
// sixteenth above the smallest such; 0 of nothing.
func (h *Histogram) Percentile(p float64) int64 {
	all := int64(0)
	for _, n := range h.buckets {
		all += n
	}
	need := max(1, int64(math.Ceil(p/100*float64(all)-1e-9)))
	sum := int64(0)
	for i, n := range h.buckets {
		if sum += n; sum >= need {
			return min(largestIn(i), h.max)
		}
	}
	return h.max
}
