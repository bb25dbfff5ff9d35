//go:build unix

package crc64

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBounds sums slices that start or end right at a page that cannot be read:
// a load beyond the slice ends the test with a fault.
func TestBounds(t *testing.T) {
	readable := lonePage(t)
	page := len(readable)
	copy(readable, randomBytes(page))
	for _, impl := range implementations() {
		for n := range 600 {
			// Close behind the first page too, where masked loads could reach into it.
			for gap := range 100 {
				p := readable[gap : gap+n]
				if got, want := impl.update(9, p), updateGeneric(9, p); got != want {
					t.Fatalf("%s of %d bytes, %d bytes into the page = %#x, want %#x", impl.name, n, gap, got, want)
				}
			}
			p := readable[page-n:]
			if got, want := impl.update(9, p), updateGeneric(9, p); got != want {
				t.Fatalf("%s of %d bytes at the end of the page = %#x, want %#x", impl.name, n, got, want)
			}
		}
	}
}

// TestSealBounds does the same with Seal, which must not write beyond either.
func TestSealBounds(t *testing.T) {
	source, target := lonePage(t), lonePage(t)
	page := len(source)
	copy(source, randomBytes(page))
	check := func(p, dst []byte) {
		t.Helper()
		Seal(dst, 3, p, 10)
		want := make([]byte, len(p)+SealSize)
		sealGeneric(want, 3, p, 10)
		if !bytes.Equal(dst[:len(want)], want) {
			t.Fatalf("%d bytes: %x, want %x", len(p), dst[:len(want)], want)
		}
	}
	for n := range 600 {
		for gap := range 20 {
			check(source[gap:gap+n], target[gap:])
			check(source[page-gap-n:page-gap], target[page-gap-n-SealSize:page-gap])
		}
	}
}

// lonePage returns a page of memory between two that can be neither read nor written.
func lonePage(t *testing.T) []byte {
	t.Helper()
	page := unix.Getpagesize()
	mapped, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mapped); err != nil {
			t.Errorf("munmap: %v", err)
		}
	})
	for _, guard := range [][]byte{mapped[:page], mapped[2*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatalf("mprotect: %v", err)
		}
	}
	return mapped[page : 2*page]
}
