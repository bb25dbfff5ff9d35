package lzf

const (
	history = 1 << 13 // bytes that a reference can reach back
	longest = 264     // bytes that one reference gives
	room    = 32 << 10
)

// LongestOp is the most compressed bytes that belong together: a control byte and
// 32 literals. A Decoder never needs more at once.
const LongestOp = 1 + 32

// A Decoder decompresses a string piece by piece, in the memory that references
// need, some 40 KiB, however long the string is. The zero value is ready after
// Reset.
type Decoder struct {
	buf  []byte // history, then what has been decoded last
	from int    // first byte of the latter
	left uint64 // bytes that the string still has to give
}

// Reset makes d ready for a string that gives plain bytes. It keeps the buffer.
func (d *Decoder) Reset(plain uint64) {
	if d.buf == nil {
		d.buf = make([]byte, 0, history+room+longest)
	}
	d.buf, d.from, d.left = d.buf[:0], 0, plain
}

// Left returns how many bytes the string still has to give.
func (d *Decoder) Left() uint64 { return d.left }

// Bytes returns what the last call of Decode has decoded, valid until the next.
func (d *Decoder) Bytes() []byte { return d.buf[d.from:len(d.buf):len(d.buf)] }

// Decode decompresses from src as much as the buffer takes and returns how many
// bytes of src that was. It decodes no part of a control byte's run or reference,
// so src must start with a whole one. It fails with ErrCorrupt if src does not, if
// a reference reaches back beyond the start of the string, or if the string gets
// longer than was said.
func (d *Decoder) Decode(src []byte) (n int, err error) {
	if len(d.buf) > history { // the last bytes become the history
		keep := copy(d.buf, d.buf[len(d.buf)-history:])
		d.buf = d.buf[:keep]
	}
	d.from = len(d.buf)
	for n < len(src) && len(d.buf)+longest <= cap(d.buf) {
		used := d.op(src[n:])
		if used == 0 {
			if n > 0 && len(src)-n < LongestOp {
				break // perhaps the rest of it comes
			}
			return n, ErrCorrupt
		}
		n += used
	}
	return n, nil
}

// op decodes one run or reference and returns its length in src, 0 if it is none.
func (d *Decoder) op(src []byte) int {
	c := int(src[0])
	if c < 32 {
		n := c + 1
		if n >= len(src) || uint64(n) > d.left {
			return 0
		}
		d.buf = append(d.buf, src[1:1+n]...)
		d.left -= uint64(n)
		return 1 + n
	}
	n, i := c>>5+2, 1
	if n == 9 && len(src) > 1 {
		n += int(src[1])
		i++
	}
	if i >= len(src) || uint64(n) > d.left {
		return 0
	}
	o := len(d.buf)
	from := o - (c&0x1f<<8 | int(src[i])) - 1
	if from < 0 {
		return 0
	}
	d.buf = d.buf[:o+n]
	for end := o + n; o < end; { // as in Decompress
		o += copy(d.buf[o:end], d.buf[from:o])
	}
	d.left -= uint64(n)
	return i + 1
}

// Enough returns how many compressed bytes give at least n, if there are as many:
// each control byte has at least one byte behind it and gives at least as many.
func Enough(n int) uint64 { return uint64(2*n + LongestOp) }

// Prefix fills dst with the first bytes that src gives, as far as src is sound and
// long enough, and returns how many these are.
func Prefix(dst, src []byte) int {
	var d Decoder
	d.buf, d.left = make([]byte, 0, len(dst)+longest), 1<<62
	for i := 0; i < len(src) && len(d.buf) < len(dst); {
		used := d.op(src[i:])
		if used == 0 {
			break
		}
		i += used
	}
	return copy(dst, d.buf)
}
