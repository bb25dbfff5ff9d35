package slotter

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dialer makes connections with one set of credentials.
type dialer struct {
	opt Options     // with defaults filled in and the target's user and password resolved
	tls *tls.Config // nil for plain TCP
}

// keepAlive finds a peer that vanished without a word in about 45 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 3}

// errHandshake is part of the error of a TLS handshake that came to nothing.
var errHandshake = errors.New("TLS handshake")

// connect opens a connection, as the user where go-redis does not see to that.
func (d *dialer) connect(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := d.open(ctx, addr)
	if err != nil || d.opt.User == "" || d.opt.Password != "" {
		return conn, err
	}
	if err := d.signIn(ctx, conn, addr); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// open opens the TCP connection and does the TLS handshake. It is not go-redis's NewDialer because that one's TLS handshake
// cannot be cancelled.
func (d *dialer) open(ctx context.Context, addr string) (net.Conn, error) {
	nd := &net.Dialer{Timeout: d.opt.DialTimeout, KeepAliveConfig: keepAlive}
	if d.tls == nil {
		return nd.DialContext(ctx, "tcp", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, d.opt.DialTimeout) // for both together
	defer cancel()
	raw, err := nd.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	cfg := d.tls
	if cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName, _, _ = net.SplitHostPort(addr)
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return conn, nil
}

// signIn makes conn that of a user who has no password, and is let in with any. Without it go-redis would leave it to the default user,
// who may be allowed more, or less.
func (d *dialer) signIn(ctx context.Context, conn net.Conn, addr string) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(d.opt.DialTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(appendCommand(nil, "AUTH", d.opt.User, "")); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 1024).ReadSlice('\n') // the server says no more than it is asked
	if err != nil {
		return err
	}
	switch reply := string(bytes.TrimRight(line, "\r\n")); {
	case strings.HasPrefix(reply, "+"):
		return conn.SetDeadline(time.Time{})
	case strings.HasPrefix(reply, "-"):
		e := d.replyError(addr, reply[1:])
		if e.Kind == ErrAuth { //nolint:errorlint // the kind itself
			e.Msg = fmt.Sprintf("user %s, for whom no password is given: %s", d.opt.User, e.Msg)
		}
		return e
	}
	return &NodeError{Addr: addr, Kind: ErrNotRedis, Msg: "unexpected reply to AUTH"}
}

// options are the go-redis options for a connection to addr that tries once and does nothing by itself.
func (d *dialer) options(addr string, db int) *redis.Options {
	return &redis.Options{
		Addr:                  addr,
		Username:              d.opt.User,
		Password:              d.opt.Password,
		DB:                    db,
		Protocol:              2,
		DisableIdentity:       true,
		MaxRetries:            -1,
		DialerRetries:         1,
		DialTimeout:           d.opt.DialTimeout,
		ReadTimeout:           d.opt.DialTimeout,
		WriteTimeout:          d.opt.DialTimeout,
		ContextTimeoutEnabled: true,
		PoolSize:              2, // with 1, go-redis answers one failed dial with a goroutine that dials again every second
		PipelinePoolSize:      -1,
		ReadBufferSize:        8 << 10,
		WriteBufferSize:       8 << 10,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// lentConn is a connection lent to a go-redis client. It remembers the first bytes of the first reply, because go-redis drops the reply
// to HELLO, and its Close does nothing once the connection is kept.
type lentConn struct {
	net.Conn
	kept  atomic.Bool
	first [256]byte
	n     int
}

func (c *lentConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.n < len(c.first) {
		c.n += copy(c.first[c.n:], p[:n])
	}
	return n, err
}

// Write reports why the server has hung up if it said so before: with TLS 1.3 it looks at the client's certificate only after the
// handshake, as the client sees it.
func (c *lentConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if _, ok := c.Conn.(*tls.Conn); ok && err != nil {
		_ = c.SetReadDeadline(time.Now().Add(lastWords))
		if _, said := c.Conn.Read(make([]byte, 1)); alertOf(said) != "" {
			err = said
		}
	}
	return n, err
}

// lastWords is how long is waited for what a server said before it hung up: it is there already, if at all.
const lastWords = 100 * time.Millisecond

func (c *lentConn) Close() error {
	if c.kept.Load() {
		return nil
	}
	return c.Conn.Close()
}

// refusal returns the reply with which a server turns away a connection before looking at any command, or "". Such a server hangs up,
// so what go-redis reports is only that.
func (c *lentConn) refusal() string {
	line, _, whole := bytes.Cut(c.first[:c.n], []byte("\r\n"))
	for _, prefix := range []string{"-DENIED", "-ERR max number of clients", "-NOAUTH", "-LOADING"} {
		if whole && bytes.HasPrefix(line, []byte(prefix)) {
			return string(line[1:])
		}
	}
	return ""
}

var (
	errGreeted = errors.New("greeted") // ends go-redis's part in a connection
	errLentOut = errors.New("the connection is lent already")
)

// lend returns a go-redis client that uses conn and nothing else.
func (d *dialer) lend(conn *lentConn, addr string, db int, onConnect func() error) *redis.Client {
	opt := d.options(addr, db)
	var lent atomic.Bool
	opt.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if lent.Swap(true) {
			return nil, errLentOut
		}
		return conn, nil
	}
	if onConnect != nil {
		opt.OnConnect = func(context.Context, *redis.Conn) error { return onConnect() }
	}
	return redis.NewClient(opt)
}

// with opens a connection to addr and runs fn on it, all within the dial timeout. Cancelling ctx closes the connection, which ends
// whatever fn waits for. fn's connection is closed afterwards unless it was kept.
func (d *dialer) with(ctx context.Context, addr string, fn func(ctx context.Context, conn *lentConn) error) error {
	limited, cancel := context.WithTimeout(ctx, d.opt.DialTimeout)
	defer cancel()
	raw, err := d.connect(limited, addr)
	if err != nil {
		return d.nodeError(ctx, addr, err)
	}
	conn := &lentConn{Conn: raw}
	closed := make(chan struct{})
	stop := context.AfterFunc(limited, func() {
		defer close(closed)
		_ = raw.Close()
	})
	err = fn(limited, conn)
	if !stop() {
		<-closed
		err = limited.Err()
	}
	if err != nil || !conn.kept.Load() {
		_ = raw.Close()
	}
	return d.nodeError(ctx, addr, err)
}

// query runs fn with a client on a fresh connection to addr. Topology is asked for seldom, and a fresh connection also shows that the
// server still accepts one. command names in an error what the server refused.
func (d *dialer) query(ctx context.Context, addr, command string, fn func(ctx context.Context, client *redis.Client) error) error {
	err := d.with(ctx, addr, func(ctx context.Context, conn *lentConn) error {
		client := d.lend(conn, addr, 0, nil)
		defer client.Close() //nolint:errcheck // the connection is closed anyway
		err := fn(ctx, client)
		if err != nil {
			if reply := conn.refusal(); reply != "" {
				return d.replyError(addr, reply)
			}
		}
		return err
	})
	return refusedCommand(command, err)
}

// refusedCommand names command in err where that is what the server refused.
func refusedCommand(command string, err error) error {
	var node *NodeError
	if errors.As(err, &node) && (node.Kind == nil || node.Kind == ErrNoPermission) { //nolint:errorlint // the kind itself
		node.Msg = command + ": " + node.Msg
	}
	return err
}

// handOver opens a connection to addr, lets go-redis greet the server (HELLO, AUTH), and returns the connection itself with nothing of
// go-redis left on it.
func (d *dialer) handOver(ctx context.Context, addr string, db int) (net.Conn, error) {
	var out net.Conn
	err := d.with(ctx, addr, func(ctx context.Context, conn *lentConn) error {
		if err := d.greet(ctx, conn, addr); err != nil {
			return err
		}
		if err := d.prepare(conn.Conn, addr, db); err != nil {
			return err
		}
		out = conn.Conn
		return conn.Conn.SetDeadline(time.Time{})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// greet has go-redis do HELLO and AUTH, and takes the connection away from it before it sends anything else.
func (d *dialer) greet(ctx context.Context, conn *lentConn, addr string) error {
	client := d.lend(conn, addr, 0, func() error {
		conn.kept.Store(true)
		return errGreeted
	})
	err := client.Ping(ctx).Err() // the greeting happens before any command, and ends in errGreeted
	_ = client.Close()
	if reply := conn.refusal(); reply != "" && (d.opt.Password == "" || !errors.Is(err, errGreeted)) {
		return d.replyError(addr, reply)
	}
	if err == nil {
		return fmt.Errorf("redis: greeting of %s did not end as expected", addr)
	}
	if !errors.Is(err, errGreeted) {
		return err
	}
	return nil
}

// prepare sets the connection's name and database and reads the replies, so that the next byte from the server belongs to the next
// command. With neither it sends PING: a server that wants a password says so only now when none was given.
func (d *dialer) prepare(conn net.Conn, addr string, db int) error {
	var out []byte
	var commands []string
	if d.opt.ClientName != "" {
		out = appendCommand(out, "CLIENT", "SETNAME", d.opt.ClientName)
		commands = append(commands, "CLIENT")
	}
	if db != 0 {
		out = appendCommand(out, "SELECT", strconv.Itoa(db))
		commands = append(commands, "SELECT")
	}
	if len(commands) == 0 {
		out = appendCommand(out, "PING")
		commands = append(commands, "PING")
	}
	if err := conn.SetDeadline(time.Now().Add(d.opt.DialTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(out); err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 1024)
	for _, command := range commands {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		reply := string(bytes.TrimRight(line, "\r\n"))
		if reply == "" || (reply[0] != '+' && reply[0] != '-') {
			return &NodeError{Addr: addr, Kind: ErrNotRedis, Msg: fmt.Sprintf("unexpected reply to %s", command)}
		}
		if reply[0] == '+' {
			continue
		}
		e := d.replyError(addr, reply[1:])
		switch {
		case command == "SELECT":
			if e.Kind == nil {
				e.Kind = ErrDatabase
			}
			e.Msg = fmt.Sprintf("SELECT %d: %s", db, e.Msg)
			return e
		case errors.Is(e, ErrAuth):
			return e
		}
		// A refused name (an ACL, a proxy) or PING does no harm.
	}
	if r.Buffered() != 0 {
		return &NodeError{Addr: addr, Kind: ErrNotRedis, Msg: "sent more replies than it was sent commands"}
	}
	return nil
}

// appendCommand appends a command in RESP.
func appendCommand(dst []byte, args ...string) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(len(args)), 10)
	dst = append(dst, "\r\n"...)
	for _, a := range args {
		dst = append(dst, '$')
		dst = strconv.AppendInt(dst, int64(len(a)), 10)
		dst = append(dst, "\r\n"...)
		dst = append(dst, a...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}
