//go:build !amd64 || purego

package crc64

func assembly() []implementation { return nil }
