package pipeline

import (
	"bytes"
	"net"
	"syscall"
	"testing"
	"time"
)

// replying returns both ends of a connection: one on which a lane's reader reads,
// and the master's.
func replying(t *testing.T) (*connection, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it has done its work
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	master, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = master.Close()
	})
	c := newConnection(newLane(&Importer{}, place{}, 0), conn)
	c.replies.arrived = func() error { return nil } // a pause is no stall here
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c, master
}

// markOf returns the low-water mark that the system has for a connection.
func markOf(t *testing.T, c *connection) int {
	t.Helper()
	mark := 0
	err := c.low.conn.Control(func(fd uintptr) {
		var err error
		if mark, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return mark
}

// TestLowWaterEnds reads replies that come in pieces of every size, up to the
// last one owed: the mark never asks for more than is still to come.
func TestLowWaterEnds(t *testing.T) {
	for _, piece := range []int{1, 3, 5, 64, 1000, 4096, 5000} {
		c, master := replying(t)
		const batches, each = 7, 400
		c.behind.Store(batches * each)
		c.low.step = mostStep
		sent := make(chan error, 1)
		go func() {
			for text := bytes.Repeat([]byte("+OK\r\n"), batches*each); len(text) > 0; {
				n := min(piece, len(text))
				if _, err := master.Write(text[:n]); err != nil {
					sent <- err
					return
				}
				text = text[n:]
			}
			sent <- nil
		}()
		for range batches {
			c.begin(each, time.Time{})
			for n := 0; n < each; {
				if k := c.replies.oks(each - n); k > 0 {
					n += k
					continue
				}
				if _, err := c.replies.next(); err != nil {
					t.Fatalf("pieces of %d: %v with a mark of %d", piece, err, markOf(t, c))
				}
				n++
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

// TestLowWaterBounds expects the mark to be no more than a quarter of what is
// owed, and to follow the time that the reader waits.
func TestLowWaterBounds(t *testing.T) {
	c, _ := replying(t)
	for range 20 {
		c.low.waited(time.Millisecond)
	}
	for owed, want := range map[int]int{-5: 1, 0: 1, 5: 1, 7: 1, 8: 2, 100: 16, 1000: 128, 1 << 14: 1 << 12, 1 << 30: 1 << mostStep} {
		c.low.expect(owed)
		if markOf(t, c) != want {
			t.Errorf("%d bytes owed: a mark of %d, not %d", owed, markOf(t, c), want)
		}
	}
	for range 4 {
		c.low.waited(time.Second)
	}
	if c.low.expect(1 << 20); c.low.mark != 1 {
		t.Errorf("a slow master has a mark of %d", c.low.mark)
	}
}

// TestLowWaterWakes expects a reader that waits for more to be woken when the
// mark falls, and when the connection ends.
func TestLowWaterWakes(t *testing.T) {
	for range 20 {
		for how, wake := range map[string]func(c *connection, master net.Conn) error{
			"the mark": func(c *connection, _ net.Conn) error { c.low.set(1); return nil },
			"the end":  func(_ *connection, master net.Conn) error { return master.Close() },
		} {
			c, master := replying(t)
			c.low.step = mostStep
			c.low.expect(1 << 20)
			read := make(chan int, 1)
			go func() {
				var p [10]byte
				n, _ := c.conn.Read(p[:])
				read <- n
			}()
			if _, err := master.Write([]byte("+OK\r\n")); err != nil {
				t.Fatal(err)
			}
			if err := wake(c, master); err != nil {
				t.Fatal(err)
			}
			if n := <-read; n != 5 { // 0 at the deadline
				t.Fatalf("%s does not wake the reader: %d bytes", how, n)
			}
		}
	}
}
