package crc16

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// bitwise is the oracle: CRC16/XMODEM by its definition.
func bitwise(p []byte) (crc uint16) {
	for _, b := range p {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

type implementation struct {
	name string
	sum  func([]byte) (uint16, bool)
}

func implementations() []implementation {
	return append([]implementation{{"Sum", Sum}, {"generic", sumGeneric}}, assembly()...)
}

func check(t *testing.T, p []byte) {
	t.Helper()
	before := bytes.Clone(p)
	for _, impl := range implementations() {
		crc, brace := impl.sum(p)
		if want := bitwise(p); crc != want {
			t.Fatalf("%s of %d bytes %q = %#x, want %#x", impl.name, len(p), p, crc, want)
		}
		if want := bytes.IndexByte(p, Brace) >= 0; brace != want {
			t.Fatalf("%s of %d bytes %q finds a brace: %v, want %v", impl.name, len(p), p, brace, want)
		}
	}
	if !bytes.Equal(p, before) {
		t.Fatal("the bytes have changed")
	}
}

func TestSum(t *testing.T) {
	// The check value of CRC-16/XMODEM in the catalogue of parametrised CRCs.
	if crc, _ := Sum([]byte("123456789")); crc != 0x31c3 {
		t.Errorf("Sum = %#x, want 0x31c3", crc)
	}
	check(t, nil)
	r := rand.New(rand.NewPCG(1, 2))
	page := make([]byte, 5000)
	for n := range 200 {
		for range 20 {
			p := page[r.IntN(len(page)-n):][:n]
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			check(t, p)
		}
	}
	check(t, bytes.Repeat([]byte{0xff}, 100_000))
}

// TestBrace puts a brace at each place in and around strings of each length.
func TestBrace(t *testing.T) {
	for n := range 80 {
		for at := range 100 {
			all := bytes.Repeat([]byte{'x'}, 100)
			all[at] = Brace
			check(t, all[10:10+n])
		}
	}
}

func FuzzSum(f *testing.F) {
	for _, s := range []string{"", "foo", "{", "user:{1234567890}:profile", "\x00\xff{\xfe}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(check)
}

func BenchmarkSum(b *testing.B) {
	data := bytes.Repeat([]byte("key:1234567890abcdef"), 60)
	for _, impl := range implementations() {
		for _, n := range []int{4, 10, 16, 24, 40, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d", impl.name, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					impl.sum(data[:n])
				}
			})
		}
	}
}
