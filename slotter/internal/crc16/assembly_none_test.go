//go:build !amd64 || purego

package crc16

func assembly() []implementation { return nil }
