//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// mayOpen returns how many files the process may have open. The runtime has raised the soft
// limit to the hard one.
func mayOpen() (n int, known bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)), true //nolint:unconvert // it is signed elsewhere
}
