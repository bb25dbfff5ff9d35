package floor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rdbimport/rdbimport/slotter"
)

// A Result is what sending cost.
type Result struct {
	Wall time.Duration // from the first write to the last reply
	// User and System are the processor time of the whole process meanwhile, so
	// nothing else should go on in it.
	User, System time.Duration
	Commands     int64 // sent, and accepted
	Bytes        int64
}

// ErrReply is matched by the error of Send when a master answers anything but OK.
var ErrReply = errors.New("a master refused a command")

// Send writes each stream to the connection of the same index and reads the
// replies. Any reply but OK is an error. It closes the connections.
func Send(ctx context.Context, streams []*Stream, conns []net.Conn) (Result, error) {
	if len(conns) != len(streams) {
		return Result{}, fmt.Errorf("%d connections for %d streams", len(conns), len(streams))
	}
	buffers := make([][]byte, len(streams))
	var res Result
	for i, s := range streams {
		buffers[i] = make([]byte, replyBuffer)
		res.Commands += s.Commands
		res.Bytes += s.Bytes
	}
	group, failed := errgroup.WithContext(ctx)
	stop := context.AfterFunc(failed, func() { closeAll(conns) })
	defer stop()
	defer closeAll(conns)

	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return Result{}, fmt.Errorf("getrusage: %w", err)
	}
	start := time.Now()
	for i, s := range streams {
		group.Go(func() error { return named(s.Addr, s.write(conns[i])) })
		group.Go(func() error { return named(s.Addr, s.count(conns[i], buffers[i])) })
	}
	err := group.Wait()
	res.Wall = time.Since(start)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, fmt.Errorf("send: %w", err)
	}
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return Result{}, fmt.Errorf("getrusage: %w", err)
	}
	res.User = time.Duration(after.Utime.Nano() - before.Utime.Nano())
	res.System = time.Duration(after.Stime.Nano() - before.Stime.Nano())
	return res, nil
}

// Dial opens a connection to the master of each stream, with database db
// selected.
func Dial(ctx context.Context, cluster *slotter.Cluster, streams []*Stream, db int) ([]net.Conn, error) {
	var conns []net.Conn
	for _, s := range streams {
		conn, err := cluster.Dial(ctx, s.Addr, db)
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close() // all that matters was read, or has failed already
	}
}

func named(addr string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return nil
}

func (s *Stream) write(conn net.Conn) error {
	for _, p := range s.pieces {
		if _, err := conn.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// replyBuffer is how many bytes of replies are read at a time.
const replyBuffer = 64 << 10

const okReply = "+OK\r\n"

// count reads the replies to all commands. An error reply begins with a minus,
// which OK does not have, and every OK has the same length: so nothing needs to
// be taken apart.
func (s *Stream) count(conn net.Conn, buf []byte) error {
	left := s.Commands * int64(len(okReply))
	for left > 0 {
		n, err := conn.Read(buf)
		if i := bytes.IndexByte(buf[:n], '-'); i >= 0 {
			return refusal(conn, buf[i:n])
		}
		left -= int64(n)
		if err != nil && left > 0 {
			return fmt.Errorf("%d replies missing: %w", (left+int64(len(okReply))-1)/int64(len(okReply)), err)
		}
	}
	if left < 0 {
		return fmt.Errorf("%w: %d bytes more than %d replies", ErrReply, -left, s.Commands)
	}
	return nil
}

// refusal returns the error for the reply that begins at the start of text. The
// rest of its line may still be on its way.
func refusal(conn net.Conn, text []byte) error {
	const most = 256
	text = bytes.Clone(text)
	var more [most]byte
	for bytes.IndexByte(text, '\n') < 0 && len(text) < most {
		n, err := conn.Read(more[:])
		text = append(text, more[:n]...)
		if err != nil {
			break
		}
	}
	line, _, _ := bytes.Cut(text, []byte("\r\n"))
	return fmt.Errorf("%w: %.*s", ErrReply, most, line)
}
