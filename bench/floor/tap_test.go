package floor

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// A tap is a proxy that keeps what clients send.
type tap struct {
	addr string
	to   string
	l    net.Listener
	work sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	sent  []*bytes.Buffer // one for each connection, of its goroutine until it ends
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{addr: l.Addr().String(), to: to, l: l}
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *tap) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		sent := new(bytes.Buffer)
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.sent = append(p.sent, sent)
		p.mu.Unlock()
		p.work.Go(func() {
			_, _ = io.Copy(server, io.TeeReader(client, sent))
			_ = server.Close()
		})
		p.work.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
	}
}

// close ends all connections and waits for the goroutines.
func (p *tap) close() {
	_ = p.l.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

// heard closes the tap and reports whether one connection carried text.
func (p *tap) heard(text []byte) bool {
	p.close()
	for _, s := range p.sent {
		if bytes.Contains(s.Bytes(), text) {
			return true
		}
	}
	return false
}
