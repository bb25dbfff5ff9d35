// Package lzf decompresses LZF, the compression of strings in a dump.
package lzf

import "errors"

// ErrCorrupt says that compressed bytes do not give what their header promised.
var ErrCorrupt = errors.New("damaged LZF string")

// Decompress fills dst with what src gives. It fails with ErrCorrupt unless src
// gives exactly len(dst) bytes.
//
// The format is liblzf's: a control byte below 32 starts a run of that many plus
// one literal bytes; any other is a reference backwards, three bits of length
// (7: one more byte of it) and 13 of distance.
func Decompress(dst, src []byte) error {
	i, o := 0, 0
	for i < len(src) {
		c := int(src[i])
		i++
		if c < 32 {
			n := c + 1
			if n > len(src)-i || n > len(dst)-o {
				return ErrCorrupt
			}
			copy(dst[o:], src[i:i+n])
			i += n
			o += n
			continue
		}
		n := c>>5 + 2
		if n == 9 {
			if i >= len(src) {
				return ErrCorrupt
			}
			n += int(src[i])
			i++
		}
		if i >= len(src) {
			return ErrCorrupt
		}
		from := o - (c&0x1f<<8 | int(src[i])) - 1
		i++
		if from < 0 || n > len(dst)-o {
			return ErrCorrupt
		}
		// The source may run into what is being written: a reference to the last
		// byte repeats it. Copying in doubling steps keeps that meaning.
		for end := o + n; o < end; {
			o += copy(dst[o:end], dst[from:o])
		}
	}
	if o != len(dst) {
		return ErrCorrupt
	}
	return nil
}

// Size returns how many bytes src gives, going by its control bytes only, so that
// nothing is allocated for what a header claims.
func Size(src []byte) (size uint64) {
	for i := 0; i < len(src); {
		c := int(src[i])
		i++
		if c < 32 {
			size += uint64(c) + 1
			i += c + 1
			continue
		}
		n := c>>5 + 2
		if n == 9 && i < len(src) {
			n += int(src[i])
			i++
		}
		i++
		size += uint64(n)
	}
	return size
}
