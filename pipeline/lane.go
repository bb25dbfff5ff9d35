package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// A lane is a connection to one database of one master, made when it is first
// needed and again after it broke. It has a writer, which is its own goroutine,
// and a reader for each connection.
type lane struct {
	im    *Importer
	place place
	index int32
	queue *queue // batches to be sent

	keys, bytes atomic.Int64 // accepted
	since       atomic.Int64 // when its present trouble began, in ns since the epoch; 0 if all is well

	// Of the writer.
	scratch []byte
	bufs    net.Buffers
}

func newLane(im *Importer, p place, index int32) *lane {
	return &lane{im: im, place: p, index: index, queue: newQueue()}
}

// errNowhere is why a slot without an owner cannot be served.
var errNowhere = errors.New("slots without an owner")

// run sends what comes, until the import ends.
func (l *lane) run() {
	for {
		b := l.queue.take()
		if b == nil {
			select {
			case <-l.queue.ready:
				continue
			case <-l.im.ctx.Done():
				return
			}
		}
		if l.place.addr == nowhere {
			l.giveBack(b, errNowhere)
			continue
		}
		conn, err := l.im.cluster.Dial(l.im.ctx, l.place.addr, int(l.place.db))
		if err != nil {
			l.giveBack(b, err)
			continue
		}
		l.serve(conn, b)
	}
}

// giveBack returns a batch whose commands are not settled to be sent again, here
// or elsewhere, because of err.
func (l *lane) giveBack(b *batch, err error) {
	b.lane, b.wait = l, true
	b.reopen()
	l.im.trouble(l, err)
	l.im.redo.put(b)
}

// serve sends the batches of the queue, b first, through conn until it breaks,
// and returns when nothing of it is left.
func (l *lane) serve(conn net.Conn, b *batch) {
	stop := context.AfterFunc(l.im.ctx, func() { _ = conn.Close() })
	defer stop()
	c := &connection{lane: l, conn: conn, flight: newQueue(), written: make(chan struct{}), broken: make(chan struct{})}
	l.im.work.Go(c.read)
	err := c.write(b)
	if err != nil {
		// The reason may stand in a last reply, so the reader has a moment for it.
		_ = conn.SetReadDeadline(time.Now().Add(lastWords))
	}
	close(c.written)
	<-c.broken
	_ = conn.Close()
	if l.im.ctx.Err() == nil {
		l.im.stats.reconnects.Add(1)
		l.im.wantMap()
	}
}

// lastWords is how long a reader waits for replies after a write has failed.
const lastWords = 200 * time.Millisecond

// A connection is one life of a lane.
type connection struct {
	lane    *lane
	conn    net.Conn
	flight  *queue        // written, and not yet answered
	written chan struct{} // closed when nothing more will be put into flight
	broken  chan struct{} // closed when the reader has ended
}

// write writes batches until the connection breaks.
func (c *connection) write(b *batch) error {
	l := c.lane
	for {
		if b != nil {
			b.lane = l
			err := c.writeBatch(b)
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
		case <-c.broken:
			return errors.New("the reader has ended")
		case <-l.im.ctx.Done():
			return l.im.ctx.Err()
		}
	}
}

func (c *connection) writeBatch(b *batch) error {
	l := c.lane
	if b.how == sendPlain && len(b.part) == 0 {
		_, err := c.conn.Write(b.buf)
		return err
	}
	// Some commands of the batch, or more than the commands themselves.
	l.scratch, l.bufs = l.scratch[:0], l.bufs[:0]
	for i := range b.sent() {
		cmd := b.command(b.at(i))
		switch b.how {
		case sendAsking:
			l.bufs = append(l.bufs, asking, cmd)
		case sendReadBack, sendReadBackAsking:
			l.scratch = l.im.target.appendReadBack(l.scratch, parseRestore(cmd).key, b.how == sendReadBackAsking)
		default:
			l.bufs = append(l.bufs, cmd)
		}
	}
	if len(l.scratch) > 0 {
		_, err := c.conn.Write(l.scratch)
		return err
	}
	bufs := l.bufs // WriteTo uses it up
	_, err := bufs.WriteTo(c.conn)
	clear(l.bufs)
	return err
}

var asking = []byte("*1\r\n$6\r\nASKING\r\n")

// read reads the replies to all that was written, and returns what they leave
// unsettled. When the connection breaks it gives back all that is in flight.
func (c *connection) read() {
	defer close(c.broken)
	l, r := c.lane, newReplyReader(c.conn)
	var failed error
	for {
		b := c.flight.take()
		if b == nil {
			select {
			case <-c.flight.ready:
				continue
			case <-c.written:
				if b = c.flight.take(); b == nil {
					return
				}
			}
		}
		if failed == nil {
			if failed = l.settle(r, b); failed != nil {
				_ = c.conn.Close() // ends the writer
			}
		}
		l.pass(b, failed)
	}
}

// pass hands on a batch of which all that could be read has been read.
func (l *lane) pass(b *batch, failed error) {
	switch {
	case b.open == 0:
		l.im.put(b)
	case l.im.ctx.Err() != nil:
		// Everything stops: what is open stays unsettled.
	case failed != nil:
		l.giveBack(b, fmt.Errorf("connection to %s: %w", l.place.addr, failed))
	default:
		l.im.redo.put(b)
	}
}
