//go:build !purego

package crc16

import "testing"

func assembly() []implementation {
	if !fast {
		return nil
	}
	return []implementation{{"CLMUL", sumCLMUL}}
}

// TestWithout has Sum do without the assembly.
func TestWithout(t *testing.T) {
	before := fast
	defer func() { fast = before }()
	fast = false
	check(t, []byte("a key of {some} length"))
}

// TestConstants derives the constants from the polynomial; bit i of a number is
// the coefficient of x^i.
func TestConstants(t *testing.T) {
	// power divides x^n by P, bit by bit.
	power := func(n int) (quotient, rest uint64) {
		rest = 1
		for range n {
			rest <<= 1
			quotient <<= 1 // the highest bits, of which x^64 is known, are lost
			if rest&0x10000 != 0 {
				rest ^= 0x11021
				quotient |= 1
			}
		}
		return quotient, rest
	}
	for _, c := range []struct {
		name string
		got  uint64
		n    int
	}{
		{"x^128", fold[0], 128}, {"x^192", fold[1], 192}, {"x^80", reduce[0], 80},
	} {
		if _, want := power(c.n); c.got != want {
			t.Errorf("%s mod P is %#x, want %#x", c.name, c.got, want)
		}
	}
	if want, _ := power(80); reduce[1] != want {
		t.Errorf("x^80 / P is %#x, want %#x", reduce[1], want)
	}
}
