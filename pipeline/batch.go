package pipeline

import (
	"sync/atomic"
	"time"
)

// A state says how a command of a batch stands.
type state uint8

const (
	// stateOpen: to be sent to the owner of its slot; perhaps it was sent already
	// and the answer never came.
	stateOpen state = iota
	// stateSettled: answered, and counted.
	stateSettled
	// stateMoved: to be sent to the lane that the server named.
	stateMoved
	// stateAsk: the same, behind an ASKING.
	stateAsk
	// stateExists: the lane's master has the key; its value is to be read back
	// from there and compared.
	stateExists
	// stateExistsAsk: the same, behind an ASKING.
	stateExistsAsk
	// stateLong: the owner of its slot has the key, with a value that is too long to be
	// read back: it is to be compared in parts.
	stateLong
	// stateAcked: accepted by the master, and not yet by as many replicas as
	// wanted.
	stateAcked
	// stateAckedExisting: the same for a key that was there with the same value.
	stateAckedExisting
)

// A command is one RESTORE in a batch. There is one for each key in flight, so it
// takes 16 bytes; and it is made of few enough fields that the compiler keeps one in
// registers until it is stored.
type command struct {
	offset int64  // of the entry in the dump
	end    uint32 // where the command ends in the batch's buffer
	condition
}

// A condition is how a command stands, in four bytes.
type condition struct {
	laneLow  uint16 // of the index in Importer.lanes, where the state is one of a certain lane
	laneHigh uint8
	state    state
}

func (c *condition) setLane(l *lane) { c.laneLow, c.laneHigh = uint16(l.index), uint8(l.index>>16) }

func (c *condition) laneIndex() int { return int(c.laneLow) | int(c.laneHigh)<<16 }

// A sending is the way in which the commands of a batch go out this time.
type sending uint8

const (
	sendPlain  sending = iota
	sendAsking         // each behind an ASKING
	sendReadBack
	sendReadBackAsking
	sendLong // nothing is sent: it goes to runLong
	sendWait // nothing but a WAIT; such a batch is not of the pool
)

// A batch is a buffer of whole commands, and what is known of each.
type batch struct {
	buf  []byte
	cmds []command
	// origins are the commands whose values stand otherwise in the dump, in order.
	origins []origin
	open    int    // commands that are not settled
	acked   int    // of these, how many wait for replicas
	large   int64  // bytes of Importer.large that it has
	own     []byte // its buffer while it has one of Importer.large, else nil
	held    int64  // bytes that are counted in Importer.memory

	// low is the offset in the dump of the first command while any is open, none
	// otherwise. It is read by others.
	low atomic.Int64
	// feeder is the one that has scanned what it holds.
	feeder atomic.Pointer[Feeder]

	how  sending
	part []int32   // the commands that go out this time; nil for all
	due  time.Time // not to be sent before
	try  int       // sendings in a row that settled nothing
	lane *lane     // where it is, or was last
	next *batch    // behind it in a queue
	wait bool      // a reply asked to try later: back off
	// broken is how many connections in a row broke while it was on them.
	broken int
	detour detour // redirections in a row, of those that try counts
	// narrow is how often in a row reading back broke the connection, less each time that
	// it did not; and unread how often in a row that was while it was at one key alone.
	narrow, unread int
	// touch is, with Options.WaitReplicas, the name of a key to be written before the WAIT:
	// one that only a sendWait batch has, or that one has to follow for.
	touch []byte
	// given is when it was handed over to be sent for the first time; zero once that
	// has been answered. written is when its first byte was about to be written, this
	// time.
	given, written time.Time
}

// reset empties b for new commands. A buffer for a large command is returned with
// the room that it takes, and is no longer b's.
func (b *batch) reset() (buf []byte, room int64) {
	if b.large > 0 {
		buf, room = b.buf, b.large
		b.buf, b.own = b.own, nil
	}
	b.buf, b.cmds, b.origins, b.part = b.buf[:0], b.cmds[:0], b.origins[:0], b.part[:0]
	b.open, b.acked, b.large, b.how, b.due, b.try, b.lane, b.wait, b.broken, b.touch = 0, 0, 0, sendPlain, time.Time{}, 0, nil, false, 0, nil
	b.detour, b.narrow, b.unread = detour{}, 0, 0
	b.low.Store(none)
	return buf, room
}

// command returns the bytes of command i.
func (b *batch) command(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = b.cmds[i-1].end
	}
	return b.buf[from:b.cmds[i].end]
}

// sent returns how many commands go out this time.
func (b *batch) sent() int {
	if len(b.part) == 0 {
		return len(b.cmds)
	}
	return len(b.part)
}

// at returns the index of the i-th command that goes out this time.
func (b *batch) at(i int) int {
	if len(b.part) == 0 {
		return i
	}
	return int(b.part[i])
}

// reopen forgets where the open commands were to be sent.
func (b *batch) reopen() {
	for i := range b.cmds {
		if s := &b.cmds[i].state; *s != stateSettled {
			*s = stateOpen
		}
	}
	b.acked = 0
}

// settle notes that command i needs no more care.
func (b *batch) settle(i int) {
	b.cmds[i].state = stateSettled
	b.open--
}
