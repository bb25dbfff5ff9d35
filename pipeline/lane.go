package pipeline

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// A lane is a connection to one database of one master, made when it is first
// needed and again after it broke. It has a writer, which is its own goroutine,
// and a reader for each connection.
type lane struct {
	im    *Importer
	place place
	index int       // in Importer.lanes
	began time.Time // what steady counts from
	early bool      // it is opened before there is a batch for it
	queue *queue    // batches to be sent

	keys, bytes atomic.Int64 // accepted
	there       atomic.Int64 // keys that the master had already, as they should be
	pace        *pace
	conn        atomic.Pointer[connection]
	since       atomic.Int64 // when its present trouble began, as steady says; 0 if all is well
	latest      atomic.Int64 // when it last had trouble
	laneState

	// Of the writer.
	greeted time.Duration // a round trip, as it was when the connection was made
	scratch []byte
	bufs    net.Buffers
}

func newLane(im *Importer, p place, index int) *lane {
	return &lane{im: im, place: p, index: index, queue: newQueue(), began: time.Now()}
}

// steady returns t, a time of this process, in ns since the epoch, as if this machine's
// clock had not been set since the lane began: so how long something takes is the
// difference.
func (l *lane) steady(t time.Time) int64 { return l.began.UnixNano() + int64(t.Sub(l.began)) }

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
	if errors.Is(err, slotter.ErrDatabase) { // a master that has come since it was asked for
		err = noDatabase(l.place.db, err)
		l.im.abort(err)
	}
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
	<-c.ended
	c.replies.drop()
	_ = conn.Close()
	if l.im.ctx.Err() == nil {
		l.im.stats.reconnects.Add(1)
		l.im.wantMap()
	}
}

// lastWords is how long a reader waits for replies after a write has failed.
const lastWords = 200 * time.Millisecond

// read reads the replies to all that was written, and hands on what they leave
// open. When the connection breaks it gives back all that is in flight.
func (c *connection) read() {
	defer close(c.ended)
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
				} else {
					failed = l.unreadBack(b, failed)
				}
				close(c.failed)
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
