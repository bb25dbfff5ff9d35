//go:build !purego

package crc64

import (
	"math/big"
	"math/bits"
	"testing"

	"golang.org/x/sys/cpu"
)

func assembly() []implementation {
	var all []implementation
	if level >= levelCLMUL {
		all = append(all, implementation{"CLMUL", updateCLMUL})
	}
	if level >= levelVPCLMUL {
		all = append(all, implementation{"VPCLMUL", updateVPCLMUL})
	}
	return all
}

// TestLevel makes sure that a processor known to the cpu package to have what
// the assembly needs also runs it.
func TestLevel(t *testing.T) {
	if cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41 && level < levelCLMUL {
		t.Errorf("level %d with PCLMULQDQ and SSE4.1", level)
	}
	if cpu.X86.HasAVX512VPCLMULQDQ && level != levelVPCLMUL {
		t.Errorf("level %d with VPCLMULQDQ", level)
	}
	t.Logf("level %d", level)
}

// TestLevels runs Update and Seal, which dispatch in assembly, at every level up to
// the processor's own.
func TestLevels(t *testing.T) {
	best := level
	defer func() { level = best }()
	data := randomBytes(1000)
	want := bitwise(3, data)
	for l := range best + 1 {
		level = l
		if got := Update(3, data); got != want {
			t.Errorf("level %d: Update = %#x, want %#x", l, got, want)
		}
		for n := range len(data) {
			checkSeal(t, 5, data[:n], 10)
		}
	}
}

// TestConstants derives the constants from the polynomial, in plain polynomial
// arithmetic: bit i of a big.Int is the coefficient of x^i.
func TestConstants(t *testing.T) {
	// The polynomial as it is usually written, and its x^64.
	p := new(big.Int).SetUint64(0xad93d23594c935a9)
	p.SetBit(p, 64, 1)
	if got := bits.Reverse64(p.Uint64()); got != poly {
		t.Fatalf("reflected polynomial is %#x, not %#x", got, uint64(poly))
	}

	check := func(name string, got, want uint64) {
		if got != want {
			t.Errorf("%s is %#x, want %#x", name, got, want)
		}
	}
	// factor is what multiplies by x^n: reflected, with one power less.
	factor := func(n int) uint64 {
		x := new(big.Int).Lsh(big.NewInt(1), uint(n-1))
		_, rest := divide(x, p)
		return bits.Reverse64(rest.Uint64())
	}
	for row, constants := range foldTable {
		behind := 128 * (len(foldTable) - 1 - row)
		check("foldTable L", constants[0], factor(behind+128))
		check("foldTable H", constants[1], factor(behind+64))
	}
	check("fold16 L", fold16[0], factor(128+64))
	check("fold16 H", fold16[1], factor(128))
	check("fold128 L", fold128[0], factor(1024+64))
	check("fold128 H", fold128[1], factor(1024))

	// reflect65 is the 65 coefficients reflected, less the last, x^0.
	reflect65 := func(a *big.Int) uint64 {
		if a.BitLen() != 65 {
			t.Fatalf("%#x is not of degree 64", a)
		}
		return bits.Reverse64(new(big.Int).Rsh(a, 1).Uint64())
	}
	mu, _ := divide(new(big.Int).Lsh(big.NewInt(1), 128), p)
	check("barrett mu", barrett[0], reflect65(mu))
	check("barrett P", barrett[1], reflect65(p))
}

// divide is polynomial division over GF(2).
func divide(a, b *big.Int) (quotient, rest *big.Int) {
	quotient, rest = new(big.Int), new(big.Int).Set(a)
	for rest.BitLen() >= b.BitLen() {
		shift := rest.BitLen() - b.BitLen()
		quotient.SetBit(quotient, shift, 1)
		rest.Xor(rest, new(big.Int).Lsh(b, uint(shift)))
	}
	return quotient, rest
}
