package dataset

import "encoding/binary"

// AppendZipmap appends a zipmap of pairs (field, value, field, value ...), the small hash of Redis 2.4 and before. Its count byte says
// "walk it" from 254 pairs on.
func AppendZipmap(dst []byte, pairs [][]byte) []byte {
	dst = append(dst, byte(min(len(pairs)/2, 254)))
	for i, p := range pairs {
		dst = appendZipmapLen(dst, len(p))
		if i%2 == 1 {
			// Bytes left free behind a value after it was overwritten by a shorter one: zipmap.c leaves up to four of them.
			free := zipmapFree(p)
			dst = append(append(dst, byte(free)), p...)
			dst = append(dst, make([]byte, free)...)
			continue
		}
		dst = append(dst, p...)
	}
	return append(dst, 0xff)
}

func appendZipmapLen(dst []byte, n int) []byte {
	if n < 254 {
		return append(dst, byte(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, 254), uint32(n))
}

// zipmapFree makes a third of the values, by their length, leave room behind.
func zipmapFree(value []byte) int { return max(0, len(value)%6-3) }
