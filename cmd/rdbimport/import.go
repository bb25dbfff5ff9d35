package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
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
	inputs  []*sourceRun
	sum     summary
}

func newImport(s *streams, set *settings) *importRun {
	r := &importRun{settings: set, streams: s, phase: "import"}
	for _, name := range set.sources {
		r.inputs = append(r.inputs, &sourceRun{name: name})
	}
	return r
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
	im, err := pipeline.New(in.hard, r.cluster, r.settings.pipeline)
	if err != nil {
		return nil, in.or(err)
	}
	if err := r.checkAll(in.soft, im.Servers()); err != nil {
		_, _ = im.Close() // nothing was given to it
		return nil, in.or(err)
	}
	unhook := context.AfterFunc(in.soft, im.Stop)
	defer unhook()
	stop := startProgress(r.con, r.output, r.phase, r.totalBytes(), func() sample {
		return sample{time.Now(), r.bytesRead(), settledKeys(im.Snapshot())}
	})
	defer stop()
	reading, end := readingContext(in.soft, im)
	defer end()
	err = r.feedAll(reading, im)
	r.finish(in, im, err)
	return &r.sum, r.sum.err
}

// readingContext returns the context for reading the sources: it ends with ctx,
// and when the import has failed, so that a source that is silent is not waited
// for. The function ends it and joins.
func readingContext(ctx context.Context, im *pipeline.Importer) (reading context.Context, end func()) {
	reading, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-im.Stopped():
			cancel(pipeline.ErrStopped)
		case <-reading.Done():
		}
	})
	return reading, func() {
		cancel(nil)
		watch.Wait()
	}
}

// prepare opens all sources, so that one that cannot be read is named before
// anything is sent, and connects to the target. Standard input is opened later:
// who writes to it may take his time.
func (r *importRun) prepare(ctx context.Context) error {
	for _, s := range r.inputs {
		if s.name == stdinName {
			continue
		}
		var err error
		if s.in, err = openInput(ctx, s.name, r.stdin); err != nil {
			return err
		}
		if err := s.in.QuickCheck(); err != nil {
			return err
		}
	}
	var err error
	r.cluster, err = slotter.Connect(ctx, r.target, r.connect)
	return err
}

func (r *importRun) closeInputs() {
	for _, s := range r.inputs {
		if s.in != nil {
			s.in.close()
		}
	}
}

// finish waits until every key is settled and completes the summary. feedErr is
// the error of feeding, nil if it came to its end.
func (r *importRun) finish(in *interrupts, im *pipeline.Importer, feedErr error) {
	s := &r.sum
	from := time.Now()
	res, err := im.Close()
	s.Result = res
	s.addSources(r.inputs, time.Since(from))
	stopped := errors.Is(err, pipeline.ErrStopped) // by a signal, or because of feedErr
	switch {
	case stopped && feedErr == nil:
		err = in.or(err)
	case stopped || err == nil:
		err = in.or(feedErr)
	case isDamage(feedErr) && !errors.Is(feedErr, err):
		r.con.warn(err.Error()) // both went wrong: the dump's fault is the one that ended it
		err = feedErr
	}
	if err == nil && s.incomplete() {
		err = s.partly()
	}
	r.warnUnused()
	if err == nil {
		return
	}
	if len(r.inputs) == 1 {
		err = inDump(shownName(r.inputs[0].name), err)
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
