package crc64

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// bitwise is the oracle: the definition, one bit at a time.
func bitwise(crc uint64, p []byte) uint64 {
	for _, b := range p {
		crc ^= uint64(b)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0x95ac9329ac4bc9b5
			}
		}
	}
	return crc
}

type implementation struct {
	name   string
	update func(crc uint64, p []byte) uint64
}

// implementations are the exported one and all that this processor can run.
func implementations() []implementation {
	return append([]implementation{
		{"Update", Update},
		{"generic", updateGeneric},
	}, assembly()...)
}

func randomBytes(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// TestKnownSums has the two vectors of the self-test in crc64.c in Redis; the
// second one counts the zero that ends a string in C.
func TestKnownSums(t *testing.T) {
	tests := []struct {
		in   string
		want uint64
	}{
		{"", 0},
		{"123456789", 0xe9c6d914c4b8d9ca},
		{"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed " +
			"do eiusmod tempor incididunt ut labore et dolore magna " +
			"aliqua. Ut enim ad minim veniam, quis nostrud exercitation " +
			"ullamco laboris nisi ut aliquip ex ea commodo consequat. Duis " +
			"aute irure dolor in reprehenderit in voluptate velit esse " +
			"cillum dolore eu fugiat nulla pariatur. Excepteur sint " +
			"occaecat cupidatat non proident, sunt in culpa qui officia " +
			"deserunt mollit anim id est laborum.\x00", 0xc7794709e69683b3},
	}
	for _, test := range tests {
		for _, impl := range implementations() {
			if got := impl.update(0, []byte(test.in)); got != test.want {
				t.Errorf("%s(0, %q) = %#x, want %#x", impl.name, test.in, got, test.want)
			}
		}
	}
}

// TestEveryLength reaches every path and every alignment: all lengths around
// the thresholds at 4, 8, 16, 32, 96 and 256 bytes and over several rounds of
// the 128-byte loops.
func TestEveryLength(t *testing.T) {
	const longest = 1100
	data := randomBytes(longest + 64)
	for offset := range 64 {
		for _, crc := range []uint64{0, 0xdeadbeefcafef00d} {
			want := crc
			for n := range longest + 1 {
				p := data[offset : offset+n]
				for _, impl := range implementations() {
					if got := impl.update(crc, p); got != want {
						t.Fatalf("%s(%#x, %d bytes at offset %d) = %#x, want %#x", impl.name, crc, n, offset, got, want)
					}
				}
				want = bitwise(want, data[offset+n:offset+n+1])
			}
		}
	}
}

// TestNeighbours sums a message between bytes that must not count.
func TestNeighbours(t *testing.T) {
	for n := range 300 {
		data := randomBytes(n + 512)
		p := data[256 : 256+n]
		for _, impl := range implementations() {
			before := impl.update(7, p)
			for i := range data {
				if i < 256 || i >= 256+n {
					data[i] ^= 0xff
				}
			}
			if after := impl.update(7, p); before != after {
				t.Fatalf("%s of %d bytes depends on bytes beside them", impl.name, n)
			}
		}
	}
}

func TestRandomSplits(t *testing.T) {
	data := randomBytes(100_000)
	want := bitwise(0, data)
	r := rand.New(rand.NewPCG(1, 2))
	for _, impl := range implementations() {
		for _, most := range []int{7, 40, 120, 1000, 30_000} {
			var crc uint64
			for rest := data; len(rest) > 0; {
				n := min(r.IntN(most+1), len(rest))
				crc = impl.update(crc, rest[:n])
				rest = rest[n:]
			}
			if crc != want {
				t.Errorf("%s in pieces of up to %d bytes: %#x, want %#x", impl.name, most, crc, want)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	data := randomBytes(1000)
	for _, impl := range implementations() {
		var crc uint64
		if n := testing.AllocsPerRun(100, func() { crc = impl.update(crc, data) }); n != 0 {
			t.Errorf("%s allocates %v times", impl.name, n)
		}
	}
}

// FuzzUpdate holds every implementation, in one piece and in two, against the oracle.
func FuzzUpdate(f *testing.F) {
	for _, n := range []int{0, 3, 7, 15, 16, 31, 95, 96, 255, 256, 700} {
		f.Add(uint64(n), randomBytes(n), uint16(n/2))
	}
	f.Fuzz(func(t *testing.T, crc uint64, p []byte, at uint16) {
		want := bitwise(crc, p)
		split := min(int(at), len(p))
		a, b := slices.Clone(p[:split]), slices.Clone(p[split:])
		for _, impl := range implementations() {
			if got := impl.update(crc, p); got != want {
				t.Errorf("%s(%#x, %d bytes) = %#x, want %#x", impl.name, crc, len(p), got, want)
			}
			if got := impl.update(impl.update(crc, a), b); got != want {
				t.Errorf("%s(%#x, %d then %d bytes) = %#x, want %#x", impl.name, crc, len(a), len(b), got, want)
			}
		}
	})
}
