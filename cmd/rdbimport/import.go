package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// runImport imports, and reports on it. Its error has been shown.
func runImport(ctx context.Context, s *streams, set *settings) error {
	switch {
	case set.dryRun:
		return runPlan(ctx, s, set)
	case set.compare:
		return runCompared(ctx, s, set)
	}
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
	case !out.quiet && !(isDamage(s.err) && s.Read == 0 && s.before.Keys == 0): // a table of zeros tells nothing
		s.write(st.stdout)
	}
}

// An importRun is one import, from its settings to its summary.
type importRun struct {
	*settings
	*streams
	phase   string                            // shown with the progress
	begun   atomic.Pointer[pipeline.Importer] // nil before
	cluster *slotter.Cluster
	inputs  []*sourceRun
	sum     summary

	keep    *checkpointer // nil without --checkpoint
	unlock  func()        // lets others have the checkpoint, nil without one
	from    *checkpoint   // to go on from, nil to begin
	refused *refusalLog   // nil without --errors
	spool   *source.Spool // nil without --spool

	endKeeping func(through bool) // see keepCheckpoint
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
	in := catchInterrupts(ctx, r.sayInterrupted)
	defer in.stop()
	return r.runUntil(in)
}

// sayInterrupted says at the first interrupt what is done about it, and what for it
// takes its time.
func (r *importRun) sayInterrupted() {
	var masters []pipeline.MasterResult
	if im := r.begun.Load(); im != nil {
		masters = im.Snapshot().Masters
	}
	r.con.line("%s", interruptText(masters))
}

// interruptText is said at the first interrupt of an import or a comparison.
func interruptText(masters []pipeline.MasterResult) string {
	text := "interrupted: finishing what is in flight"
	if waits := troubleText(masters); waits != "" {
		text += fmt.Sprintf(", for up to %.0f s where a master accepts nothing: %s", pipeline.StopPatience.Seconds(), strings.TrimPrefix(waits, "; "))
	}
	return text + "; once more stops at once"
}

// runUntil imports until it is interrupted.
func (r *importRun) runUntil(in *interrupts) (*summary, error) {
	defer r.close()
	if err := r.prepare(in.soft); err != nil {
		return nil, in.or(listed(r.cluster, err))
	}
	im, err := pipeline.New(in.hard, r.cluster, r.pipelineOptions())
	if err != nil {
		return nil, in.or(listed(r.cluster, err))
	}
	r.begun.Store(im)
	if err := r.checkAll(in.soft, im.Servers()); err != nil {
		_, _ = im.Close() // nothing was given to it
		return nil, in.or(err)
	}
	unhook := context.AfterFunc(in.soft, im.Stop)
	defer unhook()
	show := watchProgress(r.con, r.output, r.phase, r.totalBytes(), func() status {
		res := im.Snapshot()
		return status{sample: r.sample(settledKeys(res)), masters: res.Masters}
	})
	defer show.stop()
	reading, end := readingContext(in.soft, im)
	defer end()
	r.endKeeping = r.keepCheckpoint(im)
	err = r.feedAll(reading, im)
	show.now("finishing")
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
			if err := unreadableInput(r.stdin); err != nil {
				return err
			}
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
	r.warnOfSources(r.sources)
	if err := r.openSpool(ctx); err != nil {
		return err
	}
	var err error
	if r.cluster, err = reach(ctx, r.target, r.connect, r.settings.pipeline.Lanes, len(r.sources), r.con.warn); err != nil {
		return err
	}
	if r.compare {
		if err := r.mayCompare(ctx); err != nil {
			return err
		}
	}
	if err := r.prepareCheckpoint(ctx); err != nil {
		return err
	}
	if r.errorsFile != "" {
		r.refused, err = openRefusals(r.errorsFile, r.from != nil)
	}
	return err
}

// openSpool has standard input read from now on, if it is to be spooled. A file
// has no writer that could be held up.
func (r *importRun) openSpool(ctx context.Context) error {
	if r.spoolDir == "" || !slices.Contains(r.sources, stdinName) {
		return nil
	}
	if f, ok := r.stdin.(*os.File); ok {
		if info, err := f.Stat(); err == nil && (info.Mode().IsRegular() || term.IsTerminal(int(f.Fd()))) {
			return nil
		}
	}
	var err error
	if r.spool, err = source.NewSpool(ctx, r.stdin, r.spoolDir, r.con.warn); err != nil {
		return &usageError{"--" + err.Error(), "name a folder that can be written"}
	}
	return nil
}

// input is where standard input is read from.
func (r *importRun) input() io.Reader {
	if r.spool != nil {
		return r.spool
	}
	return r.stdin
}

// pipelineOptions are the options of the pipeline, with what is known by now.
func (r *importRun) pipelineOptions() pipeline.Options {
	o := r.settings.pipeline
	for _, s := range r.inputs {
		if s.in == nil || !s.in.Seekable() {
			o.Expect = 0
			break
		}
		o.Expect += s.in.Size()
	}
	if r.keep != nil {
		o.Temporary, o.Missed = r.keep.temporary, r.keep.refusal
	}
	if r.from != nil {
		o.Leftovers = r.from.Temporary
	}
	if r.refused != nil || r.keep != nil {
		o.Refused = func(f pipeline.Refusal) {
			r.refused.note(f)
			r.keep.refusal(f.Offset)
		}
	}
	return o
}

// close frees what the import holds.
func (r *importRun) close() {
	r.closeInputs()
	if r.spool != nil {
		if err := r.spool.Close(); err != nil {
			r.con.warn(err.Error())
		}
	}
	if r.cluster != nil {
		_ = r.cluster.Close()
	}
	r.refused.close(r.con.warn)
	if r.unlock != nil {
		r.unlock()
	}
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
	// No run with the same options gets past a second database.
	r.endKeeping(err == nil || errors.Is(err, pipeline.ErrDatabases))
	s.replaces = r.settings.pipeline.Conflict == pipeline.ConflictReplace
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
	if !isPartly(err) {
		err = &begunError{err: err, written: res.Restored, unsettled: res.Unsettled, resumes: r.keep.holds()}
	}
	s.err, s.code = err, exitCode(err)
}

// warnUnused says so when the user picked a database that the dump does not have.
func (r *importRun) warnUnused() {
	if only := r.settings.pipeline.Databases.Only; r.sum.Read > 0 && r.sum.Filtered == r.sum.Read && only != pipeline.AllDatabases {
		r.con.warn(fmt.Sprintf("no key of the dump is in database %d", only))
	}
}
