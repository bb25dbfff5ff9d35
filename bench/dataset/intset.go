package dataset

import (
	"encoding/binary"
	"math"
	"slices"
)

// AppendIntset appends an intset: the members ascending, each as wide (2, 4 or 8 bytes) as the widest needs. members must be distinct; they are
// sorted in place.
func AppendIntset(dst []byte, members []int64) []byte {
	slices.Sort(members)
	width := 2
	for _, m := range members {
		switch {
		case m < math.MinInt32 || m > math.MaxInt32:
			width = 8
		case m < math.MinInt16 || m > math.MaxInt16:
			width = max(width, 4)
		}
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(width))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(members)))
	for _, m := range members {
		switch width {
		case 2:
			dst = binary.LittleEndian.AppendUint16(dst, uint16(m))
		case 4:
			dst = binary.LittleEndian.AppendUint32(dst, uint32(m))
		default:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(m))
		}
	}
	return dst
}
