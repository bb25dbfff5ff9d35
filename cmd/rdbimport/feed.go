package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
)

// mostAtOnce is how many sources are read at the same time.
const mostAtOnce = 4

// A sourceRun is one SOURCE of an import and what became of it.
type sourceRun struct {
	name   string                        // as the user wrote it
	in     *input                        // nil before it is opened
	active atomic.Pointer[source.Source] // for the progress: nil before the reading begins

	finished bool  // by an earlier run
	skipped  int64 // bytes that an earlier run has settled, and this one did not read

	// For the progress: how many bytes stand before the place from which this run goes on,
	// and whether it still reads up to there. They are set before active is.
	passed  atomic.Int64
	passing atomic.Bool

	// Set once it is read, or as far as it was.
	began, ended time.Time
	keys         int64         // met in it
	waited       time.Duration // for bytes
	checksum     rdbparse.Checksum
	behind       int64 // writing commands behind the dump
	dumps        int64 // other dumps behind it
}

// bytes is how much of the input has been read, by an earlier run if that was all of it.
func (s *sourceRun) bytes() int64 {
	if s.finished && s.in != nil {
		return max(0, s.in.Size())
	}
	return s.bytesNow()
}

// bytesNow is how much of the input has been read by this run, or passed over.
func (s *sourceRun) bytesNow() int64 {
	if src := s.active.Load(); src != nil {
		return src.RawRead()
	}
	return 0
}

// addTo adds to a sample how far the source has been imported.
func (s *sourceRun) addTo(sum *sample) {
	src := s.active.Load()
	if s.finished || src == nil {
		n := s.bytes()
		sum.bytes += n
		sum.settled += n
		return
	}
	passing := s.passing.Load() // if it is not, passed stays as it is
	n := src.RawRead()
	sum.bytes += n
	if passing {
		sum.settled += n
		sum.skipping = true
	} else {
		sum.settled += s.passed.Load()
	}
}

// startAfter is start where the first n bytes, unpacked, are read and settled.
func (s *sourceRun) startAfter(ctx context.Context, n int64, flush func()) {
	s.passing.Store(true)
	s.start(ctx, flush)
	s.in.reader.skip, s.in.reader.skipped = n, func() {
		s.passed.Store(s.in.RawRead())
		s.passing.Store(false)
	}
}

// start readies the source for reading, see input.start.
func (s *sourceRun) start(ctx context.Context, flush func()) {
	s.in.start(ctx, flush)
	s.active.Store(s.in.Source)
}

// bytesRead is how much has been read of all sources.
func (r *importRun) bytesRead() (n int64) {
	for _, s := range r.inputs {
		n += s.bytes()
	}
	return n
}

// sample is how far the import has come, with so many keys settled by this run.
func (r *importRun) sample(keys int64) sample {
	s := sample{at: time.Now(), keys: keys}
	for _, src := range r.inputs {
		src.addTo(&s)
	}
	return s
}

// totalBytes is how much there is to read, 0 if that is not known.
func (r *importRun) totalBytes() (n int64) {
	for _, s := range r.inputs {
		if s.in == nil || s.in.Size() < 0 {
			return 0
		}
		n += s.in.Size()
	}
	return n
}

// feedAll imports all sources, and returns when the last key is on its way. Some
// are read at the same time, unless the order counts: with replace the last one
// named wins.
func (r *importRun) feedAll(ctx context.Context, im *pipeline.Importer) error {
	workers := min(mostAtOnce, len(r.inputs))
	if r.inOrder() {
		workers = 1
	}
	var (
		next  atomic.Int64 // the source that is next
		first error        // the others follow from it
		once  sync.Once
		work  sync.WaitGroup
	)
	next.Store(int64(r.firstSource()))
	for range workers {
		f := &feeding{importRun: r, im: im, feeder: im.NewFeeder(), keysBefore: r.sum.before.Keys}
		if mark := r.resumeMark(r.firstSource()); mark != nil {
			f.keysBefore -= mark.Keys
		}
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(r.inputs)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := f.next(ctx, int(i)); err != nil {
					once.Do(func() { first = err })
					im.Stop()
					return
				}
			}
		})
	}
	work.Wait()
	if first == nil {
		return context.Cause(ctx)
	}
	return first
}

// A feeding is a goroutine's part of an import: one source after another.
type feeding struct {
	*importRun
	im     *pipeline.Importer
	feeder *pipeline.Feeder
	begun  bool

	keysBefore int64 // of the sources before, by earlier runs too
}

