//go:build !linux

package pipeline

// setLowWater does nothing: not every system looks at the mark when a program
// waits for many connections at once.
func setLowWater(uintptr, int) {}
