package pipeline

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// A connection is one life of a lane.
type connection struct {
	lane    *lane
	conn    net.Conn
	flight  *queue        // written, and not yet answered
	written chan struct{} // closed when nothing more will be put into flight
	failed  chan struct{} // closed when the reader has met an error
	ended   chan struct{} // closed when it has ended
	replies *replyReader

	waiting atomic.Int64 // batches that are being written or not yet answered
	heard   atomic.Int64 // when something last arrived, or was asked after all was answered, as steady says
	clock   atomic.Int64 // the same, as this machine's clock says, which goes on while the machine sleeps
	moved   atomic.Int64 // when something was last written, as steady says
	probing atomic.Bool
	broke   atomic.Pointer[error]
	behind  atomic.Int64 // commands of the batches in flight
	low     *lowWater

	// Of the reader: what replies.taken will be, at the least, when the batch that
	// it is at is answered.
	answered int64

	// Of the reader: the round trip, which is the shortest time from the first byte
	// written of a batch to its first reply, or what it took to connect; and when the
	// batch was written whose first reply is what arrives next, zero if that is not so.
	trip     time.Duration
	firstFor time.Time

	// Of the reader, with Options.WaitReplicas: batches that the master has
	// accepted and the replicas have not confirmed; and how many keys have still to be
	// written so that WAIT says something about those that were there.
	unconfirmed []*batch
	untouched   int
}

func newConnection(l *lane, conn net.Conn) *connection {
	c := &connection{lane: l, conn: conn, flight: newQueue(), written: make(chan struct{}), failed: make(chan struct{}), ended: make(chan struct{}), low: newLowWater(conn)}
	c.replies = newReplyReader(conn)
	c.replies.expect, c.replies.arrived = c.expect, c.arrived
	c.replies.most, c.replies.counts = max(l.im.held, askText), &l.im.memory
	c.hear(time.Now())
	return c
}

// begin readies the reader for the replies to a batch of n commands that was written
// at a certain time.
func (c *connection) begin(n int, written time.Time) {
	c.behind.Add(-int64(n))
	c.answered = c.replies.taken + int64(n)
	if c.replies.from == c.replies.to {
		c.firstFor = written
	}
}

// arrived is called when replies have been read, before they are looked at. An
// error says that they are not to be believed.
func (c *connection) arrived() error {
	at, limit := time.Now(), stallLimit+c.natural()
	if !c.firstFor.IsZero() {
		c.trip = min(c.trip, at.Sub(c.firstFor))
		c.firstFor = time.Time{}
	}
	silent, slept := c.hear(at)
	c.low.waited(silent)
	if max(silent, slept) > limit {
		return c.confirm()
	}
	return nil
}

// hear notes that something has arrived, or was asked after all was answered, and
// returns how long ago that was the case before: in time that this process had, and by
// this machine's clock.
func (c *connection) hear(at time.Time) (silent, slept time.Duration) {
	now, clock := c.lane.steady(at), at.UnixNano()
	return time.Duration(now - c.heard.Swap(now)), time.Duration(clock - c.clock.Swap(clock))
}

// natural is how long a master is silent without having stopped: where everything
// that was on its way has been answered, the next answer is a round trip away.
func (c *connection) natural() time.Duration {
	if c.trip > mostNatural {
		return 0
	}
	return c.trip
}

// expect is called before replies are read.
func (c *connection) expect() {
	owed := max(0, c.answered-c.replies.taken) + c.behind.Load()
	c.low.expect(leastReply*int(owed) - (c.replies.to - c.replies.from))
}

// write writes batches until the connection breaks.
func (c *connection) write(b *batch) error {
	l := c.lane
	for {
		if b != nil {
			b.lane = l
			l.flying.Add(int64(b.sent()))
			if b.how != sendWait {
				if err := l.im.throttle(l); err != nil {
					c.flight.put(b)
					return err
				}
			}
			b.written = time.Now()
			if c.waiting.Add(1) == 1 {
				c.hear(b.written) // it had nothing to say
			}
			err := c.writeBatch(b)
			if err == nil {
				c.behind.Add(int64(b.sent()))
			}
			c.flight.put(b)
			if err != nil {
				return err
			}
		}
		if b = l.queue.take(); b != nil {
			continue
		}
		select {
		case <-l.queue.ready:
		case <-c.failed: // there may be nothing to write that would show it
			return errors.New("the reader has failed")
		case <-l.im.ctx.Done():
			return l.im.ctx.Err()
		}
	}
}

func (c *connection) writeBatch(b *batch) error {
	l := c.lane
	if b.how == sendPlain && len(b.part) == 0 && l.im.wait == nil {
		return c.writeBytes(b.buf)
	}
	// Some commands of the batch, or more than the commands themselves.
	l.scratch, l.bufs = l.scratch[:0], l.bufs[:0]
	switch {
	case b.how == sendPlain && len(b.part) == 0:
		l.bufs = append(l.bufs, b.buf)
	case b.how == sendReadBack, b.how == sendReadBackAsking:
		for i := range b.sent() {
			key := parseRestore(b.command(b.at(i))).key
			l.scratch = l.im.target.appendReadBack(l.scratch, key, b.how == sendReadBackAsking)
		}
		l.bufs = append(l.bufs, l.scratch)
	case b.touch != nil:
		l.scratch = appendTouch(l.scratch, b.touch)
		l.bufs = append(l.bufs, l.scratch)
	default:
		for i := range b.sent() {
			if b.how == sendAsking {
				l.bufs = append(l.bufs, asking)
			}
			l.bufs = append(l.bufs, b.command(b.at(i)))
		}
	}
	if l.im.wait != nil {
		l.bufs = append(l.bufs, l.im.wait)
	}
	err := c.writeAll(l.bufs)
	clear(l.bufs)
	return err
}

// writeStep is how many bytes are written at a time, so that a slow connection
// is seen to go on.
const writeStep = 256 << 10

func (c *connection) writeBytes(p []byte) error {
	for len(p) > 0 {
		n, err := c.conn.Write(p[:min(len(p), writeStep)])
		if err != nil {
			return err
		}
		p = p[n:]
		c.moved.Store(c.lane.steady(time.Now()))
	}
	return nil
}

// writeAll writes many pieces, which it uses up, with as few system calls as it
// can.
func (c *connection) writeAll(bufs net.Buffers) error {
	for len(bufs) > 0 {
		n, size := 0, 0
		for n < len(bufs) && (n == 0 || size+len(bufs[n]) <= writeStep) {
			size += len(bufs[n])
			n++
		}
		if n == 1 {
			if err := c.writeBytes(bufs[0]); err != nil {
				return err
			}
		} else {
			some := bufs[:n:n]
			if _, err := some.WriteTo(c.conn); err != nil {
				return err
			}
			c.moved.Store(c.lane.steady(time.Now()))
		}
		bufs = bufs[n:]
	}
	return nil
}

var asking = []byte("*1\r\n$6\r\nASKING\r\n")
