package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An echo is a server that sends back what it gets, and remembers how each of its
// connections ended.
type echo struct {
	listener net.Listener
	work     sync.WaitGroup

	mu  sync.Mutex
	got []int // bytes, by connection in the order in which they ended
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: l}
	e.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			e.work.Go(func() {
				defer conn.Close()
				n, _ := io.Copy(conn, conn)
				e.mu.Lock()
				e.got = append(e.got, int(n))
				e.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		e.work.Wait()
	})
	return e
}

func startProxy(t *testing.T, e *echo, seed uint64, plan Plan) *Proxy {
	t.Helper()
	p, err := Listen(e.listener.Addr().String(), seed)
	if err != nil {
		t.Fatal(err)
	}
	p.Set(plan)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// send writes data, ends the direction, and returns what comes back and how that
// ended.
func send(conn *net.TCPConn, data []byte) ([]byte, error) {
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = conn.Write(data)
		_ = conn.CloseWrite()
	})
	got, err := io.ReadAll(conn)
	_ = conn.Close()
	writing.Wait()
	return got, err
}

func data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

func TestForward(t *testing.T) {
	e := startEcho(t)
	for _, plan := range []Plan{{}, {RTT: 20 * time.Millisecond}, {Rate: 16 << 20}} {
		p := startProxy(t, e, 1, plan)
		from, want := time.Now(), data(2<<20)
		got, err := send(dial(t, p), want)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes came back, %v", plan, len(got), err)
		}
		if d := time.Since(from); d < plan.RTT {
			t.Errorf("%+v: took %v", plan, d)
		}
		if plan.Rate > 0 && time.Since(from) < 100*time.Millisecond {
			t.Errorf("%+v: took %v", plan, time.Since(from))
		}
	}
}

// TestFaults expects connections to end after as many bytes as the seed says, in
// the way that is planned, each time the same.
func TestFaults(t *testing.T) {
	const sent = 256 << 10
	for _, tt := range []struct {
		fault    Fault
		up, down int
		reset    bool
	}{
		{Finish, 0, 100_000, false},
		{HalfClose, 0, 100_000, false},
		{HalfClose, 100_000, 0, false},
		{Reset, 100_000, 0, true},
		{Reset, 0, 100_000, true},
	} {
		var first []int
		for round := range 2 {
			e := startEcho(t)
			p := startProxy(t, e, 7, Plan{Faults: []Fault{tt.fault}, Up: tt.up, Down: tt.down})
			var back []int
			for range 5 {
				got, err := send(dial(t, p), data(sent))
				if !bytes.Equal(got, data(sent)[:len(got)]) || len(got) >= sent {
					t.Errorf("%+v: %d bytes came back, or other ones", tt, len(got))
				}
				if tt.reset && err == nil || !tt.reset && err != nil && !isReset(err) {
					t.Errorf("%+v: ended with %v", tt, err)
				}
				back = append(back, len(got))
			}
			if _, faulty := p.Counts(); faulty != 5 {
				t.Errorf("%+v: %d faults", tt, faulty)
			}
			switch {
			case tt.reset: // what is on its way is lost
			case round == 0:
				first = back
			default:
				for i := range first {
					if first[i] != back[i] {
						t.Errorf("%+v: bytes %v, then %v", tt, first, back)
						break
					}
				}
			}
		}
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func TestSilence(t *testing.T) {
	e := startEcho(t)
	p := startProxy(t, e, 3, Plan{Faults: []Fault{Silence}, Down: 1000})
	conn := dial(t, p)
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = conn.Write(make([]byte, 64<<20)) })
	got := make([]byte, 4<<20)
	if _, err := io.ReadFull(conn, got[:1]); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := io.ReadFull(conn, got)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n > 2000 {
		t.Errorf("%d bytes and %v", n, err)
	}
	if cut := p.Cut(); cut != 1 {
		t.Errorf("%d connections cut", cut)
	}
	writing.Wait() // the write ends because of the cut
}

func TestRefuse(t *testing.T) {
	e := startEcho(t)
	p := startProxy(t, e, 3, Plan{Refuse: true})
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("not refused")
	}
	p.Set(Plan{})
	if got, err := send(dial(t, p), []byte("hello")); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}
