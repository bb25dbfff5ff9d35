package dataset

import (
	"encoding/binary"
	"math"
)

// Bounds of the LZF format: how far back a reference reaches and how much it and a run of literals hold.
const (
	lzfMaxOffset  = 1 << 13
	lzfMaxMatch   = 2 + 7 + 255
	lzfMaxLiteral = 32
	lzfTableBits  = 13
)

// Compressor is a greedy LZF compressor. Its output depends on the input alone, not on what was compressed before. The zero value is ready.
// It is not safe for concurrent use.
type Compressor struct {
	// table maps a hash of three bytes to base + their position; what lies below base is left from earlier inputs, so nothing need be cleared.
	table [1 << lzfTableBits]uint32
	base  uint32
	tmp   []byte
}

// Append appends the LZF form of src, which is up to 1/32 longer than src where nothing repeats.
func (c *Compressor) Append(dst, src []byte) []byte {
	if c.base == 0 || uint64(c.base)+uint64(len(src)) > math.MaxUint32 {
		c.table, c.base = [1 << lzfTableBits]uint32{}, 1
	}
	literals := 0 // where the literals not yet written start
	for i := 0; i+3 < len(src); {
		h := lzfHash(src[i:])
		seen := c.table[h]
		c.table[h] = c.base + uint32(i)
		n := 0
		if seen >= c.base {
			n = lzfMatch(src, int(seen-c.base), i)
		}
		if n < 3 {
			i++
			continue
		}
		dst = appendLiterals(dst, src[literals:i])
		dst = appendReference(dst, i-int(seen-c.base)-1, n)
		i += n
		literals = i
	}
	c.base += uint32(len(src))
	return appendLiterals(dst, src[literals:])
}

func lzfHash(p []byte) uint32 {
	return (uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])) * 2654435761 >> (32 - lzfTableBits)
}

// lzfMatch counts the bytes at which src[at:] repeats src[from:], 0 if that is out of reach.
func lzfMatch(src []byte, from, at int) int {
	if at-from > lzfMaxOffset {
		return 0
	}
	limit := min(len(src)-at, lzfMaxMatch)
	n := 0
	for n < limit && src[from+n] == src[at+n] {
		n++
	}
	return n
}

func appendLiterals(dst, p []byte) []byte {
	for len(p) > 0 {
		n := min(len(p), lzfMaxLiteral)
		dst = append(append(dst, byte(n-1)), p[:n]...)
		p = p[n:]
	}
	return dst
}

func appendReference(dst []byte, offset, n int) []byte {
	n -= 2
	if n < 7 {
		return append(dst, byte(n<<5|offset>>8), byte(offset))
	}
	return append(dst, byte(7<<5|offset>>8), byte(n-7), byte(offset))
}

// AppendLZFString appends s as a compressed RDB string even where that is longer. An empty s, for which there is no such form, is written raw.
func (c *Compressor) AppendLZFString(dst, s []byte) []byte {
	if len(s) == 0 {
		return AppendRawString(dst, s)
	}
	c.tmp = c.Append(c.tmp[:0], s)
	return appendLZFParts(dst, c.tmp, len(s))
}

// AppendString appends s as a server with rdbcompression on does: int-encoded if it is a 32-bit integer, compressed if it is longer than
// 20 bytes and that saves at least 4, else raw.
func (c *Compressor) AppendString(dst, s []byte) []byte {
	if len(s) <= 20 {
		return AppendString(dst, s)
	}
	c.tmp = c.Append(c.tmp[:0], s)
	if len(c.tmp) > len(s)-4 {
		return AppendRawString(dst, s)
	}
	return appendLZFParts(dst, c.tmp, len(s))
}

func appendLZFParts(dst, compressed []byte, original int) []byte {
	dst = AppendLen(append(dst, 0xc3), uint64(len(compressed)))
	dst = AppendLen(dst, uint64(original))
	return append(dst, compressed...)
}

// AppendLZFString appends s as a compressed RDB string with a compressor of its own; see [Compressor.AppendLZFString].
func AppendLZFString(dst, s []byte) []byte {
	var c Compressor
	return c.AppendLZFString(dst, s)
}

// putUint32 is the back-patching of a length at the head of a blob.
func putUint32(p []byte, n int) { binary.LittleEndian.PutUint32(p, uint32(n)) }
