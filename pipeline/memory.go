package pipeline

import (
	"sync/atomic"
	"unsafe"
)

// memory counts the bytes of the buffers that an import holds: batches, replies,
// what is read and framed. Nothing is counted key by key.
type memory struct{ now, peak atomic.Int64 }

// add notes that n bytes are held in addition, or fewer.
func (m *memory) add(n int64) {
	now := m.now.Add(n)
	for peak := m.peak.Load(); now > peak && !m.peak.CompareAndSwap(peak, now); peak = m.peak.Load() {
	}
}

// hold notes that the owner of counted holds n bytes now.
func (m *memory) hold(counted *int64, n int64) {
	if d := n - *counted; d != 0 {
		*counted = n
		m.add(d)
	}
}

// What a command takes in a batch beside its bytes, and one whose value was rewritten.
const (
	commandSize = int64(unsafe.Sizeof(command{}))
	originSize  = int64(unsafe.Sizeof(origin{}))
)

// size is how many bytes b holds.
func (b *batch) size() int64 {
	return int64(cap(b.buf)+cap(b.own)) + commandSize*int64(cap(b.cmds)) + originSize*int64(cap(b.origins))
}

// size is how many bytes f holds, with what it reads from.
func (f *Feeder) size() int64 {
	n := int64(cap(f.convertBuf))
	if f.scanner != nil {
		n += int64(f.scanner.Held())
	}
	return n
}
