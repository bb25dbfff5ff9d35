package pipeline_test

import (
	"net"
	"regexp"
	"sync"
	"testing"
)

// A cutter forwards connections to one server, and cuts the one through which
// certain words go for the first time: before it is forwarded, or when the server has
// answered it.
type cutter struct {
	backend  string
	words    *regexp.Regexp
	answered bool
	listener net.Listener
	work     sync.WaitGroup

	mu  sync.Mutex
	cut bool
	all []net.Conn
}

func cutAt(t *testing.T, backend, words string, answered bool) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	c := &cutter{backend: backend, words: regexp.MustCompile(words), answered: answered, listener: l}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		_ = l.Close()
		c.mu.Lock()
		for _, conn := range c.all {
			_ = conn.Close()
		}
		c.mu.Unlock()
		c.work.Wait()
	})
	return c
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.backend)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.all = append(c.all, client, server)
		c.mu.Unlock()
		c.work.Go(func() { c.forward(client, server) })
	}
}

// forward copies in both directions.
func (c *cutter) forward(client, server net.Conn) {
	defer client.Close() //nolint:errcheck // nothing is lost
	defer server.Close() //nolint:errcheck // nothing is lost
	var mute sync.Mutex  // held when nothing may go back any more
	answered := make(chan struct{}, 1)
	c.work.Go(func() {
		buf := make([]byte, 16<<10)
		for {
			n, err := server.Read(buf)
			if !mute.TryLock() {
				answered <- struct{}{}
				return
			}
			if err == nil {
				_, err = client.Write(buf[:n])
			}
			mute.Unlock()
			if err != nil {
				_ = client.Close()
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if c.words.Match(buf[:n]) && c.first() {
			if !c.answered {
				return
			}
			mute.Lock()
			_, _ = server.Write(buf[:n])
			<-answered
			return
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// first reports whether nothing has been cut yet.
func (c *cutter) first() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.cut
	c.cut = true
	return !was
}
