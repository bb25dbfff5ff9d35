package pipeline

import (
	"math/bits"
	"net"
	"sync"
	"syscall"
	"time"
)

// A lowWater tells the system how many bytes of replies have to be there before
// it wakes a connection's reader. Masters answer a few commands at a time, and to
// wake the reader for each handful costs more than to read what they say.
//
// What is waited for is part of what is owed for commands that are written
// already, so that it comes without anything more being sent. It is less where
// replies come slowly, so that each is read soon: a master's health is judged by
// when it was last heard.
type lowWater struct {
	conn syscall.RawConn // nil where the system is not told
	step int             // of the reader: the mark is 1<<step bytes, or less

	mu   sync.Mutex // guards mark
	mark int        // in force
	told func(fd uintptr)
}

const (
	// leastReply is the length in bytes of the shortest reply, "+OK\r\n".
	leastReply = 5
	// mostStep is for a mark of 8 KiB, or 1638 replies.
	mostStep = 13
	// The reader should have to wait no less than waitSoon, and no more than
	// waitLong.
	waitSoon = 10 * time.Millisecond
	waitLong = 50 * time.Millisecond
)

// newLowWater returns the low-water mark of conn. With TLS the system is not
// told: it does not know which bytes are replies.
func newLowWater(conn net.Conn) *lowWater {
	w := &lowWater{mark: 1}
	w.told = func(fd uintptr) { setLowWater(fd, w.mark) }
	if tcp, ok := conn.(*net.TCPConn); ok {
		w.conn, _ = tcp.SyscallConn()
	}
	return w
}

// expect is called by the reader before it reads, when owed bytes or more are
// still to come for what is written.
func (w *lowWater) expect(owed int) {
	// A quarter, so that the master still has work when the reader hands back what
	// is answered; a power of two, so that it seldom changes.
	mark := 1
	if owed >= 8 {
		mark <<= min(bits.Len(uint(owed/4))-1, w.step)
	}
	w.set(mark)
}

// waited is told by the reader how long it has waited.
func (w *lowWater) waited(d time.Duration) {
	switch {
	case d > waitLong:
		w.step /= 2
	case d < waitSoon:
		w.step = min(w.step+1, mostStep)
	}
}

// set sets the mark. It may be called at any time: the system looks at once
// whether the reader is to be woken.
func (w *lowWater) set(mark int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if mark == w.mark || w.conn == nil {
		return
	}
	w.mark = mark
	_ = w.conn.Control(w.told) // it fails where the connection is closed, and that wakes the reader
}
