//go:build !purego

package prefetch

import "unsafe"

//go:noescape
func ahead(buf, cmds unsafe.Pointer)
