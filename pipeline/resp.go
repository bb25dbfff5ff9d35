package pipeline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// replyBuffer is the size in bytes of a lane's buffer for replies.
const replyBuffer = 16 << 10

// mostReply is how many bytes of a bulk reply are held, where nobody says: as many as of
// one part of a value of the dump, at the most. Nothing longer is equal to one.
const mostReply = autoBig

// mostKept is how many bytes for bulk replies are kept for those that follow.
const mostKept = 64 << 10

// maxLine bounds the length of a reply that is one line.
const maxLine = 8 << 10

// errProtocol says that what the server sent is no reply.
var errProtocol = errors.New("reply is not in the protocol of Redis")

// A replyReader reads replies of the protocol's version 2 from a connection.
type replyReader struct {
	src      io.Reader
	buf      []byte
	from, to int
	big      []byte // a bulk reply that does not fit into buf
	most     int    // bytes of a bulk reply that is held, beyond those of buf
	counts   *memory
	counted  int64 // bytes of big that are counted there

	// taken counts the replies taken out.
	taken int64

	// expect is called before each read, arrived after it, before the bytes are
	// looked at.
	expect  func()
	arrived func() error
}

func newReplyReader(src io.Reader) *replyReader {
	return &replyReader{src: src, buf: make([]byte, replyBuffer), most: mostReply, expect: func() {}, arrived: func() error { return nil }}
}

