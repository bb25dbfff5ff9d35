package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// A verification is one comparison, from its settings to its report.
type verification struct {
	*verifySettings
	*streams
	inputs  []*sourceRun
	cluster *slotter.Cluster
	began   time.Time
	log     *differenceLog
	report  verifyReport

	imported *summary     // by the same run; nil without an import before
	read     []*sourceRun // by that import
}

func newVerification(s *streams, set *verifySettings) *verification {
	r := &verification{verifySettings: set, streams: s}
	for _, name := range set.sources {
		r.inputs = append(r.inputs, &sourceRun{name: name})
	}
	return r
}

// run compares, and reports on it. But for a mistake in the command line, the
// error has been shown.
func (r *verification) run(ctx context.Context) error {
	in := catchInterrupts(ctx, func() { r.con.line("%s", interruptText(nil)) })
	defer in.stop()
	return r.runUntil(in)
}

// runUntil compares until it is interrupted.
func (r *verification) runUntil(in *interrupts) error {
	defer r.close()
	begun, err := r.compareAll(in)
	if !begun {
		err = listed(r.cluster, err)
	}
	err = in.or(err)
	if isUsage(err) {
		return err
	}
	r.report.imported = r.imported
	if werr := r.log.close(); werr != nil {
		r.con.warn(fmt.Sprintf("the report %s is not complete: %v", shownFile(r.verifySettings.report), bareError(werr)))
	}
	switch {
	case err == nil && r.report.differences() > r.report.Unreadable:
		err = errDiffer
	case err == nil && r.report.Unreadable > 0:
		err = errUnreadable
	case err != nil && (begun || r.imported != nil) && exitCode(err) == exitStart:
		err = fmt.Errorf("%w: %w", errNotCompared, err)
	}
	r.report.finish(r, err)
	if err != nil {
		r.con.line("rdbimport: %s", r.report.describe(err))
		if hint := hintFor(err); hint != "" {
			r.con.line("hint: %s", hint)
		}
	}
	r.print()
	if err != nil {
		return &shownError{err}
	}
	return nil
}

// compareAll compares all sources, or what comes before a fault or an interrupt. begun
// tells whether it came as far as that.
func (r *verification) compareAll(in *interrupts) (begun bool, err error) {
	if err := r.prepare(in.soft); err != nil {
		return false, err
	}
	if r.log, err = openDifferences(r.verifySettings.report); err != nil {
		return false, err
	}
	opts := r.verify
	opts.Found = r.log.note
	v, err := pipeline.Verify(in.hard, r.cluster, opts)
	if err != nil {
		return false, err
	}
	unhook := context.AfterFunc(in.soft, v.Stop)
	defer unhook()
	r.began = time.Now()
	show := watchProgress(r.con, r.output, "verify", totalSize(r.inputs), func() status {
		return status{
			sample:  sample{at: time.Now(), bytes: bytesOf(r.inputs), keys: v.Snapshot().Read},
			masters: v.Troubled(), large: largeText(v.Large()),
		}
	})
	defer show.stop()
	reading, end := readUntil(in.hard, v.Done()) // a value is let go of before its source is
	err = r.readAll(reading, v)
	end()
	if err != nil {
		v.Stop() // what was read is compared
	}
	res, cerr := v.Close()
	r.report.VerifyResult = res
	if err == nil || cerr != nil && !errors.Is(cerr, pipeline.ErrStopped) {
		err = cerr // it is why the reading has ended
	}
	return true, err
}

// largeText says which value takes long, "" if none does.
func largeText(key []byte, addr string, lasts time.Duration, ok bool) string {
	if !ok {
		return ""
	}
	return fmt.Sprintf("comparing %s on %s for %s", cutText(showKey(string(key)), mostAddr), printable(addr), formatClock(lasts))
}

// prepare opens all sources but standard input, and connects to the target.
func (r *verification) prepare(ctx context.Context) (err error) {
	for i, s := range r.inputs {
		switch {
		case r.read != nil:
			s.in, err = r.read[i].in.openAgain(ctx)
		case s.name == stdinName:
			if err := unreadableInput(r.stdin); err != nil {
				return err
			}
			continue
		default:
			s.in, err = openInput(ctx, s.name, r.stdin)
		}
		if err != nil {
			return err
		}
		if err := s.in.QuickCheck(); err != nil {
			return err
		}
	}
	if r.imported == nil { // the import has warned of it
		r.warnOfSources(r.sources)
	}
	r.cluster, err = reach(ctx, r.target, r.connect, r.verify.Lanes, 1, r.con.warn)
	return err
}

// close frees what the comparison holds.
func (r *verification) close() {
	for _, s := range r.inputs {
		if s.in != nil {
			s.in.close()
		}
	}
	if r.cluster != nil {
		_ = r.cluster.Close()
	}
}

// readUntil returns a context that ends with ctx and when done is closed. The
// function ends it and joins.
func readUntil(ctx context.Context, done <-chan struct{}) (until context.Context, end func()) {
	until, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-done:
			cancel(pipeline.ErrStopped)
		case <-until.Done():
		}
	})
	return until, func() {
		cancel(nil)
		watch.Wait()
	}
}

// readAll reads the sources one after another.
func (r *verification) readAll(ctx context.Context, v *pipeline.Verifier) error {
	for i, src := range r.inputs {
		if i > 0 {
			v.NewSource()
		}
		if src.in == nil {
			var err error
			if src.in, err = openInput(ctx, src.name, r.stdin); err != nil {
				return err
			}
		}
		src.began = time.Now()
		err := r.readOne(ctx, src, v)
		src.ended = time.Now()
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *verification) readOne(ctx context.Context, src *sourceRun, v *pipeline.Verifier) error {
	in := src.in
	src.start(ctx, v.Flush)
	sc := rdbparse.NewScanner(in.reader, rdbparse.Options{
		MaxValue: r.verify.HeldValue(), AnyVersion: r.anyVersion,
		Again: in.Again(), Spool: func() (rdbparse.Spool, error) { return source.NewKeep("") },
	})
	err := v.Check(sc)
	in.reader.stop()
	src.keys, src.checksum = v.KeysRead(), sc.Checksum()
	if err != nil {
		return inSource(in.Name(), err)
	}
	tail, err := in.CheckTail(ctx, sc.Rest(), in.reader)
	if err != nil {
		if damage := behindDump(ctx, sc.Checksum(), err); damage != nil {
			return damage
		}
	}
	if r.imported != nil {
		return nil // the import has warned of it
	}
	if err != nil {
		r.con.warn(err.Error())
		return nil
	}
	if tail.Kind == source.TailDump {
		r.con.warn(in.Name() + ": " + in.tailText(tail, sc.Offset()))
	}
	if tail.Writes > 0 {
		r.con.warn(fmt.Sprintf("%s: not compared: %s behind the dump", in.Name(), plural(tail.Writes, "writing command")))
	}
	return nil
}

// bytesOf is how much has been read of the sources.
func bytesOf(list []*sourceRun) (n int64) {
	for _, s := range list {
		n += s.bytes()
	}
	return n
}

// totalSize is how much there is to read, 0 if that is not known.
func totalSize(list []*sourceRun) (n int64) {
	for _, s := range list {
		if s.in == nil || s.in.Size() < 0 {
			return 0
		}
		n += s.in.Size()
	}
	return n
}

// openReport creates the file for the differences.
func openReport(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, &usageError{"--report: " + err.Error(), "for example --report differences.jsonl"}
	}
	return f, nil
}
