package main

import (
	"bufio"
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// inspectHeld is the longest value that is held in memory: enough to count the
// elements of most, and to estimate the memory that they take.
const inspectHeld = 8 << 20

// mostPrefixes is how many prefixes are held at least.
const mostPrefixes = 10_000

// An inspection reads dumps and says what is in them.
type inspection struct {
	*inspectSettings
	*streams
	inputs  []*inspectSource
	current *inspectSource // being read
	keys    atomic.Int64   // for the progress
	census  *census.Census
	masters *slotter.Map // nil without --target
	out     *bufio.Writer
	began   time.Time
	report  inspectReport
}

// An inspectSource is one SOURCE.
type inspectSource struct {
	name   string // as the user wrote it
	in     *input // nil before it is opened
	active atomic.Pointer[source.Source]
}

// bytes is how much of the input has been read.
func (s *inspectSource) bytes() int64 {
	if src := s.active.Load(); src != nil {
		return src.RawRead()
	}
	return 0
}

// run reads all sources and prints what is in them. An error that comes before
// the first byte is read is returned as it is; any later one has been shown.
func (r *inspection) run(ctx context.Context) error {
	in := catchInterrupts(ctx, func() {})
	defer in.stop()
	defer r.close()
	if err := r.prepare(in.soft); err != nil {
		return r.fail(in.or(err))
	}
	err := in.or(r.readAll(in.soft))
	r.report.finish(r, err)
	if werr := r.print(); err == nil && werr != nil {
		err = writeError(werr)
	}
	switch {
	case errors.Is(err, errClosed): // as with inspect --keys | head: nobody is left to tell
		return &shownError{err}
	case err != nil:
		return r.shown(err)
	}
	return nil
}

// writeError is an error of writing to standard output.
func writeError(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return errClosed
	}
	return err
}

// fail reports an error met before anything was read.
func (r *inspection) fail(err error) error {
	if isUsage(err) {
		return err
	}
	r.report.finish(r, err)
	if r.output.json {
		_ = writeObject(r.stdout, &r.report)
	}
	return r.shown(err)
}

// shown tells the user of err. The console's own way speaks of what was written.
func (r *inspection) shown(err error) error {
	r.con.line("rdbimport: %s", err)
	if hint := hintFor(err); hint != "" {
		r.con.line("hint: %s", hint)
	}
	return &shownError{err}
}

// prepare opens all sources, so that one that cannot be read is named at once,
// and asks the target who owns the slots.
func (r *inspection) prepare(ctx context.Context) error {
	r.began = time.Now()
	for _, name := range r.sources {
		s := &inspectSource{name: name}
		r.inputs = append(r.inputs, s)
		if name == stdinName {
			continue
		}
		var err error
		if s.in, err = openInput(ctx, name, r.stdin); err != nil {
			return err
		}
	}
	r.warnOfSources(r.sources)
	if r.hasTarget {
		if err := r.askTarget(ctx); err != nil {
			return err
		}
	}
	r.out = bufio.NewWriterSize(r.stdout, 64<<10)
	r.census = census.New(r.censusOptions(ctx))
	return nil
}

// askTarget gets the map of the slots.
func (r *inspection) askTarget(ctx context.Context) error {
	cluster, err := slotter.Connect(ctx, r.target, r.connect)
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Close() }()
	r.masters, err = cluster.Map(ctx)
	return err
}

// censusOptions says what is to be counted.
func (r *inspection) censusOptions(ctx context.Context) census.Options {
	opts := census.Options{
		Now: time.Now().UnixMilli(), Top: r.top,
		Every: func(n int64) error {
			r.keys.Add(n)
			return context.Cause(ctx)
		},
	}
	if r.slots || r.hasTarget || r.listKeys {
		opts.Slot = slotter.Slot
	}
	if r.prefix {
		opts.Prefixes = mostPrefixes
	}
	if r.memory {
		opts.Estimate = newProfiler().estimate
	}
	if r.listKeys {
		opts.Each = (&keyLister{out: r.out, inspection: r}).line
	}
	return opts
}

// readAll reads the sources one after another.
func (r *inspection) readAll(ctx context.Context) error {
	total := int64(0)
	for _, s := range r.inputs {
		if s.in == nil || s.in.Size() < 0 {
			total = 0
			break
		}
		total += s.in.Size()
	}
	out := r.output
	if r.listKeys && out.progress == "auto" && isTerminal(r.stdout) {
		out.progress = "none" // the keys are on the same screen
	}
	stop := startProgress(r.con, out, "inspect", total, func() sample {
		return sample{at: time.Now(), bytes: r.bytesRead(), keys: r.keys.Load()}
	})
	defer stop()
	for _, s := range r.inputs {
		if err := r.read(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *inspection) bytesRead() (n int64) {
	for _, s := range r.inputs {
		n += s.bytes()
	}
	return n
}

// read reads one source.
func (r *inspection) read(ctx context.Context, s *inspectSource) error {
	if s.in == nil {
		var err error
		if s.in, err = openInput(ctx, s.name, r.stdin); err != nil {
			return err
		}
	}
	s.in.start(ctx, nil)
	s.active.Store(s.in.Source)
	r.current = s
	sc := rdbparse.NewScanner(s.in.reader, rdbparse.Options{MaxValue: inspectHeld, AnyVersion: r.anyVersion})
	dump, err := r.census.Read(sc)
	r.report.add(s, dump)
	if err != nil {
		return inSource(s.in.Name(), err)
	}
	tail, err := s.in.CheckTail(ctx, sc.Rest(), s.in.reader)
	if err != nil {
		if err := behindDump(ctx, sc.Checksum(), err); err != nil {
			return err
		}
		r.con.warn(err.Error())
		return nil
	}
	if text := s.in.tailText(tail, sc.Offset()); text != "" {
		r.con.warn(s.in.Name() + ": " + text)
	}
	return nil
}

func (r *inspection) close() {
	for _, s := range r.inputs {
		if s.in != nil {
			s.in.close()
		}
	}
}

// print writes the report in the form that the user wants.
func (r *inspection) print() error {
	switch {
	case r.listKeys:
	case r.output.json:
		if err := writeObject(r.out, &r.report); err != nil {
			return err
		}
	case !r.output.quiet && len(r.report.Sources) > 0:
		r.report.write(r, r.out)
	}
	return r.out.Flush()
}
