package lzf_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
)

// compressed returns what the data set's compressor makes of plain, without the
// head of a string; nil if it does not compress.
func compressed(plain []byte) []byte {
	s := dataset.AppendLZFString(nil, plain)
	if len(s) == 0 || s[0] != 0xc3 {
		return nil
	}
	s = s[1:]
	for range 2 { // two lengths of 6, 14 or 32 bits
		s = s[[]int{1, 2, 5, 0}[s[0]>>6]:]
	}
	return s
}

// decode decompresses src through a Decoder, given to it in pieces that cut
// chooses, each long enough for what belongs together.
func decode(src []byte, plain uint64, cut func() int) (out []byte, err error) {
	var d lzf.Decoder
	d.Reset(plain)
	for len(src) > 0 {
		n, err := d.Decode(src[:min(len(src), lzf.LongestOp+cut())])
		if err != nil {
			return out, err
		}
		out = append(out, d.Bytes()...)
		src = src[n:]
	}
	if d.Left() > 0 {
		return out, lzf.ErrCorrupt
	}
	return out, nil
}

// compare decompresses src both ways.
func compare(t *testing.T, src []byte, plain int, cut func() int) {
	t.Helper()
	want := make([]byte, plain)
	wantErr := lzf.Decompress(want, src)
	got, err := decode(src, uint64(plain), cut)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%d bytes of %d: %v, but whole: %v", plain, len(src), err, wantErr)
	}
	if err != nil {
		return
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d differ", plain, len(src))
	}
	for _, n := range []int{0, 1, 16, 40} {
		p := make([]byte, n)
		if m := lzf.Prefix(p, src[:min(uint64(len(src)), lzf.Enough(n))]); m < min(n, plain) || !bytes.HasPrefix(want, p[:m]) {
			t.Fatalf("prefix of %d: %d bytes, %q", n, m, p)
		}
	}
}

// text returns n bytes of which parts come again, some from as far back as a
// reference reaches.
func text(rnd *rand.Rand, n int) []byte {
	p := make([]byte, 0, n+300)
	for len(p) < n {
		switch back := rnd.IntN(9000); {
		case back < len(p) && rnd.IntN(3) > 0:
			for k := rnd.IntN(300); k > 0; k-- {
				p = append(p, p[len(p)-1-back])
			}
		default:
			for k := rnd.IntN(60); k > 0; k-- {
				p = append(p, byte(rnd.Uint32()))
			}
		}
	}
	return p[:n]
}

func TestDecoder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	tried := 0
	for _, size := range []int{5, 30, 264, 8191, 8192, 8193, 40000, 300000} {
		for range 10 {
			plain := text(rnd, size)
			src := compressed(plain)
			if src == nil {
				continue
			}
			tried++
			compare(t, src, size, func() int { return rnd.IntN(1 << rnd.IntN(20)) })
			compare(t, src, size+1, func() int { return 0 })
			compare(t, src, size-1, func() int { return 0 })
			compare(t, src[:len(src)-1], size, func() int { return 0 })
		}
	}
	if tried < 40 {
		t.Errorf("only %d texts were compressed", tried)
	}
	// The farthest reference there is, over an edge of the buffer.
	far := bytes.Clone(text(rnd, 8192))
	src := []byte{}
	for i := 0; i < len(far); i += 32 {
		src = append(append(src, 31), far[i:i+32]...)
	}
	for range 20000 {
		src = append(src, 0xff, 255, 0xff)
	}
	compare(t, src, 8192+20000*264, func() int { return 5 })
	compare(t, append(src[:32*33:32*33], 0xff, 255, 0xff), 32*32+264, func() int { return 5 })
}

func TestDecoderAllocates(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	plain := text(rnd, 100000)
	src := compressed(plain)
	var d lzf.Decoder
	d.Reset(1)
	if n := testing.AllocsPerRun(10, func() {
		d.Reset(uint64(len(plain)))
		for p := src; len(p) > 0; {
			n, err := d.Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			p = p[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecoder decompresses any bytes piece by piece; the oracle is Decompress.
func FuzzDecoder(f *testing.F) {
	rnd := rand.New(rand.NewPCG(2, 2))
	for _, size := range []int{30, 300, 9000} {
		plain := text(rnd, size)
		f.Add(compressed(plain), uint32(size), uint64(7))
	}
	f.Add([]byte{1, 'a', 'a', 0xe0, 25, 0}, uint32(36), uint64(0))
	f.Fuzz(func(t *testing.T, src []byte, plain uint32, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		compare(t, src, int(plain%(1<<20)), func() int { return rnd.IntN(100) })
	})
}

func BenchmarkDecoder(b *testing.B) {
	plain := text(rand.New(rand.NewPCG(1, 1)), 1<<20)
	src := compressed(plain)
	b.Run("pieces", func(b *testing.B) {
		var d lzf.Decoder
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			d.Reset(uint64(len(plain)))
			for p := src; len(p) > 0; {
				n, err := d.Decode(p)
				if err != nil {
					b.Fatal(err)
				}
				p = p[n:]
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		dst := make([]byte, len(plain))
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			if err := lzf.Decompress(dst, src); err != nil {
				b.Fatal(err)
			}
		}
	})
}
