package main

import (
	"context"
	"slices"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// What a block of keys of one type holds: enough that reading the clock costs
// nothing beside, and little enough that it stays in the processor's cache, where
// an import has a value too when it encodes it.
const (
	blockBytes = 64 << 10
	blockKeys  = 512
)

// A typeCost is what the values of one type have cost.
type typeCost struct {
	row         *rdbparse.TypeInfo
	keys, bytes int64 // of the records
	scan        time.Duration
	slot        time.Duration
	payload     time.Duration
	encode      time.Duration

	// The block that is being filled.
	held []rdbparse.Entry
	buf  []byte // what they borrow
}

// A typeClock measures what values cost, by their type.
type typeClock struct {
	clock time.Duration // what reading the clock takes
	start time.Time
	all   []*typeCost
	last  *typeCost
	out   []byte
	slots uint64 // so that the slots are wanted
}

func (t *typeClock) now() time.Duration { return time.Since(t.start) }

// clockCost measures what reading the clock takes, as the best of some tries.
func clockCost() time.Duration {
	const reads = 1000
	t := typeClock{start: time.Now()}
	best := time.Duration(1 << 62)
	for range 20 {
		from := t.now()
		for range reads {
			t.now()
		}
		best = min(best, t.now()-from)
	}
	return best / reads
}

// of returns the costs of a type.
func (t *typeClock) of(row *rdbparse.TypeInfo) *typeCost {
	if t.last != nil && t.last.row == row {
		return t.last
	}
	i := slices.IndexFunc(t.all, func(c *typeCost) bool { return c.row == row })
	if i < 0 {
		i = len(t.all)
		t.all = append(t.all, &typeCost{row: row, held: make([]rdbparse.Entry, 0, blockKeys), buf: make([]byte, 0, blockBytes)})
	}
	t.last = t.all[i]
	return t.last
}

// measureTypes measures the cost of scanning and encoding by type, and the parts
// of encoding. On the way it finds out how much of the dump the floor can hold.
func (b *benchmark) measureTypes(ctx context.Context, phase string, clock time.Duration, r *localRun) error {
	t := &typeClock{clock: clock, start: time.Now()}
	begin := beginning{most: b.floor}
	_, err := b.pass(ctx, phase, func(p *dumpPass) error {
		sc := b.scanner(p, true)
		for {
			waited, from := p.in.waited(), t.now()
			if !sc.Next() {
				break
			}
			took := t.now() - from - (p.in.waited() - waited)
			e := sc.Entry()
			if e.Record != rdbparse.RecordKey {
				continue
			}
			t.note(e, sc.Offset()-e.Offset, took)
			begin.note(e, sc.Offset())
			if p.keys++; p.keys%publishEvery == 0 {
				if err := p.publish(ctx); err != nil {
					return err
				}
			}
		}
		for _, c := range t.all {
			t.measure(c)
		}
		begin.version, _ = sc.Version()
		return sc.Err()
	})
	if err != nil {
		return err
	}
	r.types, b.local.beginning = t.all, begin
	for _, c := range t.all {
		r.slot += c.slot
		r.payload += c.payload
		r.encode += c.encode
	}
	return nil
}

// note counts a key whose record took so long to scan, and puts it into the block
// of its type.
func (t *typeClock) note(e *rdbparse.Entry, bytes int64, scan time.Duration) {
	c := t.of(e.Type)
	c.keys++
	c.bytes += bytes
	c.scan += max(0, scan-t.clock)
	size := len(e.Key) + len(e.Meta) + len(e.Value)
	if len(c.held) == blockKeys || len(c.buf)+size > blockBytes {
		t.measure(c)
	}
	switch {
	case e.Big: // it is not held
	case size > blockBytes:
		c.held = append(c.held, *e)
		t.measure(c)
	default:
		k := *e
		k.Key, k.Meta, k.Value, k.Fields = c.keep(e.Key), c.keep(e.Meta), c.keep(e.Value), nil
		c.held = append(c.held, k)
	}
}

// keep copies a text into the block, which has room for it.
func (c *typeCost) keep(text []byte) []byte {
	if text == nil {
		return nil
	}
	from := len(c.buf)
	c.buf = append(c.buf, text...)
	return c.buf[from:len(c.buf):len(c.buf)]
}

// measure times each step over a block, and empties it.
func (t *typeClock) measure(c *typeCost) {
	if len(c.held) == 0 {
		return
	}
	t.out = slices.Grow(t.out[:0], max(blockBytes, 2*len(c.held[0].Value)))
	t0 := t.now()
	for i := range c.held {
		t.slots += uint64(slotter.Slot(c.held[i].Key))
	}
	t1 := t.now()
	for i := range c.held {
		t.out = rdbparse.AppendPayload(t.out[:0], &c.held[i])
	}
	t2 := t.now()
	for i := range c.held {
		t.slots += uint64(slotter.Slot(c.held[i].Key))
		t.out = pipeline.AppendCommand(t.out[:0], &c.held[i])
	}
	t3 := t.now()
	c.slot += max(0, t1-t0-t.clock)
	c.payload += max(0, t2-t1-t.clock)
	c.encode += max(0, t3-t2-t.clock)
	clear(c.held)
	c.held, c.buf = c.held[:0], c.buf[:0]
}
