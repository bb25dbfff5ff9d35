//go:build unix

package crc16

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBounds sums strings around and at the end of a page behind which nothing can
// be read: a load that goes there ends the test with a fault.
func TestBounds(t *testing.T) {
	page := unix.Getpagesize()
	mapped, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	defer func() {
		if err := unix.Munmap(mapped); err != nil {
			t.Errorf("munmap: %v", err)
		}
	}()
	for i := range mapped {
		mapped[i] = byte(i*7 + i>>8)
	}
	for _, guard := range [][]byte{mapped[:page], mapped[3*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatalf("mprotect: %v", err)
		}
	}
	readable := mapped[page : 3*page]
	for n := range 100 {
		for gap := range 100 {
			check(t, readable[gap:][:n])
			check(t, readable[page-50+gap:][:n]) // over the border of two pages
			check(t, readable[2*page-n-gap:][:n])
		}
	}
}
