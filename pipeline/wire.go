package pipeline

import (
	"fmt"
	"math"
	"strconv"
)

// A wire renders commands one argument after another, and reads replies. What it
// is embedded in does the writing.
type wire struct {
	addr    string // of the server, for errors
	replies *replyReader

	buf   []byte // whole commands that are not written yet
	args  []byte // arguments of the command being built, count of them
	count int
}

// A replyError is an error that a server gave in reply.
type replyError struct {
	addr, text string
}

// Error returns what the server said.
func (e *replyError) Error() string { return e.addr + ": " + e.text }

// word, bytes and int add an argument.
func (w *wire) word(s string) {
	w.args = append(strconv.AppendInt(append(w.args, '$'), int64(len(s)), 10), '\r', '\n')
	w.args = append(append(w.args, s...), '\r', '\n')
	w.count++
}

func (w *wire) bytes(p []byte) {
	w.args = append(strconv.AppendInt(append(w.args, '$'), int64(len(p)), 10), '\r', '\n')
	w.args = append(append(w.args, p...), '\r', '\n')
	w.count++
}

func (w *wire) int(n int64) {
	var b [20]byte
	w.bytes(strconv.AppendInt(b[:0], n, 10))
}

// begin adds the name of a command and the key that it is about.
func (w *wire) begin(command string, key []byte) {
	w.word(command)
	w.bytes(key)
}

// end moves the arguments into the buffer as one command, of which more
// arguments follow there.
func (w *wire) end(more int) {
	w.buf = strconv.AppendInt(append(w.buf, '*'), int64(w.count+more), 10)
	w.buf = append(w.buf, '\r', '\n')
	w.buf = append(w.buf, w.args...)
	w.args, w.count = w.args[:0], 0
}

// next reads one reply. An error in it is a *replyError; of an array only the
// size is read.
func (w *wire) next() (reply, error) {
	rep, err := w.replies.next()
	if err == nil && rep.kind == '-' {
		err = &replyError{w.addr, string(rep.text)}
	}
	return rep, err
}

// skip reads one reply with all its parts. Errors are as with next.
func (w *wire) skip() error { return w.skipTo(mostNested) }

// mostNested is how deep arrays may lie within each other in a reply.
const mostNested = 8

func (w *wire) skipTo(depth int) error {
	rep, err := w.next()
	if depth == 0 && rep.size > 0 {
		return fmt.Errorf("%w: arrays within each other", errProtocol)
	}
	for ; err == nil && rep.size > 0; rep.size-- {
		err = w.skipTo(depth - 1)
	}
	return err
}

// score adds the score of a member of a sorted set, exactly: the shortest text
// that reads as the same number.
func (w *wire) score(s float64) {
	if n := int64(s); s == float64(n) && n < 1<<53 && n > 0 {
		w.int(n)
		return
	}
	var b [32]byte
	switch {
	case math.IsInf(s, 1):
		w.word("inf")
	case math.IsInf(s, -1):
		w.word("-inf")
	default:
		w.bytes(strconv.AppendFloat(b[:0], s, 'g', -1, 64))
	}
}
