package pipeline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// A link is a connection for the commands of one large value at a time, which are not
// kept until they are answered: when one fails, all of them begin anew. It belongs to
// one goroutine, or to links. Its lane is there for the counts, the pace and the health of
// the master; nothing goes through the lane's queue.
type link struct {
	wire
	im   *Importer
	lane *lane
	n    int         // of the links to the same master
	c    *connection // nil if there is none
	stop func() bool

	chunk    int       // bytes that are written at a time
	written  int64     // bytes, since a value was accepted
	commands int       // ended since the last chunk
	flight   []int     // commands of each chunk that is written and not answered
	from     time.Time // since when the master is waited for
	peers    int       // how many links are busy at a time, if more than one
	settles  bool      // what goes through it is in flight: it goes on while the import stops
}

// Sizes of what goes through a link.
const (
	// linkChunk is how many bytes are written at a time, at the most.
	linkChunk = 128 << 10
	// linkDepth is how many chunks may be on their way.
	linkDepth = 64
	// pieceBytes and pieceParts bound one command of a value in pieces, so that
	// a master has time for others between two of them.
	pieceBytes = 32 << 10
	pieceParts = 1024
	// linkSize is about what the buffers of a link take.
	linkSize = replyBuffer + linkChunk + 2*pieceBytes
)

// close ends the link. The master carries out what it was sent.
func (k *link) close() {
	if k.c == nil {
		return
	}
	k.stop()
	k.im.memory.add(-linkSize)
	k.lane.conn.Store(nil)
	k.lane.flying.Store(0)
	k.c.replies.drop()
	_ = k.c.conn.Close()
	k.c = nil
	k.im.links.free(k)
}

// abandon reads the replies to what is on its way, so that it is over, whatever
// they say, and ends the link.
func (k *link) abandon() {
	if k.c == nil {
		return
	}
	_ = k.c.conn.SetReadDeadline(time.Now().Add(abandonTime))
	for n := range k.flight {
		for ; k.flight[n] > 0; k.flight[n]-- {
			var refused *replyError
			if err := k.skip(); err != nil && !errors.As(err, &refused) {
				k.close()
				return
			}
		}
	}
	k.close()
}

// abandonTime is how long abandon waits.
const abandonTime = 5 * time.Second

// why returns why the link broke, given the error that it was noticed by.
func (k *link) why(err error) error {
	var refused *replyError
	if errors.As(err, &refused) {
		return err
	}
	if p := k.c.broke.Load(); p != nil {
		return *p
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return errors.New("the connection was closed")
	}
	return err
}

// command ends a command.
func (k *link) command() error {
	k.end(0)
	k.commands++
	if len(k.buf) >= k.chunk {
		return k.flush()
	}
	return nil
}

// A stream gives the bytes of an argument piece by piece.
type stream func(yield func(p []byte) error) error

// long ends a command with an argument of n bytes, which are not held, and the
// words that follow it.
func (k *link) long(n int64, s stream, then ...string) error {
	k.end(1 + len(then))
	k.buf = strconv.AppendInt(append(k.buf, '$'), n, 10)
	k.buf = append(k.buf, '\r', '\n')
	var given int64
	err := s(func(p []byte) error {
		given += int64(len(p))
		for len(p) > 0 {
			step := min(len(p), k.chunk)
			k.buf = append(k.buf, p[:step]...)
			p = p[step:]
			if len(k.buf) >= k.chunk {
				if err := k.write(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && given != n {
		err = fmt.Errorf("%d bytes in place of %d", given, n)
	}
	if err != nil {
		return err
	}
	k.buf = append(k.buf, '\r', '\n')
	for _, s := range then {
		k.word(s)
	}
	k.buf = append(k.buf, k.args...)
	k.args, k.count = k.args[:0], 0
	k.commands++
	return k.flush()
}

// write writes what is in the buffer.
func (k *link) write() error {
	im := k.im
	if !k.settles {
		if im.stopping.Load() {
			return im.whyStopped()
		}
		if err := im.limit(len(k.buf), 0, k.peers); err != nil {
			return err
		}
	}
	if err := im.throttle(k.lane); err != nil {
		return err
	}
	k.waits()
	defer k.rests()
	if err := k.c.writeBytes(k.buf); err != nil {
		// The reason may stand in a last reply.
		_ = k.c.conn.SetReadDeadline(time.Now().Add(lastWords))
		for {
			last := k.skip()
			var refused *replyError
			if errors.As(last, &refused) {
				return last
			}
			if last != nil {
				return k.why(err)
			}
		}
	}
	k.written += int64(len(k.buf))
	k.buf = k.buf[:0]
	return nil
}

// ask writes what is in the buffer, whose answers the caller waits for.
func (k *link) ask() error {
	if err := k.write(); err != nil {
		return err
	}
	k.waits()
	return nil
}

// waits notes that the link begins to wait for the master, so that a silence
// counts from now on.
func (k *link) waits() {
	k.from = time.Now()
	k.c.moved.Store(k.lane.steady(k.from))
	k.c.waiting.Store(1)
}

// rests notes that it waits no longer.
func (k *link) rests() {
	if k.c.waiting.Swap(0) != 0 {
		k.im.stats.waited.Add(int64(time.Since(k.from)) / int64(max(k.peers, 1)))
	}
}

// well notes that the master answers.
func (k *link) well() {
	k.lane.since.Store(0)
	k.lane.well()
}

// flush writes what is in the buffer and, where too much is on its way, reads
// replies.
func (k *link) flush() error {
	if err := k.launch(); err != nil {
		return err
	}
	return k.settle(linkDepth)
}

// launch writes what is in the buffer, and has the replies to the commands in it waited
// for.
func (k *link) launch() error {
	if len(k.buf) > 0 {
		if err := k.write(); err != nil {
			return err
		}
	}
	if k.commands > 0 {
		k.flight = append(k.flight, k.commands)
		k.commands = 0
	}
	return nil
}

// settle reads replies until no more than most chunks are on their way.
func (k *link) settle(most int) error {
	for len(k.flight) > most {
		if err := k.answered(); err != nil {
			return err
		}
	}
	return nil
}

// answered reads the replies to the oldest chunk.
func (k *link) answered() error {
	k.waits()
	defer k.rests()
	for k.flight[0] > 0 {
		err := k.skip()
		k.flight[0]--
		if err != nil {
			return k.why(err)
		}
	}
	k.flight = append(k.flight[:0], k.flight[1:]...)
	k.well()
	return nil
}

// drain writes what there is and reads all replies.
func (k *link) drain() error {
	if err := k.launch(); err != nil {
		return err
	}
	return k.settle(0)
}

// call sends the command of the arguments that were added, along with all before, and
// reads its reply behind theirs. If one of theirs is an error, the command has been
// sent nevertheless.
func (k *link) call() (reply, error) {
	k.end(0)
	if err := k.launch(); err != nil {
		return reply{}, err
	}
	if err := k.settle(0); err != nil {
		return reply{}, err
	}
	return k.answer()
}

// answer reads one reply that is waited for.
func (k *link) answer() (reply, error) {
	k.waits()
	defer k.rests()
	rep, err := k.next()
	if err != nil {
		return rep, k.why(err)
	}
	k.well()
	return rep, nil
}

// number sends the command of the arguments that were added, and returns the
// number that it is answered by.
func (k *link) number() (int64, error) {
	rep, err := k.call()
	if err != nil {
		return 0, err
	}
	n, ok := parseInt(rep.text)
	if rep.kind != ':' || !ok {
		return 0, fmt.Errorf("%w: %q in place of a number", errProtocol, rep.text)
	}
	return n, nil
}