// fill reads more bytes behind those that are there.
func (r *replyReader) fill() error {
	if r.from > 0 {
		copy(r.buf, r.buf[r.from:r.to])
		r.to -= r.from
		r.from = 0
	}
	if r.to == len(r.buf) {
		return fmt.Errorf("%w: a line of more than %d bytes", errProtocol, len(r.buf))
	}
	r.expect()
	n, err := r.src.Read(r.buf[r.to:])
	r.to += n
	if n > 0 {
		return r.arrived()
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// okWord is "+OK\r" as a little-endian number.
const okWord = '+' | 'O'<<8 | 'K'<<16 | '\r'<<24

// oks consumes the replies "+OK" that are at hand, most of them at the most, and
// returns how many there were.
func (r *replyReader) oks(most int) int {
	b, n := r.buf[r.from:r.to], 0
	for n < most && len(b) >= 5 && binary.LittleEndian.Uint32(b) == okWord && b[4] == '\n' {
		b = b[5:]
		n++
	}
	r.from += 5 * n
	r.taken += int64(n)
	return n
}

// A reply is a simple reply, or the head of an array, whose parts are read one
// by one. Its bytes are borrowed until the next read.
type reply struct {
	kind byte // '+', '-', ':', '$' or '*'
	text []byte
	null bool  // a bulk reply or an array that is nil
	size int64 // of an array
	long int64 // bytes of a bulk reply that is not held: there is no text
}

// is reports whether the bytes of a bulk reply are p.
func (r *reply) is(p []byte) bool { return r.long == 0 && !r.null && bytes.Equal(r.text, p) }

// line reads one reply up to the end of its line.
func (r *replyReader) line() ([]byte, error) {
	scanned := 0
	for {
		for i := r.from + scanned; i+1 < r.to; i++ {
			if r.buf[i] == '\r' && r.buf[i+1] == '\n' {
				line := r.buf[r.from:i]
				r.from = i + 2
				if len(line) == 0 {
					return nil, fmt.Errorf("%w: an empty line", errProtocol)
				}
				return line, nil
			}
		}
		scanned = max(0, r.to-r.from-1)
		if scanned > maxLine {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", errProtocol, maxLine)
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// next reads one reply. A bulk reply is read whole; one that is too long to be held is
// passed over.
func (r *replyReader) next() (reply, error) {
	line, err := r.line()
	if err != nil {
		return reply{}, err
	}
	r.taken++
	switch line[0] {
	case '+', '-', ':':
		return reply{kind: line[0], text: line[1:]}, nil
	case '$':
		n, ok := parseInt(line[1:])
		if !ok || n < -1 {
			return reply{}, fmt.Errorf("%w: bulk of %q bytes", errProtocol, line[1:])
		}
		if n < 0 {
			return reply{kind: '$', null: true}, nil
		}
		if n > int64(max(r.most, len(r.buf)-2)) {
			return reply{kind: '$', long: n}, r.discard(n)
		}
		text, err := r.bulk(int(n))
		return reply{kind: '$', text: text}, err
	case '*':
		n, ok := parseInt(line[1:])
		if !ok || n < -1 {
			return reply{}, fmt.Errorf("%w: array of %q parts", errProtocol, line[1:])
		}
		return reply{kind: '*', null: n < 0, size: max(n, 0)}, nil
	}
	return reply{}, fmt.Errorf("%w: a reply of kind %q", errProtocol, line[0])
}

// bulk reads n bytes and the end of the line behind them. The memory for them
// grows with what arrives.
func (r *replyReader) bulk(n int) ([]byte, error) {
	if n+2 <= len(r.buf) {
		for r.to-r.from < n+2 {
			if err := r.fill(); err != nil {
				return nil, err
			}
		}
		text := r.buf[r.from : r.from+n]
		r.from += n + 2
		return text, nil
	}
	r.big = append(r.big[:0], r.buf[r.from:r.to]...)
	r.from, r.to = 0, 0
	for len(r.big) < n+2 {
		have := len(r.big)
		step := min(n+2-have, max(have, 64<<10))
		r.big = append(r.big, make([]byte, step)...)
		r.count()
		m, err := io.ReadFull(r.src, r.big[have:])
		if err != nil {
			r.big = r.big[:have+m]
			return nil, err
		}
	}
	text := r.big[:n]
	return text, nil
}

// head reads the head of a bulk reply whose bytes take and done read. An error
// reply, or nil, has none.
func (r *replyReader) head() (rep reply, n int64, err error) {
	line, err := r.line()
	if err != nil {
		return reply{}, 0, err
	}
	r.taken++
	rep = reply{kind: line[0], text: line[1:]}
	if rep.kind == '-' {
		return rep, 0, nil
	}
	n, ok := parseInt(rep.text)
	if rep.kind != '$' || !ok || n < -1 {
		return reply{}, 0, fmt.Errorf("%w: %q in place of a bulk reply", errProtocol, line)
	}
	rep.null = n < 0
	return rep, max(n, 0), nil
}

// take reads up to n bytes of a bulk reply, borrowed until the next read.
func (r *replyReader) take(n int) ([]byte, error) {
	if r.from == r.to {
		r.from, r.to = 0, 0
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	p := r.buf[r.from:min(r.to, r.from+n)]
	r.from += len(p)
	return p, nil
}

// done reads the end of the line behind a bulk reply.
func (r *replyReader) done() error {
	for n := 2; n > 0; {
		p, err := r.take(n)
		if err != nil {
			return err
		}
		n -= len(p)
	}
	return nil
}

// common reads of the n bytes of a bulk reply those that are the first bytes of p too,
// and returns how many these are.
func (r *replyReader) common(p []byte, n int64) (int, error) {
	most := int(min(int64(len(p)), n))
	for at := 0; at < most; {
		have, err := r.take(most - at)
		if err != nil {
			return at, err
		}
		same := commonPrefix(have, p[at:])
		if at += same; same < len(have) {
			r.from -= len(have) - same
			return at, nil
		}
	}
	return most, nil
}

// rest reads what is left of a bulk reply of n bytes that begins with read, which was read
// already, and the end of the line behind it. All of the reply is in big then.
func (r *replyReader) rest(read []byte, n int) error {
	if cap(r.big) < n {
		r.big = make([]byte, 0, n)
	}
	r.big = append(r.big[:0], read...)
	for len(r.big) < n {
		p, err := r.take(n - len(r.big))
		if err != nil {
			return err
		}
		r.big = append(r.big, p...)
	}
	return r.done()
}

// commonPrefix returns how many first bytes of a and b, which is as long at least, are
// the same.
func commonPrefix(a, b []byte) int {
	if bytes.Equal(a, b[:len(a)]) {
		return len(a)
	}
	n := 0
	for a[n] == b[n] {
		n++
	}
	return n
}

// discard passes over the n bytes that are left of a bulk reply, and the end of the line
// behind them.
func (r *replyReader) discard(n int64) error {
	for n > 0 {
		p, err := r.take(int(min(n, int64(len(r.buf)))))
		if err != nil {
			return err
		}
		n -= int64(len(p))
	}
	return r.done()
}

// release gives up the memory that a large bulk reply needed.
func (r *replyReader) release() {
	if cap(r.big) > mostKept {
		r.drop()
	}
}

// drop gives up all memory for bulk replies.
func (r *replyReader) drop() {
	r.big = nil
	r.count()
}

// count counts the memory for bulk replies.
func (r *replyReader) count() {
	if r.counts != nil {
		r.counts.hold(&r.counted, int64(cap(r.big)))
	}
}

// parseInt reads a decimal number.
func parseInt(b []byte) (n int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0') // less than 2^64, so that too many show as a negative number
	}
	if n < 0 {
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}
