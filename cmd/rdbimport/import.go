package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// maxValue is the longest value that is held in memory; no server takes a longer
// command.
const maxValue = 512 << 20

// runImport imports, and reports on it. Its error has been shown.
func runImport(ctx context.Context, s *streams, set *settings) error {
	sum, err := newImport(s, set).run(ctx)
	if sum == nil {
		return err
	}
	if err != nil {
		s.con.failure(err)
	}
	sum.report(s, set.output)
	if err != nil {
		return &shownError{err}
	}
	return nil
}

// report prints the summary in the form that the user wants.
func (s *summary) report(st *streams, out outputFlags) {
	switch {
	case out.json:
		writeJSON(st.stdout, s)
	case !out.quiet:
		s.write(st.stdout)
	}
}

// An importRun is one import, from its settings to its summary.
type importRun struct {
	*settings
	*streams
	phase   string // shown with the progress
	cluster *slotter.Cluster
	inputs  []*input
	sum     summary

	mu     sync.Mutex // guards what the progress looks at
	done   int64      // bytes of the sources that are finished
	active *input
}

func newImport(s *streams, set *settings) *importRun {
	return &importRun{settings: set, streams: s, phase: "import"}
}

// run imports. The summary is nil if nothing was begun.
func (r *importRun) run(ctx context.Context) (*summary, error) {
	in := catchInterrupts(ctx, func() {
		r.con.line("interrupted: finishing what is in flight; once more stops at once")
	})
	defer in.stop()
	defer r.closeInputs()
	if err := r.prepare(in.soft); err != nil {
		return nil, in.or(err)
	}
	defer func() { _ = r.cluster.Close() }()
	if err := r.checkAll(in.soft); err != nil {
		return nil, in.or(err)
	}
	im, err := pipeline.New(in.hard, r.cluster, r.settings.pipeline)
	if err != nil {
		return nil, in.or(err)
	}
	unhook := context.AfterFunc(in.soft, im.Stop)
	defer unhook()
	stop := startProgress(r.con, r.output, r.phase, r.totalBytes(), func() sample {
		res := im.Snapshot()
		return sample{time.Now(), r.bytesRead(), res.Restored + res.Existing + res.Expired + res.Filtered + res.Failed}
	})
	defer stop()
	err = r.feedAll(in.soft, im)
	r.finish(in, im, err)
	return &r.sum, r.sum.err
}

// prepare opens all sources, so that one that cannot be read is named before
// anything is sent, and connects to the target. Standard input is opened later:
// who writes to it may take his time.
func (r *importRun) prepare(ctx context.Context) error {
	for _, name := range r.sources {
		if name == stdinName {
			r.inputs = append(r.inputs, nil)
			continue
		}
		in, err := openInput(ctx, name, r.stdin)
		if err != nil {
			return err
		}
		r.inputs = append(r.inputs, in)
		if err := in.QuickCheck(); err != nil {
			return err
		}
	}
	var err error
	r.cluster, err = slotter.Connect(ctx, r.target, r.connect)
	return err
}

func (r *importRun) closeInputs() {
	for _, in := range r.inputs {
		if in != nil {
			in.close()
		}
	}
	r.inputs = nil
}

// totalBytes is how much there is to read, 0 if that is not known.
func (r *importRun) totalBytes() (n int64) {
	for _, in := range r.inputs {
		if in == nil || in.Size() < 0 {
			return 0
		}
		n += in.Size()
	}
	return n
}

// setActive has the progress look at in, after the input before it, which is
// finished.
func (r *importRun) setActive(in *input) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active != nil {
		r.done += r.active.RawRead()
	}
	r.active = in
}

// bytesRead is how much has been read of all sources.
func (r *importRun) bytesRead() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active == nil {
		return r.done
	}
	return r.done + r.active.RawRead()
}

