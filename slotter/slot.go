package slotter

import "bytes"

// Slots is the number of hash slots of a cluster.
const Slots = 16384

// crcTables holds the CRC16/XMODEM tables (polynomial 0x1021, not reflected): crcTables[n][b] is the remainder of byte b followed by
// n zero bytes, so that eight bytes are folded with eight independent loads.
var crcTables = makeCRCTables()

func makeCRCTables() (t [8][256]uint16) {
	for b := range 256 {
		crc := uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[0][b] = crc
	}
	for n := 1; n < len(t); n++ {
		for b := range 256 {
			prev := t[n-1][b]
			t[n][b] = prev<<8 ^ t[0][prev>>8]
		}
	}
	return t
}

// Slot returns the slot of key: CRC16/XMODEM of its hash tag, modulo Slots. The hash tag is what stands between the first '{' and the
// first '}' after it, if that is not empty; without one it is the whole key. The slot does not depend on the database.
func Slot(key []byte) uint16 {
	return crc16(hashTag(key)) & (Slots - 1)
}

// hashTag returns the part of key that decides its slot.
func hashTag(key []byte) []byte {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return key
	}
	tag := key[open+1:]
	if end := bytes.IndexByte(tag, '}'); end > 0 {
		return tag[:end]
	}
	return key
}

// crc16 is CRC16/XMODEM: init 0, no reflection, no final xor.
func crc16(p []byte) uint16 {
	t := &crcTables
	var crc uint16
	for len(p) >= 8 {
		crc = t[7][p[0]^byte(crc>>8)] ^ t[6][p[1]^byte(crc)] ^
			t[5][p[2]] ^ t[4][p[3]] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	if len(p) >= 4 {
		crc = t[3][p[0]^byte(crc>>8)] ^ t[2][p[1]^byte(crc)] ^ t[1][p[2]] ^ t[0][p[3]]
		p = p[4:]
	}
	for _, b := range p {
		crc = crc<<8 ^ t[0][byte(crc>>8)^b]
	}
	return crc
}
