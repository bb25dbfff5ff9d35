package pipeline

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A Mark is a place in a dump below which every key is settled: an import can go
// on from there.
type Mark struct {
	rdbparse.Position
	Keys int64 `json:"keys"` // that stand before it in the dump
}

// markEvery is the distance in bytes of the places that can become a Mark.
const markEvery = 256 << 10

// marks are the places that a Feeder has passed and that are not settled yet, in
// order, and the last one that is.
type marks struct {
	mu      sync.Mutex
	passed  []Mark
	settled Mark
	known   bool
	// Of the Feeder: offsets of the entries behind which it marks next, and looks next
	// what waits.
	next, look int64
	// hold is the offset of a key that stopped the import: nothing beyond it
	// counts as settled.
	hold atomic.Int64
}

// none is the low of a batch without open commands.
const none = math.MaxInt64

// pass notes the place behind the current entry of sc.
func (m *marks) pass(sc *rdbparse.Scanner, keys int64) {
	p, ok := sc.Position()
	if !ok {
		return
	}
	m.next = p.Offset + markEvery
	m.add(Mark{p, keys})
}

// mostMarks bounds the places that wait to be settled. There are many while one large value
// is on its way for long, and others behind it are.
const mostMarks = 4096

// add notes a place that has been passed. Where there are too many, every second of them is
// forgotten: an import may then go on from an earlier one, which is as good.
func (m *marks) add(p Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.passed) == mostMarks {
		for i := range mostMarks / 2 {
			m.passed[i] = m.passed[2*i+1]
		}
		m.passed = m.passed[:mostMarks/2]
	}
	m.passed = append(m.passed, p)
}

// keepBelow notes that nothing from offset on may count as settled.
func (m *marks) keepBelow(offset int64) {
	for {
		old := m.hold.Load()
		if offset >= old || m.hold.CompareAndSwap(old, offset) {
			return
		}
	}
}

// Settled returns the last place below which every key of the present source is
// settled, and false where there is none yet. It needs Options.Marks.
func (im *Importer) Settled() (Mark, bool) {
	m := &im.marks
	m.mu.Lock()
	defer m.mu.Unlock()
	// The places were passed before the lows are read, so whatever stands before one of
	// them and is not settled is seen. And whatever gives up a low because its key
	// stopped the import holds first.
	low := im.unsettled()
	low = min(low, m.hold.Load())
	n := 0
	for n < len(m.passed) && m.passed[n].Offset <= low {
		n++
	}
	if n > 0 {
		m.settled, m.known = m.passed[n-1], true
		m.passed = append(m.passed[:0], m.passed[n:]...)
	}
	return m.settled, m.known
}

// unsettled returns the least offset of a key that a Feeder has met and that is not
// settled, none if there is none. A key that leaves its chunk has the low of the chunk
// until it has that of a batch: so chunks are looked at first, and then which batches
// there are.
func (im *Importer) unsettled() int64 {
	low := im.encoders.low()
	low = min(low, im.carriers.low())
	for _, b := range im.allBatches() {
		low = min(low, b.low.Load())
	}
	return low
}

// allBatches returns every batch there is.
func (im *Importer) allBatches() []*batch {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.every
}

// startMarks forgets the places of an earlier source. Keys before from have been
// settled by an earlier import.
func (m *marks) startMarks(from Mark, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed = m.passed[:0]
	m.settled, m.known = from, known
	m.next, m.look = from.Offset+markEvery, from.Offset
	m.hold.Store(none)
}
