//go:build !amd64 || purego

package crc16

func sum(p []byte) (crc uint16, brace bool) { return sumGeneric(p) }
