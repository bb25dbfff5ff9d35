//go:build !amd64 || purego

package prefetch

import "unsafe"

func ahead(_, _ unsafe.Pointer) {}
