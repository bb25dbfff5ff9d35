package crc64

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// sealed is what Seal is to write, by its definition.
func sealed(first byte, p []byte, last uint16) []byte {
	want := append([]byte{first}, p...)
	want = binary.LittleEndian.AppendUint16(want, last)
	return binary.LittleEndian.AppendUint64(want, bitwise(0, want))
}

// TestSeal seals values of every length at every alignment, between bytes that must
// neither count nor change.
func TestSeal(t *testing.T) {
	const margin, longest = 64, 1500
	data := randomBytes(longest + 2*margin)
	for n := range longest + 1 {
		for at := range margin {
			p := data[at : at+n]
			dst := bytes.Repeat([]byte{0xa5}, margin+n+SealSize+margin)
			Seal(dst[at:], byte(n), p, uint16(at<<8|n&0xff))
			want := bytes.Repeat([]byte{0xa5}, len(dst))
			copy(want[at:], sealed(byte(n), p, uint16(at<<8|n&0xff)))
			if !bytes.Equal(dst, want) {
				t.Fatalf("%d bytes at %d: %x, want %x", n, at, dst, want)
			}
		}
	}
}
