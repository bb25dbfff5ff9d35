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

// checkSeal seals p between bytes that must not change, and once more where the bytes
// around p are others.
func checkSeal(t *testing.T, first byte, p []byte, last uint16) {
	t.Helper()
	const margin = 40
	want := bytes.Repeat([]byte{0xa5}, 2*margin+len(p)+SealSize)
	copy(want[margin:], sealed(first, p, last))
	for _, around := range []byte{0, 0xff} {
		source := bytes.Repeat([]byte{around}, 2*margin+len(p))
		copy(source[margin:], p)
		dst := bytes.Repeat([]byte{0xa5}, len(want))
		Seal(dst[margin:len(dst)-margin], first, source[margin:][:len(p)], last)
		if !bytes.Equal(dst, want) {
			t.Fatalf("Seal(%d, %d bytes between %#x, %#x):\n%x, want\n%x", first, len(p), around, last, dst, want)
		}
	}
}

// TestSeal reaches every path: all lengths around the thresholds at 14, 16, 142 and 253
// bytes, and several rounds of the 128-byte loop with each number of blocks left over.
func TestSeal(t *testing.T) {
	data := randomBytes(1100)
	for n := range len(data) + 1 {
		checkSeal(t, byte(n), data[:n], uint16(n*257))
	}
	checkSeal(t, 20, randomBytes(1<<20+7), 11)
}

// TestSealAlignments has values and payloads begin at every place within a block.
func TestSealAlignments(t *testing.T) {
	data := randomBytes(700)
	dst := make([]byte, 1000)
	for n := range 300 {
		for at := range 64 {
			p := data[at : at+n]
			Seal(dst[64-at:], 7, p, 9)
			if want := sealed(7, p, 9); !bytes.Equal(dst[64-at:][:len(want)], want) {
				t.Fatalf("%d bytes at %d: %x, want %x", n, at, dst[64-at:][:len(want)], want)
			}
		}
	}
}

// TestSealShort has no room for what is to be written: it panics, and writes nothing
// behind the slice.
func TestSealShort(t *testing.T) {
	for _, n := range []int{0, 1, 13, 14, 16, 100, 253, 254, 1000} {
		for room := range n + SealSize {
			if room > 20 && room < n {
				continue
			}
			dst := make([]byte, room, n+SealSize)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%d bytes fit into %d", n, room)
					}
				}()
				Seal(dst, 1, make([]byte, n), 2)
			}()
			if behind := dst[room:cap(dst)]; !bytes.Equal(behind, make([]byte, len(behind))) {
				t.Fatalf("%d bytes into %d: it wrote behind them", n, room)
			}
		}
	}
}

func TestSealAllocations(t *testing.T) {
	dst, p := make([]byte, 2000), make([]byte, 1500)
	for _, n := range []int{10, 100, 1500} {
		if allocs := testing.AllocsPerRun(10, func() { Seal(dst, 1, p[:n], 2) }); allocs != 0 {
			t.Errorf("%v allocations for %d bytes", allocs, n)
		}
	}
}

func FuzzSeal(f *testing.F) {
	for _, n := range []int{0, 1, 13, 14, 15, 16, 142, 253, 254, 600} {
		f.Add(byte(n), randomBytes(n), uint16(n))
	}
	f.Fuzz(checkSeal)
}
