// Package proxy is a TCP proxy that does to connections what bad networks do:
// it cuts them in the middle of a command, closes half of them, falls silent,
// delays, and limits the bandwidth. It is for tests.
package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A Fault is one way for a connection to end.
type Fault uint8

// The faults.
const (
	// Reset ends both directions with a TCP reset: what is on its way is lost.
	Reset Fault = iota
	// Finish closes both directions in order, after the bytes let through.
	Finish
	// HalfClose closes the one direction whose bytes are used up, and lets the
	// other one go on.
	HalfClose
	// Silence lets nothing pass any more, in both directions, and closes nothing.
	Silence
)

// A Plan says what a proxy does to a connection that is made while the plan is in
// force. The zero value only forwards.
type Plan struct {
	// Faults are the ways in which connections end, one of them drawn for each
	// connection. None: they do not end by themselves.
	Faults []Fault
	// Up and Down are how many bytes, on average, pass to the server and to the
	// client before the fault: each connection draws a number between 1 and twice
	// that for each direction. Whichever is used up first brings the fault. 0 is
	// no limit.
	Up, Down int

	// RTT is added to the time from a request to its reply, half in each direction.
	RTT time.Duration
	// Window is how many bytes of each connection are on their way at most, in each
	// direction; 0 is 1 MiB.
	Window int
	// Rate is the bandwidth of each direction of each connection in bytes per
	// second; 0 is no limit.
	Rate int
	// Refuse resets connections as soon as they are made.
	Refuse bool
}

// A Proxy forwards what is sent to its address to one server.
type Proxy struct {
	backend  string
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	plan   Plan
	rng    *rand.Rand
	links  map[*link]struct{}
	made   int // connections
	faulty int // that a fault or Cut ended
	closed bool
}

// Listen starts a proxy on a free port of the loopback interface. The same seed
// and plan draw the same faults for the first, second, third connection.
func Listen(backend string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", backend, err)
	}
	p := &Proxy{backend: backend, listener: l, rng: rand.New(rand.NewPCG(seed, 0)), links: make(map[*link]struct{})}
	p.work.Go(p.accept)
	return p, nil
}

// Addr returns the proxy's own address.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set makes plan the one for the connections to come. Those that are there keep
// theirs.
func (p *Proxy) Set(plan Plan) {
	p.mu.Lock()
	p.plan = plan
	p.mu.Unlock()
}

// Cut resets all connections that are there, and returns how many that were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
	p.faulty += len(p.links)
	return len(p.links)
}

// Counts returns how many connections were made, and how many of them a fault or
// Cut has ended.
func (p *Proxy) Counts() (made, faulty int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made, p.faulty
}

// Close ends all connections and returns when nothing of the proxy is left.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.work.Wait()
	return err
}

// accept takes connections until the proxy is closed.
func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client is gone already
		}
		p.serve(conn.(*net.TCPConn))
	}
}

// serve draws the fate of a new connection and lets it go on its way.
func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
	if p.plan.Refuse || p.closed {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	l := &link{proxy: p, client: client, plan: p.plan, fault: Finish, over: make(chan struct{}), dead: make(chan struct{})}
	// The numbers are always drawn, so that one connection's fate does not depend
	// on what other plans there were.
	n, up, down := p.rng.Uint64(), p.rng.Float64(), p.rng.Float64()
	l.up, l.down = -1, -1
	if faults := p.plan.Faults; len(faults) > 0 {
		l.fault = faults[n%uint64(len(faults))]
		l.up, l.down = allowance(p.plan.Up, up), allowance(p.plan.Down, down)
	}
	p.links[l] = struct{}{}
	p.work.Go(l.run)
}

// allowance is how many bytes may pass: at least 1, mean on average; -1 for no
// limit.
func allowance(mean int, drawn float64) int {
	if mean <= 0 {
		return -1
	}
	return 1 + int(drawn*float64(2*mean-1))
}

// ended forgets a link.
func (p *Proxy) ended(l *link) {
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// struck counts a connection that meets its fault.
func (p *Proxy) struck() {
	p.mu.Lock()
	p.faulty++
	p.mu.Unlock()
}
