package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/bench/floor"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// targetRuns are the measurements with a target.
type targetRuns struct {
	masters []slotter.Master
	server  slotter.Server // of the masters, the one that understands least
	imports []importCost   // of the whole dump
	pairs   []floorPair
	peak    int64 // bytes of memory, while nothing was held for the floor
	replies replyTimes
	written int64 // keys, by the import that wrote most

	sentAsIs func(*rdbparse.Entry) bool // of the import that was last begun
	streams  []*floor.Stream            // nil without a floor
	skipped  int64                      // keys that the floor leaves out, which have not expired
	leftOut  string                     // why there is no floor
}

// last is what became of the last import of the whole dump, nil before there was
// one.
func (t *targetRuns) last() *summary {
	if n := len(t.imports); n > 0 {
		return t.imports[n-1].sum
	}
	return nil
}

// An importCost is what one import took.
type importCost struct {
	sum  *summary
	cpu  time.Duration
	peak int64
}

func (c importCost) wall() time.Duration { return c.sum.duration }
func (c importCost) cpuSeconds() float64 { return c.cpu.Seconds() }

// lookAtTarget learns what the masters are, and refuses a target that holds keys,
// unless the user wants it so.
func (b *benchmark) lookAtTarget(ctx context.Context) error {
	m, err := b.cluster.Map(ctx)
	if err != nil {
		return err
	}
	b.aimed.masters = m.Masters
	servers := make([]slotter.Server, len(m.Masters))
	var keys atomic.Int64
	if err := m.EachMaster(ctx, func(ctx context.Context, i int) (err error) {
		addr := m.Masters[i].Addr
		if servers[i], err = b.cluster.Server(ctx, addr); err != nil || b.replace {
			return err
		}
		size, err := b.cluster.Client(addr).DBSize(ctx).Result()
		if err != nil {
			return fmt.Errorf("%s: DBSIZE: %w", addr, err)
		}
		keys.Add(size)
		return nil
	}); err != nil {
		return err
	}
	if len(servers) == 0 {
		return pipeline.ErrNotCovered
	}
	b.aimed.server = slotter.Oldest(servers)
	if n := keys.Load(); n > 0 {
		return &usageError{fmt.Sprintf("the target holds %s, and bench would write over those that the dump has too", plural(n, "key")),
			"name a target without keys, or let bench write over them with --on-conflict replace"}
	}
	return nil
}

// measureTarget imports the dump and compares that with the floor.
func (b *benchmark) measureTarget(in *interrupts) error {
	t, begin := &b.aimed, &b.local.beginning
	if err := b.checkValues(in.soft); err != nil {
		return err
	}
	t.leftOut = b.noFloor()
	if begin.keys > 0 {
		// What follows finds these keys on the target, each time the same.
		if _, err := b.importOnce(in, "warm-up", begin, nil); err != nil {
			return err
		}
	}
	if begin.keys < b.local.keys {
		for run := range b.runs {
			if err := b.importWhole(in, run); err != nil {
				return err
			}
		}
	}
	b.renderFloor(in.soft)
	if err := context.Cause(in.soft); err != nil {
		return b.begun(in, err)
	}
	for run := range b.runs {
		if err := b.importPair(in, run); err != nil {
			return err
		}
	}
	return nil
}

// checkValues opens every value, where a damaged one can kill the target.
func (b *benchmark) checkValues(ctx context.Context) error {
	if !killedByDamage(b.aimed.server) {
		return nil
	}
	opts := b.importOptions()
	opts.Warn = nil // the import warns
	facts, err := pipeline.Look(ctx, b.cluster, opts)
	if err != nil {
		return err
	}
	sv := newSurvey(facts, opts)
	_, err = b.pass(ctx, "check", func(p *dumpPass) error {
		_, _, err := sv.read(ctx, &sourceRun{name: b.source, in: p.in}, rdbparse.Options{
			MaxValue: opts.HeldValue(), MaxParts: opts.HeldParts(), AnyVersion: b.anyVersion, Again: p.in.Again(),
			Spool: func() (rdbparse.Spool, error) { return source.NewKeep("") },
		})
		return inDump(b.source, err)
	})
	return err
}

