package pipeline

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// A lane is a connection to one database of one master, made when it is first
// needed and again after it broke. It has a writer, which is its own goroutine,
// and a reader for each connection.
type lane struct {
	im    *Importer
	place place
	index int    // in Importer.lanes
	early bool   // it is opened before there is a batch for it
	queue *queue // batches to be sent

	keys, bytes atomic.Int64 // accepted
	there       atomic.Int64 // keys that the master had already, as they should be
	pace        *pace
	conn        atomic.Pointer[connection]
	since       atomic.Int64 // when its present trouble began, in ns since the epoch; 0 if all is well
	latest      atomic.Int64 // when it last had trouble
	laneState

	// Of the writer.
	greeted time.Duration // a round trip, as it was when the connection was made
	scratch []byte
	bufs    net.Buffers
}

func newLane(im *Importer, p place, index int) *lane {
	return &lane{im: im, place: p, index: index, queue: newQueue()}
}

// errNowhere is why a slot without an owner cannot be served.
var errNowhere = errors.New("slots without an owner")

// run sends what comes, until the import ends.
func (l *lane) run() {
	for l.im.ctx.Err() == nil {
		b := l.queue.take()
		if b == nil && l.early {
			l.wait()
			continue
		}
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
		conn, err := l.dial()
		if err != nil {
			// The others would fare no better, and each try takes its time.
			for ; b != nil; b = l.queue.take() {
				l.pass(b, err)
			}
			continue
		}
		l.serve(conn, b)
	}
}

// wait serves what comes to a lane that is opened before there is a batch for it, until
// the connection breaks; or waits for a while if it is not to be had, or the lane not
// wanted any more.
func (l *lane) wait() {
	if l.wanted() {
		if conn, err := l.dial(); err == nil {
			l.serve(conn, nil)
			return
		}
	}
	pause := time.NewTimer(earlyPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-l.queue.ready:
	case <-l.im.ctx.Done():
	}
}

// wanted reports whether so many lanes lead to a master, and l's still is one.
func (l *lane) wanted() bool {
	return int(l.im.flow.lanes.Load()) > l.place.n && l.place.addr != nowhere &&
		slices.Contains(l.im.routes.Load().masters, l.place.addr)
}

// earlyPause is how long a lane waits until it is looked at again whether it is wanted
// or to be had.
const earlyPause = 250 * time.Millisecond

// dial opens a connection, and finds out whether the master is the process that
// it was.
func (l *lane) dial() (net.Conn, error) {
	ctx := l.im.ctx
	if err := l.im.checkRun(ctx, l.place.addr); err != nil {
		return nil, err
	}
	from := time.Now()
	conn, err := l.im.cluster.Dial(ctx, l.place.addr, int(l.place.db))
	l.greeted = time.Since(from) / greetingTrips
	return conn, err
}

// greetingTrips is how many round trips it takes, at the least, to connect and greet.
const greetingTrips = 3

// giveBack returns a batch whose commands are not settled to be sent again, here
// or elsewhere, because of err.
func (l *lane) giveBack(b *batch, err error) {
	b.lane, b.wait = l, true
	b.broken++
	b.reopen()
	l.im.trouble(l, err)
	l.im.redo.put(b)
}

// serve sends the batches of the queue, b first if it is not nil, through conn until it
// breaks, and returns when nothing of it is left.
func (l *lane) serve(conn net.Conn, b *batch) {
	stop := context.AfterFunc(l.im.ctx, func() { _ = conn.Close() })
	defer stop()
	c := newConnection(l, conn)
	c.trip = l.greeted
	l.conn.Store(c)
	defer l.conn.Store(nil)
	l.im.memory.add(replyBuffer)
	defer l.im.memory.add(-replyBuffer)
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
	replies *replyReader

	waiting atomic.Int64 // batches that are being written or not yet answered
	heard   atomic.Int64 // when something last arrived, in ns since the epoch
	moved   atomic.Int64 // when something was last written
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
	c := &connection{lane: l, conn: conn, flight: newQueue(), written: make(chan struct{}), broken: make(chan struct{}), low: newLowWater(conn)}
	c.replies = newReplyReader(conn)
	c.replies.expect, c.replies.arrived = c.expect, c.arrived
	c.heard.Store(time.Now().UnixNano())
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
	now := at.UnixNano()
	before := c.heard.Swap(now)
	c.low.waited(time.Duration(now - before))
	if time.Duration(now-before) > limit {
		return c.confirm()
	}
	return nil
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
			c.waiting.Add(1)
			b.written = time.Now()
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
		case <-c.broken:
			return errors.New("the reader has ended")
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
		c.moved.Store(time.Now().UnixNano())
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
			c.moved.Store(time.Now().UnixNano())
		}
		bufs = bufs[n:]
	}
	return nil
}

var asking = []byte("*1\r\n$6\r\nASKING\r\n")

// read reads the replies to all that was written, and hands on what they leave
// open. When the connection breaks it gives back all that is in flight.
func (c *connection) read() {
	defer close(c.broken)
	l := c.lane
	var failed error
	for {
		b := c.flight.take()
		if b == nil {
			select {
			case <-c.flight.ready:
				continue
			case <-c.written:
				if b = c.flight.take(); b == nil {
					l.passAll(c.unconfirmed, cmp.Or(failed, errNotConfirmed))
					return
				}
			}
		}
		l.flying.Add(-int64(b.sent()))
		if failed == nil {
			c.begin(b.sent(), b.written)
			if failed = c.settle(b); failed != nil {
				if p := c.broke.Load(); p != nil {
					failed = *p
				}
				_ = c.conn.Close() // ends the writer
			} else if b.how != sendWait {
				c.timed(b)
			}
		}
		c.waiting.Add(-1)
		if failed == nil && b.acked > 0 {
			continue // it is with the unconfirmed, until the replicas have it
		}
		l.pass(b, failed)
	}
}

// passAll gives back the batches that no replica has confirmed.
func (l *lane) passAll(batches []*batch, failed error) {
	for _, b := range batches {
		l.pass(b, failed)
	}
}

// pass hands on a batch of which all that could be read has been read.
func (l *lane) pass(b *batch, failed error) {
	switch {
	case b.how == sendWait:
	case b.open == 0:
		l.im.put(b)
	case l.im.ctx.Err() != nil:
		// Everything stops: what is open stays unsettled.
	case failed != nil:
		l.giveBack(b, failed)
	default:
		b.broken = 0
		l.im.redo.put(b)
	}
}
