package proxy

import (
	"cmp"
	"io"
	"net"
	"sync"
	"time"
)

// A link is one connection through the proxy.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	plan           Plan
	fault          Fault
	up, down       int // bytes that may still pass; -1 for any number

	mu     sync.Mutex // guards server until it is set, and gone
	gone   bool
	strike sync.Once
	over   chan struct{} // closed when nothing may pass any more
	end    sync.Once
	dead   chan struct{} // closed by reset
	die    sync.Once
}

// run connects to the server and forwards in both directions until both ended.
func (l *link) run() {
	defer l.proxy.ended(l)
	conn, err := net.Dial("tcp", l.proxy.backend)
	if err != nil {
		l.reset() // what a refused connection looks like from here
		return
	}
	if !l.joined(conn.(*net.TCPConn)) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.forward(l.server, l.client, l.up) })
	both.Go(func() { l.forward(l.client, l.server, l.down) })
	both.Wait()
	_ = l.client.Close()
	_ = l.server.Close()
}

// joined notes the connection to the server, unless the link is gone.
func (l *link) joined(server *net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		_ = server.Close()
		return false
	}
	l.server = server
	if l.plan.Rate > 0 {
		// A slow line has little room of its own.
		_ = l.server.SetReadBuffer(slowBuffer)
		_ = l.client.SetReadBuffer(slowBuffer)
	}
	return true
}

// reset ends both directions at once.
func (l *link) reset() {
	l.mu.Lock()
	l.gone = true
	for _, c := range [...]*net.TCPConn{l.client, l.server} {
		if c != nil {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
	l.mu.Unlock()
	l.stop()
	l.die.Do(func() { close(l.dead) })
}

// stop lets nothing pass any more.
func (l *link) stop() { l.end.Do(func() { close(l.over) }) }

// Sizes of one direction of a link.
const (
	chunkSize  = 16 << 10
	mostOnWay  = 1 << 20 // bytes, where the plan says nothing
	slowBuffer = 64 << 10
)

// A chunk is bytes on their way.
type chunk struct {
	data []byte
	due  time.Time
}

// forward copies from one side to the other, as many bytes as allowed.
func (l *link) forward(to, from *net.TCPConn, allowed int) {
	way := make(chan chunk, cmp.Or(l.plan.Window, mostOnWay)/chunkSize)
	var writing sync.WaitGroup
	writing.Go(func() {
		l.deliver(to, way)
		// Whoever still sends must not wait for ever.
		for range way {
		}
	})
	l.collect(from, way, allowed)
	close(way)
	writing.Wait()
}

// collect reads what comes, and puts it on its way, until the sender has ended or
// the allowance is used up.
func (l *link) collect(from *net.TCPConn, way chan<- chunk, allowed int) {
	for {
		data := make([]byte, chunkSize)
		n, err := from.Read(data)
		if allowed >= 0 && n > allowed {
			n = allowed
		}
		if n > 0 {
			select {
			case way <- chunk{data[:n], time.Now().Add(l.plan.RTT / 2)}:
			case <-l.over:
				l.swallow(from)
				return
			}
		}
		if allowed >= 0 {
			if allowed -= n; allowed == 0 {
				way <- chunk{} // its place in the queue is that of the fault
				l.swallow(from)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// swallow reads what nobody will get, as long as the sender goes on. A silent
// connection takes nothing: its sender finds its buffers full, until the link is
// reset.
func (l *link) swallow(from *net.TCPConn) {
	if l.fault == Silence {
		<-l.dead
		return
	}
	_, _ = io.Copy(io.Discard, from)
}

// deliver writes what comes, in time, and closes the direction behind it.
func (l *link) deliver(to *net.TCPConn, way <-chan chunk) {
	free := time.Now() // when the line is free for the next byte
	for c := range way {
		if c.data == nil {
			l.meet(to)
			return
		}
		start := c.due
		if l.plan.Rate > 0 {
			if free.After(start) {
				start = free
			}
			free = start.Add(time.Duration(len(c.data)) * time.Second / time.Duration(l.plan.Rate))
			if now := time.Now(); free.Before(now) {
				free = now
			}
		}
		if !l.until(start) {
			return
		}
		if _, err := to.Write(c.data); err != nil {
			l.reset()
			return
		}
	}
	if l.passing() {
		_ = to.CloseWrite()
	}
}

// passing reports whether bytes may still pass.
func (l *link) passing() bool {
	select {
	case <-l.over:
		return false
	default:
		return true
	}
}

// until waits for a time. It reports whether bytes may pass then.
func (l *link) until(at time.Time) bool {
	d := time.Until(at)
	if d <= 0 {
		return l.passing()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.over:
		return false
	}
}

// meet brings the fault on the link; to is the receiver of the direction whose
// allowance is used up.
func (l *link) meet(to *net.TCPConn) {
	l.strike.Do(l.proxy.struck)
	switch l.fault {
	case Reset:
		l.reset()
	case Finish:
		l.stop()
		_ = l.client.CloseWrite()
		_ = l.server.CloseWrite()
		// Closing for good would turn into a reset where bytes are unread; the
		// other ends close now, and are read until then.
	case HalfClose:
		_ = to.CloseWrite()
	case Silence:
		l.stop()
	}
}
