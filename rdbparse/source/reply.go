package source

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// markSize is the length of the random mark that ends a diskless replication reply.
const markSize = 40

// reply is the header a master sends in front of an RDB: "$<decimal>\r\n", or "$EOF:<40 hex digits>\r\n" where the
// length is not known beforehand, both possibly behind keep-alive newlines.
type reply struct {
	length int64  // -1 where a mark ends it
	mark   []byte // nil where a length ends it
}

// openReply takes the header off l and gives the layer inside it.
func (s *Source) openReply(l *lookahead) (*lookahead, error) {
	for len(l.rest()) > 0 || l.fill() {
		if l.rest()[0] != '\n' {
			break
		}
		l.pos++
	}
	// The longest header is $EOF: with its mark; a length has at most 19 digits.
	const longest = len("$EOF:") + markSize + len("\r\n")
	for len(l.rest()) < longest && bytes.IndexByte(l.rest(), '\n') < 0 && l.fill() {
	}
	if l.err != nil && l.err != io.EOF {
		return nil, l.err
	}
	b := l.rest()
	b = b[:min(len(b), longest)]
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if !whole && len(b) < longest {
		return nil, s.wrong(ErrTruncated, "it ends inside the header of a replication reply", "")
	}
	digits, crlf := bytes.CutSuffix(line, []byte("\r"))
	r, ok := parseReply(digits)
	if !ok || !crlf {
		return nil, s.wrong(ErrNotRDB, fmt.Sprintf("it starts with %q, which is no replication reply", b[:min(len(b), 16)]), "")
	}
	l.pos += len(line) + 1
	s.base = int64(l.pos) // l is the raw input wherever base is used
	s.reply = &r
	s.wrappers = append(s.wrappers, "replication stream")
	if r.mark != nil {
		return l, nil
	}
	s.body = &body{r: l, s: s, length: r.length, left: r.length}
	return newLookahead(s.body), nil
}

func parseReply(line []byte) (reply, bool) {
	if mark, ok := bytes.CutPrefix(line, []byte("$EOF:")); ok {
		return reply{length: -1, mark: bytes.Clone(mark)}, isMark(mark)
	}
	digits, ok := bytes.CutPrefix(line, []byte("$"))
	if !ok || len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return reply{}, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return reply{length: n}, err == nil
}

// isMark accepts letters and digits: servers write hex, test tools have written others.
func isMark(b []byte) bool {
	if len(b) != markSize {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// body ends after the announced number of bytes, so that a connection which stays open is not waited for.
type body struct {
	r            io.Reader
	s            *Source
	length, left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		found := fmt.Sprintf("it ends after %d of the %d bytes that its replication reply announced", b.length-b.left, b.length)
		err = b.s.fail(&Error{Name: b.s.name, Kind: ErrTruncated, Found: found, Hint: hintAgain, Err: io.ErrUnexpectedEOF})
	}
	return n, err
}
