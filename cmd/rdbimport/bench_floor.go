package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rdbimport/rdbimport/bench/floor"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// A floorPair is an import and the floor with the same keys, one after the other.
type floorPair struct {
	imported importCost
	floor    floor.Result
}

func (p floorPair) floorCPU() float64  { return (p.floor.User + p.floor.System).Seconds() }
func (p floorPair) importCPU() float64 { return p.imported.cpuSeconds() }

// ratio is the import's time to the floor's.
func (p floorPair) ratio() float64 {
	return p.imported.wall().Seconds() / max(p.floor.Wall, time.Nanosecond).Seconds()
}

// noFloor says why the floor cannot be measured, "" if it can.
func (b *benchmark) noFloor() string {
	switch {
	case b.local.keys == 0:
		return "the dump has no keys"
	case b.local.beginning.keys == 0:
		return "the first command is larger than --floor allows"
	}
	return ""
}

// importPair imports and sends what the floor holds. Where that is all of the
// dump, the import counts as one of the whole.
func (b *benchmark) importPair(in *interrupts, run int) error {
	t, begin := &b.aimed, &b.local.beginning
	var c importCost
	if begin.keys == b.local.keys {
		if err := b.importWhole(in, run); err != nil {
			return err
		}
		c = t.imports[run]
	}
	if t.streams == nil {
		return nil
	}
	if c.sum == nil {
		var err error
		if c, err = b.importOnce(in, fmt.Sprintf("import of the beginning %d/%d", run+1, b.runs), begin, nil); err != nil {
			return err
		}
	}
	res, err := b.sendFloor(in.soft)
	if in.soft.Err() != nil {
		return b.begun(in, err)
	}
	if err != nil {
		t.streams, t.pairs, t.leftOut = nil, nil, err.Error()
		return nil
	}
	t.pairs = append(t.pairs, floorPair{c, res})
	return nil
}

// mostSkipped is the share of the keys that the floor may leave out, since an
// import does not send them as they stand: with more it would be another import.
const mostSkipped = 0.01

// renderFloor renders what the floor is to send. If that cannot be, there is none.
func (b *benchmark) renderFloor(ctx context.Context) {
	t := &b.aimed
	if t.leftOut != "" {
		return
	}
	streams, skipped, err := b.render(ctx)
	sent := int64(0)
	for _, s := range streams {
		sent += s.Commands
	}
	switch {
	case err != nil:
		t.leftOut = err.Error()
	case float64(skipped) > mostSkipped*float64(b.local.beginning.keys):
		t.leftOut = fmt.Sprintf("%s of %s cannot be sent as they stand in the dump", formatCount(skipped), plural(b.local.beginning.keys, "key"))
	case sent == 0:
		t.leftOut = "all keys have expired"
	default:
		t.streams, t.skipped = streams, skipped
	}
}

// render returns what the floor is to send, and how many keys it leaves out that
// have not expired.
func (b *benchmark) render(ctx context.Context) (streams []*floor.Stream, skipped int64, err error) {
	m, err := b.cluster.Map(ctx)
	if err != nil {
		return nil, 0, err
	}
	now, err := b.cluster.Time(ctx, m.Masters[0].Addr)
	if err != nil {
		return nil, 0, err
	}
	in, err := openInput(ctx, b.source, nil)
	if err != nil {
		return nil, 0, err
	}
	defer in.close()
	streams, err = floor.Render(b.local.beginning.of(in.start(ctx, nil)), m, floor.Options{
		Now: now, Replace: true, Merge: true,
		Skip: func(e *rdbparse.Entry) bool {
			skip := !b.aimed.sentAsIs(e)
			if skip {
				skipped++
			}
			return skip
		},
	})
	return streams, skipped, err
}

// sendFloor sends what was rendered.
func (b *benchmark) sendFloor(ctx context.Context) (floor.Result, error) {
	conns, err := floor.Dial(ctx, b.cluster, b.aimed.streams, b.cluster.Target().DB)
	if err != nil {
		return floor.Result{}, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing is allocated meanwhile that would count
	return floor.Send(ctx, b.aimed.streams, conns)
}