// feedAll imports one source after another. It returns when the last key is on
// its way.
func (r *importRun) feedAll(ctx context.Context, im *pipeline.Importer) error {
	began := time.Now()
	feeder := im.NewFeeder()
	for i, name := range r.sources {
		if r.inputs[i] == nil {
			in, err := openInput(ctx, name, r.stdin)
			if err != nil {
				return err
			}
			r.inputs[i] = in
			if i == 0 {
				began = time.Now() // the clock starts with the first bytes
			}
		}
		if i > 0 {
			feeder.NewSource()
		}
		if err := r.feed(ctx, feeder, r.inputs[i]); err != nil {
			r.sum.duration = time.Since(began)
			return err
		}
	}
	r.sum.duration = time.Since(began)
	return nil
}

// feed imports one source.
func (r *importRun) feed(ctx context.Context, feeder *pipeline.Feeder, in *input) error {
	r.setActive(in)
	defer r.setActive(nil)
	defer func() { r.sum.source += in.waited() }()
	sc := rdbparse.NewScanner(in.start(ctx, feeder.Flush), r.scanOptions())
	err := feeder.Feed(sc)
	in.reader.stop()
	r.noteChecksum(sc.Checksum())
	if err != nil {
		return inSource(in.Name(), err)
	}
	tail, err := in.CheckTail(ctx, sc.Rest(), in.reader)
	if err != nil {
		if ctx.Err() == nil {
			r.con.warn(err.Error())
			return nil
		}
		return err
	}
	r.sum.behind += tail.Writes
	if text := tailText(tail); text != "" {
		r.con.warn(in.Name() + ": " + text)
	}
	return nil
}

func (r *importRun) scanOptions() rdbparse.Options {
	return rdbparse.Options{MaxValue: maxValue, AnyVersion: r.anyVersion}
}

// noteChecksum keeps the worst of several dumps.
func (r *importRun) noteChecksum(c rdbparse.Checksum) {
	rank := func(c rdbparse.Checksum) int {
		switch c {
		case rdbparse.ChecksumWrong:
			return 5
		case rdbparse.ChecksumPending:
			return 4
		case rdbparse.ChecksumNone, rdbparse.ChecksumOff:
			return 3
		}
		return 1
	}
	if r.sum.checksum == rdbparse.ChecksumPending && !r.sum.seen || rank(c) > rank(r.sum.checksum) {
		r.sum.checksum, r.sum.seen = c, true
	}
}

// inSource puts the name of a source before an error that lacks it.
func inSource(name string, err error) error {
	var format *rdbparse.FormatError
	var src *source.Error
	if errors.As(err, &format) && !errors.As(err, &src) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// finish waits until every key is settled and completes the summary. feedErr is
// the error of feeding, nil if it came to its end.
func (r *importRun) finish(in *interrupts, im *pipeline.Importer, feedErr error) {
	s := &r.sum
	from := time.Now()
	res, err := im.Close()
	drain := time.Since(from)
	s.Result = res
	s.duration += drain
	s.masters = res.Waited + drain
	s.bytesRead = r.bytesRead()
	switch {
	case in.soft.Err() != nil:
		err = context.Cause(in.soft)
	case feedErr != nil && (err == nil || isDamage(feedErr)):
		if err != nil {
			r.con.warn(err.Error()) // both went wrong: the dump's fault is the one that ended it
		}
		err = feedErr
	case err == nil && s.incomplete():
		err = s.partly()
	}
	r.warnUnused()
	if err == nil {
		return
	}
	if !errors.Is(err, errPartly) {
		err = &begunError{err, res.Restored}
	}
	s.err, s.code = err, exitCode(err)
}

// warnUnused says so when the user picked a database that the dump does not have.
func (r *importRun) warnUnused() {
	if only := r.settings.pipeline.Databases.Only; r.sum.Read > 0 && r.sum.Filtered == r.sum.Read {
		r.con.warn(fmt.Sprintf("no key of the dump is in database %d", only))
	}
}
