package pipeline

import "syscall"

// setLowWater sets the low-water mark of a socket's receive buffer. A system that
// refuses it wakes the reader sooner, which is all that it costs.
func setLowWater(fd uintptr, bytes int) {
	_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes)
}
