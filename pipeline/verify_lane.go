package pipeline

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// A verifyLane compares batches over one connection to a master.
type verifyLane struct {
	v     *Verifier
	place place
	todo  chan *verifyBatch
	wait  *verifyWait
}

// run compares until todo is closed. What a broken connection leaves open is
// compared by runRedo.
func (l *verifyLane) run() {
	for {
		select {
		case b, ok := <-l.todo:
			if !ok {
				return
			}
			l.session(b)
		case <-l.v.ctx.Done():
			return
		}
	}
}

// session compares first and what follows until the connection breaks. One
// goroutine writes ahead of the other, which reads: otherwise both ends could
// wait for ever with full buffers.
func (l *verifyLane) session(first *verifyBatch) {
	v := l.v
	l.wait.begin(l.place.addr)
	defer l.wait.end()
	c, err := v.dial(v.ctx, l.place)
	if err != nil {
		v.redo <- first
		return
	}
	defer c.close()
	sent := make(chan *verifyBatch, cap(v.pool))
	broken := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		defer close(sent)
		l.write(c, first, sent, broken)
	})
	for b := range sent {
		if err == nil {
			l.wait.begin(l.place.addr)
			err = v.readBatch(c, b)
			l.wait.end()
			if err != nil {
				close(broken)
				c.close()
			}
		}
		v.finish(b)
	}
	writer.Wait()
}

// write sends the commands for one batch after another. A batch is announced to
// the reader before it is written, so that none gets lost.
func (l *verifyLane) write(c *verifyConn, b *verifyBatch, sent chan<- *verifyBatch, broken <-chan struct{}) {
	var commands []byte
	for {
		// Once announced it belongs to the reader: its commands are made before.
		commands = commands[:0]
		for i := range b.keys {
			commands = l.v.appendRead(commands, b.key(i), false)
		}
		sent <- b
		if _, err := c.Write(commands); err != nil {
			c.close()
			return
		}
		if cap(commands) > maxKept {
			commands = nil
		}
		var ok bool
		select {
		case b, ok = <-l.todo:
			if !ok {
				return
			}
		case <-broken:
			return
		case <-l.v.ctx.Done():
			return
		}
	}
}

// finish gives a batch back, or has what is open compared one by one.
func (v *Verifier) finish(b *verifyBatch) {
	for i := range b.keys {
		if !b.keys[i].settled {
			v.redo <- b
			return
		}
	}
	v.put(b)
}

// appendRead appends the commands that read one key.
func (v *Verifier) appendRead(dst, key []byte, ask bool) []byte {
	t := target{expiry: v.expiry}
	return t.appendReadBack(dst, key, ask)
}

// readBatch reads the answers for a batch. An error says that the connection is
// of no more use.
func (v *Verifier) readBatch(c *verifyConn, b *verifyBatch) error {
	defer c.replies.release()
	for i := range b.keys {
		refused, err := v.readKey(c.replies, b, i, false)
		if err != nil {
			return err
		}
		if refused != "" {
			v.refused(c.addr, b, i, refused)
		}
	}
	return nil
}

// refused handles an error reply in answer for key i of b, and returns what to do
// if the key is not settled by it.
func (v *Verifier) refused(addr string, b *verifyBatch, i int, text string) (act action, next string) {
	switch act = classify([]byte(text)); act {
	case actMoved, actAsk:
		v.counts.redirects.Add(1)
		announced, ok := redirect([]byte(text))
		if !ok { // the slot map knows it once the slot has been moved
			return actLater, ""
		}
		next = v.cluster.Resolve(announced, addr)
		if err := v.named.add(next, addr); err != nil {
			v.fail(err)
			return actLater, ""
		}
		if act == actMoved {
			v.moved(slotter.Slot(b.key(i)), next)
		}
		return act, next
	case actLater, actLoading:
		return actLater, ""
	case actStopAuth:
		v.fail(fmt.Errorf("%w: %s: %s", slotter.ErrAuth, addr, text))
		return actLater, ""
	}
	if deniesCommand([]byte(text)) {
		v.fail(fmt.Errorf("%w: %s: %s", slotter.ErrNoPermission, addr, text))
		return actLater, ""
	}
	v.differs(b, i, Unreadable, "the target does not show it: "+text)
	return actOK, ""
}

// moved notes the new owner of a slot.
func (v *Verifier) moved(slot uint16, addr string) {
	v.routeMu.Lock()
	defer v.routeMu.Unlock()
	if r := v.routes.Load(); r.masters[r.owner[slot]] != addr {
		v.routes.Store(r.with(map[uint16]string{slot: addr}))
	}
}

// A verifyConn is a connection on which reading leaves no trace, if the server
// can do that. Reads and writes that take too long fail.
type verifyConn struct {
	net.Conn
	addr    string
	replies *replyReader
	timeout time.Duration
	unhook  func() bool
}

// verifyBuffer is the size in bytes of a connection's buffer for replies, which
// hold values.
const verifyBuffer = 128 << 10

const noTouch = "*3\r\n$6\r\nCLIENT\r\n$8\r\nNO-TOUCH\r\n$2\r\nON\r\n"

// dial opens a connection to a place, which lasts until ctx ends.
func (v *Verifier) dial(ctx context.Context, p place) (*verifyConn, error) {
	if p.addr == nowhere {
		return nil, fmt.Errorf("%w: no master owns the slot", slotter.ErrClusterDown)
	}
	conn, err := v.cluster.Dial(ctx, p.addr, int(p.db))
	if err != nil {
		return nil, err
	}
	c := &verifyConn{Conn: conn, addr: p.addr, timeout: v.opts.RetryTimeout}
	c.unhook = context.AfterFunc(ctx, func() { _ = conn.Close() })
	c.replies = newReplyReader(c)
	c.replies.buf, c.replies.most = make([]byte, verifyBuffer), max(v.held, askText)
	if _, err = c.Write([]byte(noTouch)); err == nil {
		var rep reply
		if rep, err = c.replies.next(); err == nil && rep.kind == '-' && !v.touched.Swap(true) {
			v.opts.Warn("the target has no CLIENT NO-TOUCH (Redis 7.2, Valkey), or does not allow it: reading resets the idle times of the keys")
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// Read reads within the timeout.
func (c *verifyConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write writes within the timeout.
func (c *verifyConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// close closes the connection; more than once does no harm.
func (c *verifyConn) close() {
	c.unhook()
	_ = c.Conn.Close()
}
