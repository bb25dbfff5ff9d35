package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A benchmark measures what can be done with a dump, and how fast.
type benchmark struct {
	*benchSettings
	*streams
	began   time.Time
	load    string           // of the machine before
	cluster *slotter.Cluster // nil without a target
	local   localRuns
	aimed   targetRuns
	report  benchReport
	warned  warnOnce
}

// run measures, and reports on it. But for a mistake in the command line the
// error has been shown.
func (b *benchmark) run(ctx context.Context) error {
	in := catchInterrupts(ctx, func() {})
	defer in.stop()
	b.began, b.load = time.Now(), figure.Load()
	b.warned.warn = b.con.warn
	err := b.measure(in)
	var begun *begunError
	if !asError(err, &begun) {
		err = in.or(listed(b.cluster, err))
	}
	if isUsage(err) {
		return err
	}
	whole := err == nil
	if last := b.aimed.last(); whole && last != nil && last.incomplete() {
		err = last.partly()
	}
	b.report.finish(b, err)
	if err != nil {
		b.show(err)
	}
	if werr := b.print(); err == nil && werr != nil {
		err = werr
		b.show(err)
	}
	if err != nil {
		return &shownError{err}
	}
	return nil
}

// show tells the user of err.
func (b *benchmark) show(err error) {
	b.con.line("rdbimport: %s", err)
	hint := hintFor(err)
	var begun *begunError
	if asError(err, &begun) && hint == hintResume {
		hint = "run again with --on-conflict replace: the target holds keys now"
	}
	if hint != "" {
		b.con.line("hint: %s", hint)
	}
}

// print writes the report in the form that the user wants: the tables only where there
// is a run through all stages.
func (b *benchmark) print() error {
	switch {
	case b.output.json:
		return writeObject(b.stdout, &b.report)
	case !b.output.quiet && len(b.local.runs) > 0:
		return b.report.write(b)
	}
	return nil
}

// measure measures everything. The target is looked at first, so that a mistake
// is known at once.
func (b *benchmark) measure(in *interrupts) error {
	if b.hasTarget {
		var err error
		if b.cluster, err = reach(in.soft, b.target, b.connect, b.connections, 1, b.con.warn); err != nil {
			return err
		}
		defer func() { _ = b.cluster.Close() }()
		if err := b.lookAtTarget(in.soft); err != nil {
			return err
		}
	}
	if err := b.measureLocal(in.soft); err != nil {
		return err
	}
	if !b.hasTarget {
		return nil
	}
	return b.measureTarget(in)
}

// A dumpPass is one reading of the dump from its start.
type dumpPass struct {
	in    *input
	bytes int64        // of the dump, set at the end
	keys  int64        // met in it
	shown atomic.Int64 // the same, for the progress: a little behind
	wall  time.Duration
}

// alone is the time that the pass took but for the waiting for bytes.
func (p *dumpPass) alone() time.Duration { return max(0, p.wall-p.in.waited()) }

// pass opens the source and has f read it; what is between is timed. phase is
// shown meanwhile, if it is not empty. A pipe is refused before it is opened, since that
// waits for a writer.
func (b *benchmark) pass(ctx context.Context, phase string, f func(p *dumpPass) error) (*dumpPass, error) {
	if info, err := os.Stat(b.source); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return nil, b.readOnce()
	}
	in, err := openInput(ctx, b.source, nil)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if !in.twice() {
		return nil, b.readOnce()
	}
	in.start(ctx, nil)
	p := &dumpPass{in: in}
	if phase != "" {
		stop := startProgress(b.con, b.output, phase, in.Size(), func() sample {
			return sample{at: time.Now(), bytes: in.RawRead(), keys: p.shown.Load()}
		})
		defer stop()
	}
	from := time.Now()
	err = f(p)
	p.wall = time.Since(from)
	if err != nil {
		return nil, inSource(in.Name(), err)
	}
	return p, nil
}

// readOnce is the error for a source that cannot be read again.
func (b *benchmark) readOnce() error {
	return &usageError{fmt.Sprintf("bench reads the dump several times, which cannot be done with %s", b.source), "save it to a file first"}
}

// scan reads the dump to its end and calls each, if there is any, for every key
// that is held in memory.
func (p *dumpPass) scan(ctx context.Context, sc *rdbparse.Scanner, each func(e *rdbparse.Entry)) error {
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			continue
		}
		if each != nil && !e.Big {
			each(e)
		}
		if p.keys++; p.keys%publishEvery == 0 {
			if err := p.publish(ctx); err != nil {
				return err
			}
		}
	}
	p.bytes = sc.Offset()
	return sc.Err()
}

// publish lets the progress know, and sees an interrupt.
func (p *dumpPass) publish(ctx context.Context) error {
	p.shown.Store(p.keys)
	return context.Cause(ctx)
}

// benchHeld is the longest value that is held while its parts are timed. The
// import itself holds far less.
const benchHeld = 512 << 20

func (b *benchmark) scanner(p *dumpPass, skipChecksum bool) *rdbparse.Scanner {
	return rdbparse.NewScanner(p.in.reader, rdbparse.Options{MaxValue: benchHeld, AnyVersion: b.anyVersion, SkipChecksum: skipChecksum})
}

// encoder returns what renders the command for a key into a buffer that it uses
// again, with the slot that says where it would go.
func encoder() func(e *rdbparse.Entry) {
	var buf []byte
	var slots uint64 // so that the slot is wanted
	return func(e *rdbparse.Entry) {
		slots += uint64(slotter.Slot(e.Key))
		buf = pipeline.AppendCommand(buf[:0], e)
	}
}