// inOrder reports whether the sources are read one after another.
func (r *importRun) inOrder() bool {
	return r.settings.pipeline.Conflict == pipeline.ConflictReplace || r.keep != nil
}

// next imports source i.
func (f *feeding) next(ctx context.Context, i int) error {
	src := f.inputs[i]
	if f.begun {
		if f.inOrder() {
			// What has to be sent again must not come behind what follows, and a
			// checkpoint in it says that all before it is settled.
			if err := f.feeder.WaitSettled(); err != nil {
				return err
			}
		}
		f.feeder.NewSource()
	}
	f.begun = true
	if src.in == nil {
		var err error
		if src.in, err = openInput(ctx, src.name, f.input()); err != nil {
			return err
		}
		if err := f.matches(ctx, i); err != nil {
			return err
		}
	}
	src.began = time.Now()
	err := f.feed(ctx, i)
	src.ended = time.Now()
	return err
}

func (f *feeding) feed(ctx context.Context, i int) error {
	src := f.inputs[i]
	in := src.in
	sc, err := f.scanner(ctx, i)
	if err != nil {
		return err
	}
	defer func() { src.waited = in.waited() }()
	err = f.feeder.Feed(sc)
	in.reader.stop()
	if kept := sc.Close(); kept != nil {
		f.con.warn(kept.Error())
	}
	src.keys, src.checksum = f.feeder.KeysRead(), sc.Checksum()
	f.count(i)
	if err != nil {
		return inSource(in.Name(), err)
	}
	tail, err := in.CheckTail(ctx, sc.Rest(), in.reader)
	if err != nil {
		if err := behindDump(ctx, sc.Checksum(), err); err != nil {
			return err
		}
		f.con.warn(err.Error())
		return nil
	}
	src.behind, src.dumps = tail.Writes, dumpsBehind(tail)
	if src.dumps > 0 || src.behind > 0 {
		f.keep.refusal(sc.Offset()) // a run that goes on from behind this source has to know
	}
	if text := in.tailText(tail, sc.Offset()); text != "" {
		f.con.warn(in.Name() + ": " + text)
	}
	return nil
}

// behindDump judges an error met behind a dump that was read to its end, with its
// checksum in the state sum. nil is that the dump is whole all the same. Compressed
// data has a checksum behind all of it, and where the dump has none of its own, that
// is the only one there is.
func behindDump(ctx context.Context, sum rdbparse.Checksum, err error) error {
	switch {
	case ctx.Err() != nil:
		return err
	case errors.Is(err, source.ErrCompressed) && sum != rdbparse.ChecksumOK:
		return fmt.Errorf("values may be wrong, and the dump has no checksum of its own: %w", err)
	}
	return nil
}

// settledKeys is how many keys have come to an end, whichever.
func settledKeys(r pipeline.Result) int64 {
	return r.Restored + r.Existing + r.Expired + r.Filtered + r.Failed
}

// scanOptions are those for scanning in.
func (r *importRun) scanOptions(in *input) rdbparse.Options {
	return rdbparse.Options{
		MaxValue: r.settings.pipeline.HeldValue(), MaxParts: r.settings.pipeline.HeldParts(), AnyVersion: r.anyVersion,
		Again: in.Again(), Spool: func() (rdbparse.Spool, error) { return source.NewKeep(r.spoolDir) },
	}
}

// inSource puts the name of a source before an error about its bytes that lacks
// it. An error about a damaged value may be that of another source: see finish.
func inSource(name string, err error) error {
	var format *rdbparse.FormatError
	var src *source.Error
	switch {
	case !errors.As(err, &format):
		return err
	case errors.As(err, &src):
		return &placedError{err, src, format}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// A placedError is an error of a source, met at a place in the dump.
type placedError struct {
	err error
	src *source.Error
	at  *rdbparse.FormatError
}

// Error says what is wrong with the source, and then how far that was.
func (e *placedError) Error() string {
	bare, hint := *e.src, ""
	if bare.Hint != "" {
		bare.Hint, hint = "", "; "+bare.Hint
	}
	place := fmt.Sprintf("at offset %d of the dump, in %s", e.at.Offset, e.at.Within)
	if e.at.Key != nil {
		place += " of key " + showKey(string(e.at.Key))
	}
	return fmt.Sprintf("%v, %s%s", &bare, place, hint)
}

func (e *placedError) Unwrap() error { return e.err }

// inDump puts the name of a source before an error about a value in it.
func inDump(name string, err error) error {
	var damaged *pipeline.DamagedError
	if errors.As(err, &damaged) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}
