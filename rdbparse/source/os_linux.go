package source

import (
	"encoding/binary"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openFile opens a FIFO without waiting for its writer: the poller waits, and can be interrupted.
func openFile(path string) (*os.File, error) {
	flags := os.O_RDONLY
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		flags |= syscall.O_NONBLOCK
	}
	return os.OpenFile(path, flags, 0)
}

// adviseSequential asks for a larger read-ahead of the system; a refusal changes nothing.
func adviseSequential(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = unix.Fadvise(int(fd), 0, 0, unix.FADV_SEQUENTIAL) })
}

// poller reads a pipe, socket or terminal that may be in blocking mode (standard input is, and shares that mode with
// the processes it was inherited from): it reads only when there is something, and waits in poll, which an eventfd ends.
type poller struct {
	f    *os.File
	conn syscall.RawConn
	once sync.Once

	mu   sync.Mutex // guards wake against its close
	wake int
}

// newPoller returns nil where r is no file that can be polled.
func newPoller(r io.Reader) interrupter {
	f, ok := r.(*os.File)
	if !ok {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil
	}
	return &poller{f: f, conn: conn, wake: wake}
}

func (p *poller) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	var ready bool
	var perr error
	err := p.conn.Control(func(fd uintptr) { ready, perr = p.wait(int32(fd)) })
	switch {
	case err != nil:
		return 0, err
	case perr != nil:
		return 0, perr
	case !ready:
		return 0, ErrInterrupted
	}
	return p.f.Read(b)
}

// wait reports false when it was interrupted. A FIFO that never had a writer is not ready; one whose writers have left
// is, and reading it gives io.EOF.
func (p *poller) wait(fd int32) (bool, error) {
	fds := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}, {Fd: int32(p.wake), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false, os.NewSyscallError("poll", err)
		case fds[1].Revents != 0:
			return false, nil
		case fds[0].Revents != 0:
			return true, nil
		}
	}
}

func (p *poller) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake < 0 {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(p.wake, one[:])
	// Should another process have taken the bytes between poll and read, a file in non-blocking mode waits here.
	_ = p.f.SetReadDeadline(time.Unix(1, 0))
}

func (p *poller) close() {
	p.once.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = unix.Close(p.wake)
		p.wake = -1
	})
}
