package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// localRuns are the measurements that need no server.
type localRuns struct {
	fileBytes int64 // of the source as it lies on the disk
	wrappers  []string
	bytes     int64 // of the dump
	keys      int64
	version   int
	valkey    bool
	checksum  rdbparse.Checksum
	runs      []localRun
	beginning beginning // what the floor can hold
	peak      int64     // bytes of memory, in the passes that do everything
	allocs    allocations
}

// A localRun is one run through all stages.
type localRun struct {
	readBytes             int64
	read                  time.Duration
	scan, checked         time.Duration // the reading taken off
	slot, payload, encode time.Duration
	together              time.Duration
	types                 []*typeCost
}

// checksum is what checking the file's CRC64 adds.
func (r *localRun) checksum() time.Duration { return max(0, r.checked-r.scan) }

// allocations are those of scanning and encoding, once set up.
type allocations struct {
	keys         int64 // over which they were counted
	count, bytes uint64
}

// The part of a dump over which allocations are counted.
const (
	mostAllocKeys  = 1_000_000
	mostAllocBytes = 256 << 20
)

// passes is how often one run reads the dump.
const passes = 5

// measureLocal runs all stages as often as wanted.
func (b *benchmark) measureLocal(ctx context.Context) error {
	l := &b.local
	clock := clockCost()
	pass := 0
	phase := func(stage string) string {
		pass++
		return fmt.Sprintf("%s %d/%d", stage, pass, passes*b.runs)
	}
	for range b.runs {
		var r localRun
		if err := b.readOnly(ctx, phase("reading"), &r); err != nil {
			return err
		}
		p, err := b.scanOnly(ctx, phase("scanning"), true)
		if err != nil {
			return err
		}
		r.scan = p.alone()
		if p, err = b.scanOnly(ctx, phase("checksum"), false); err != nil {
			return err
		}
		r.checked = p.alone()
		l.fileBytes, l.wrappers, l.bytes, l.keys = p.in.Size(), p.in.Wrappers(), p.bytes, p.keys
		if err := b.measureTypes(ctx, phase("encoding"), clock, &r); err != nil {
			return err
		}
		if err := b.together(ctx, phase("all"), &r); err != nil {
			return err
		}
		l.runs = append(l.runs, r)
	}
	return b.countAllocations(ctx)
}

// readOnly reads the source and looks at nothing.
func (b *benchmark) readOnly(ctx context.Context, phase string, r *localRun) error {
	p, err := b.pass(ctx, phase, func(p *dumpPass) error {
		buf := make([]byte, 256<<10) // as a Scanner reads
		for {
			n, err := p.in.reader.Read(buf)
			p.bytes += int64(n)
			if err == nil {
				err = context.Cause(ctx)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err == nil {
		r.read, r.readBytes = p.wall, p.bytes
	}
	return err
}

// scanOnly finds out where each record ends.
func (b *benchmark) scanOnly(ctx context.Context, phase string, skipChecksum bool) (*dumpPass, error) {
	return b.pass(ctx, phase, func(p *dumpPass) error {
		sc := b.scanner(p, skipChecksum)
		err := p.scan(ctx, sc, nil)
		b.local.version, b.local.valkey = sc.Version()
		if !skipChecksum {
			b.local.checksum = sc.Checksum()
		}
		return err
	})
}

// together does all that an import does but for the sending.
func (b *benchmark) together(ctx context.Context, phase string, r *localRun) error {
	figure.ResetPeak()
	p, err := b.pass(ctx, phase, func(p *dumpPass) error {
		return p.scan(ctx, b.scanner(p, false), encoder())
	})
	if err != nil {
		return err
	}
	r.together = p.wall
	b.local.peak = max(b.local.peak, figure.PeakMemory())
	return nil
}

// countAllocations counts what scanning and encoding allocate, from behind the
// first key on. Nothing else goes on meanwhile, not even a progress.
func (b *benchmark) countAllocations(ctx context.Context) error {
	a := &b.local.allocs
	_, err := b.pass(ctx, "", func(p *dumpPass) error {
		sc, encode := b.scanner(p, false), encoder()
		var before, after runtime.MemStats
		begun := false
		for a.keys < mostAllocKeys && sc.Offset() < mostAllocBytes && sc.Next() {
			e := sc.Entry()
			if e.Record != rdbparse.RecordKey {
				continue
			}
			if !e.Big {
				encode(e)
			}
			if !begun {
				begun = true
				runtime.ReadMemStats(&before)
				continue
			}
			if a.keys++; a.keys%publishEvery == 0 {
				if err := context.Cause(ctx); err != nil {
					return err
				}
			}
		}
		if a.keys > 0 {
			runtime.ReadMemStats(&after)
			a.count, a.bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
		}
		return sc.Err()
	})
	return err
}

// perMillion scales a count to a million keys.
func (a *allocations) perMillion(n uint64) float64 {
	if a.keys == 0 {
		return 0
	}
	return float64(n) * 1e6 / float64(a.keys)
}
