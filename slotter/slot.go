package slotter

import (
	"bytes"

	"github.com/rdbimport/rdbimport/slotter/internal/crc16"
)

// Slots is the number of hash slots of a cluster.
const Slots = 16384

// Slot returns the slot of key: CRC16/XMODEM of its hash tag, modulo Slots. The hash tag is what stands between the first '{' and the
// first '}' after it, if that is not empty; without one it is the whole key. The slot does not depend on the database.
func Slot(key []byte) uint16 {
	crc, brace := crc16.Sum(key)
	if brace {
		crc, _ = crc16.Sum(hashTag(key))
	}
	return crc & (Slots - 1)
}

// hashTag returns the part of key that decides its slot.
func hashTag(key []byte) []byte {
	open := bytes.IndexByte(key, crc16.Brace)
	if open < 0 {
		return key
	}
	tag := key[open+1:]
	if end := bytes.IndexByte(tag, '}'); end > 0 {
		return tag[:end]
	}
	return key
}
