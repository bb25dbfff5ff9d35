//go:build unix

package crc64

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBounds sums slices that start or end right at a page that cannot be read:
// a load beyond the slice ends the test with a fault.
func TestBounds(t *testing.T) {
	page := unix.Getpagesize()
	mapped, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	defer func() {
		if err := unix.Munmap(mapped); err != nil {
			t.Errorf("munmap: %v", err)
		}
	}()
	copy(mapped[page:], randomBytes(page))
	for _, guard := range [][]byte{mapped[:page], mapped[2*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatalf("mprotect: %v", err)
		}
	}
	readable := mapped[page : 2*page]

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
