package source

import (
	"io"
	"slices"
	"sync"
)

// headSize is how many first bytes of a layer may be looked at before they are read, and how many first bytes of the
// raw input tell one dump from another.
const headSize = 64 << 10

// maxEmptyReads is how often a reader may return no byte and no error in a row.
const maxEmptyReads = 100

// lookahead keeps the first bytes of a layer, so that they can be looked at before they are read, and hashed after.
// Once the head is delivered, reads go straight into the caller's buffer.
type lookahead struct {
	r    io.Reader
	mu   sync.Mutex // guards head against Identity; the reading goroutine alone writes it
	head []byte
	pos  int   // how much of head has been delivered
	keep int   // head grows up to this length
	err  error // met while filling head, due once it is delivered
}

func newLookahead(r io.Reader) *lookahead { return &lookahead{r: r, keep: headSize} }

// Read delivers what is left of the head, then reads on.
func (l *lookahead) Read(p []byte) (int, error) {
	if l.pos < len(l.head) {
		n := copy(p, l.head[l.pos:])
		l.pos += n
		return n, nil
	}
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p)
	if room := l.keep - len(l.head); room > 0 && n > 0 {
		l.grow(p[:min(n, room)])
		l.pos = len(l.head)
	}
	if err != nil {
		l.err = err
	}
	return n, err
}

func (l *lookahead) grow(b []byte) {
	l.mu.Lock()
	l.head = append(l.head, b...)
	l.mu.Unlock()
}

// seen gives the head so far. The bytes are never changed afterwards.
func (l *lookahead) seen() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head[:len(l.head):len(l.head)]
}

// rest is what can be looked at and has not been delivered.
func (l *lookahead) rest() []byte { return l.head[l.pos:] }

// fill reads once more into the head. It reports false when the head is full or the layer has ended (see err).
func (l *lookahead) fill() bool {
	if l.err != nil || len(l.head) >= l.keep {
		return false
	}
	l.mu.Lock()
	l.head = slices.Grow(l.head, l.keep-len(l.head))
	l.mu.Unlock()
	room := l.head[len(l.head):l.keep] // nobody sees it before head is made longer
	for range maxEmptyReads {
		n, err := l.r.Read(room)
		l.err = err
		if n > 0 {
			l.mu.Lock()
			l.head = l.head[:len(l.head)+n]
			l.mu.Unlock()
			return true
		}
		if err != nil {
			return false
		}
	}
	l.err = io.ErrNoProgress
	return false
}

// freeze ends the keeping of bytes: what passes from now on is no part of the head.
func (l *lookahead) freeze() { l.keep = len(l.head) }

// jumped tells that the reader below stands elsewhere now.
func (l *lookahead) jumped() {
	l.freeze()
	l.pos = len(l.head)
	l.err = nil
}
