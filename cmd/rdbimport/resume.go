package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// sameness is what has to be the same for an import to go on from a checkpoint,
// beside the sources and the target.
func (set *settings) sameness() string {
	o := set.pipeline
	text := "--on-conflict " + o.Conflict.String()
	if o.Databases.Only != pipeline.AllDatabases {
		text += fmt.Sprintf(" --db %d", o.Databases.Only)
	}
	if o.Databases.Merge {
		text += " --merge-dbs"
	}
	if o.Databases.Prefix != "" {
		text += fmt.Sprintf(" --db-prefix %q", o.Databases.Prefix)
	}
	if o.DropFieldTTL {
		text += " --drop-field-ttl"
	}
	if set.target.DB > 0 {
		text += fmt.Sprintf(" into database %d", set.target.DB)
	}
	return text + ", " + plural(int64(len(set.sources)), "source")
}

// prepareCheckpoint readies the checkpoint, and reads that of an earlier run if
// there is one: it must be of the same import.
func (r *importRun) prepareCheckpoint(ctx context.Context) error {
	if r.checkpointFile == "" {
		return nil
	}
	m, err := r.cluster.Map(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, n := range m.Masters {
		ids = append(ids, n.ID)
	}
	if err := mayWriteBeside(r.checkpointFile); err != nil {
		return unwritable(r.checkpointFile, err)
	}
	if r.unlock, err = lockCheckpoint(r.checkpointFile); err != nil {
		return err
	}
	from, err := readCheckpoint(r.checkpointFile)
	if err != nil {
		return err
	}
	r.keep = &checkpointer{
		name: r.checkpointFile, warn: r.con.warn, flush: func() { r.refused.flush() },
		now: checkpoint{Format: checkpointFormat, Target: ids, Options: r.sameness()},
	}
	if from == nil {
		return nil
	}
	if err := from.fits(r.sameness(), len(r.inputs), ids); err != nil {
		return err
	}
	r.from, r.keep.now.Sources, r.keep.before, r.keep.held = from, from.Sources, from.Before, true
	r.keep.now.Temporary = from.Temporary // until the import says which are left
	for i, s := range r.inputs[:from.Current+1] {
		s.finished = i < from.Current
		if s.in == nil { // standard input: it is looked at when it is opened
			continue
		}
		if err := r.matches(ctx, i); err != nil {
			return err
		}
	}
	r.sum.before = from.Before
	if from.Mark != nil {
		r.sum.before.Keys += from.Mark.Keys
	}
	if !r.output.quiet {
		r.con.line("going on%s (%s settled)", r.resumePlace(), areKeys(r.sum.before.Keys))
	}
	return nil
}

// matches makes sure that source i is the one that the checkpoint is about. It
// comes before anything is read.
func (r *importRun) matches(ctx context.Context, i int) error {
	if r.from == nil || i > r.from.Current {
		return nil
	}
	ok, err := r.inputs[i].in.Matches(ctx, r.from.Sources[i])
	if err == nil && !ok {
		err = fmt.Errorf("%w %s: %s is another dump than the one that was begun with", errCheckpoint, shownFile(r.from.name), shownName(r.inputs[i].name))
	}
	return err
}

// resumePlace says how far the sources had been imported, as far as that can be
// told: " at 43 %".
func (r *importRun) resumePlace() string {
	total := r.totalBytes()
	if total == 0 {
		return ""
	}
	var done int64
	for _, s := range r.inputs[:r.from.Current] {
		done += s.in.Size()
	}
	if m := r.from.Mark; m != nil {
		if !r.inputs[r.from.Current].in.Seekable() {
			return ""
		}
		done += m.Offset
	}
	return fmt.Sprintf(" at %d %%", percent(done, total))
}

func areKeys(n int64) string {
	if n == 1 {
		return "1 key is"
	}
	return plural(n, "key") + " are"
}

// firstSource is the index of the source to begin with.
func (r *importRun) firstSource() int {
	if r.from == nil {
		return 0
	}
	return r.from.Current
}

// resumeMark is where in source i to go on, nil at its start.
func (r *importRun) resumeMark(i int) *pipeline.Mark {
	if r.from == nil || i != r.from.Current {
		return nil
	}
	return r.from.Mark
}

// scanner starts source i, and returns what scans it: from its start, or from
// where an earlier run has come to. Where it cannot be entered there, everything
// is scanned, and what is settled is left out.
func (f *feeding) scanner(ctx context.Context, i int) (*rdbparse.Scanner, error) {
	src, mark := f.inputs[i], f.resumeMark(i)
	if mark != nil {
		f.feeder.SkipTo(*mark)
	}
	if f.keep != nil {
		f.keep.source(i, src.in.Identity, mark, f.keysBefore)
	}
	if mark == nil {
		src.start(ctx, f.feeder.Flush)
		return rdbparse.NewScanner(src.in.reader, f.scanOptions(src.in)), nil
	}
	if !src.in.Seekable() {
		src.startAfter(ctx, mark.Offset, f.feeder.Flush)
		return rdbparse.NewScanner(src.in.reader, f.scanOptions(src.in)), nil
	}
	if err := src.in.SkipTo(ctx, mark.Offset); err != nil {
		return nil, err
	}
	src.skipped = src.in.RawRead()
	src.passed.Store(src.skipped)
	src.start(ctx, f.feeder.Flush)
	return rdbparse.ResumeScanner(src.in.reader, mark.Position, f.scanOptions(src.in))
}

// count adds the keys of source i, which is finished.
func (f *feeding) count(i int) {
	f.keysBefore += f.inputs[i].keys
	if m := f.resumeMark(i); m != nil {
		f.keysBefore += m.Keys
	}
}

// keepCheckpoint writes the checkpoint while the import goes on. The function
// ends that when all that can be settled is; through says that this is everything.
func (r *importRun) keepCheckpoint(im *pipeline.Importer) (end func(through bool)) {
	if r.keep == nil {
		return func(bool) {}
	}
	for _, l := range r.keep.before.meet(im) {
		r.con.warn(fmt.Sprintf("up to %s of earlier runs that %s should have may be lost: %s", plural(l.Keys, "key"), l.Addr, l.Reason))
	}
	r.sum.before.Losses = r.keep.before.Losses
	if db := r.keep.before.Database; db != nil && r.oneDatabase() {
		im.GoOnIn(*db)
	}
	r.keep.result = func() earlier {
		e := r.keep.before.with(im.Snapshot(), im.Processes())
		e.Database = im.Database()
		return e
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { r.keep.run(ctx, im.Settled) })
	return func(through bool) {
		cancel()
		work.Wait()
		if through {
			r.keep.remove()
			return
		}
		r.keep.look(im.Settled, true)
	}
}