// importWhole imports the whole dump, which counts.
func (b *benchmark) importWhole(in *interrupts, run int) error {
	c, err := b.importOnce(in, fmt.Sprintf("import %d/%d", run+1, b.runs), nil, b.aimed.replies.note)
	if err == nil {
		b.aimed.imports = append(b.aimed.imports, c)
	}
	return err
}

// importOnce imports the dump, or its beginning if part is given. timed is
// told of the replies, if it is given.
func (b *benchmark) importOnce(in *interrupts, phase string, part *beginning, timed func(string, time.Duration)) (importCost, error) {
	figure.ResetPeak()
	opts := b.importOptions()
	opts.Timed = timed
	im, err := pipeline.New(in.hard, b.cluster, opts)
	if err != nil {
		return importCost{}, b.begun(in, err)
	}
	b.aimed.sentAsIs = im.SentAsIs()
	stop := context.AfterFunc(in.soft, im.Stop)
	defer stop()
	reading, end := readingContext(in.soft, im)
	defer end()
	cpu := figure.ProcessorTime()
	src := &sourceRun{name: b.source}
	ferr := b.feed(reading, im, src, phase, part)
	from := time.Now()
	res, err := im.Close()
	c := importCost{sum: &summary{Result: res}, cpu: figure.ProcessorTime() - cpu, peak: figure.PeakMemory()}
	c.sum.addSources([]*sourceRun{src}, time.Since(from))
	if err == nil || errors.Is(err, pipeline.ErrStopped) || isDamage(ferr) {
		err = cmp.Or(ferr, err)
	}
	b.aimed.written = max(b.aimed.written, res.Restored)
	if err != nil {
		return c, b.begun(in, err)
	}
	if b.aimed.streams == nil {
		b.aimed.peak = max(b.aimed.peak, c.peak)
	}
	return c, nil
}

// importOptions are those of every import.
func (b *benchmark) importOptions() pipeline.Options {
	return pipeline.Options{
		Conflict: pipeline.ConflictReplace, Databases: pipeline.Databases{Only: pipeline.AllDatabases, Merge: true},
		Memory: b.memory, Lanes: b.connections, Expect: b.local.bytes, Warn: b.warned.say,
	}
}

// begun is the error of an import that has written some keys, or of one after
// another that has.
func (b *benchmark) begun(in *interrupts, err error) error {
	err = inDump(b.source, in.or(err))
	if b.aimed.written == 0 {
		return err
	}
	return &begunError{err: err, written: b.aimed.written}
}

// feed reads the source into im, which is then still to be closed.
func (b *benchmark) feed(ctx context.Context, im *pipeline.Importer, src *sourceRun, phase string, part *beginning) error {
	var err error
	if src.in, err = openInput(ctx, b.source, nil); err != nil {
		return err
	}
	defer src.in.close()
	f := im.NewFeeder()
	src.start(ctx, f.Flush)
	total, r := src.in.Size(), part.of(src.in.reader)
	if part != nil {
		total = 0 // how much that is of a compressed file is not known
	}
	stop := startProgress(b.con, b.output, phase, total, func() sample {
		return sample{at: time.Now(), bytes: src.bytes(), keys: settledKeys(im.Snapshot())}
	})
	defer stop()
	sc := rdbparse.NewScanner(r, rdbparse.Options{
		MaxValue: b.importOptions().HeldValue(), MaxParts: b.importOptions().HeldParts(), AnyVersion: b.anyVersion,
		Again: src.in.Again(), Spool: func() (rdbparse.Spool, error) { return source.NewKeep("") },
	})
	src.began = time.Now()
	err = f.Feed(sc)
	src.ended = time.Now()
	src.in.reader.stop()
	err = errors.Join(err, sc.Close())
	src.keys, src.checksum, src.waited = f.KeysRead(), sc.Checksum(), src.in.waited()
	return inSource(src.in.Name(), err)
}
