package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// checkAll reads all sources to their ends if the user wants that, or if the
// target is one that a damaged value can kill. Nothing is sent.
func (r *importRun) checkAll(ctx context.Context, servers []slotter.Server) error {
	server := slotter.Oldest(servers)
	forced := !r.check && killedByDamage(server)
	if !r.check && !forced {
		return nil
	}
	if err := r.readTwice(forced, server); err != nil {
		return err
	}
	if forced && !r.output.quiet {
		r.con.line("%s can be killed by a damaged value: the whole dump is checked first", server)
	}
	opts := r.settings.pipeline
	opts.Warn = nil // all has been said
	facts, err := pipeline.Look(ctx, r.cluster, opts)
	if err != nil {
		return err
	}
	sv := newSurvey(facts, opts)
	sv.planner.Asks = !forced // otherwise the import finds it out
	if err := r.surveyAll(ctx, sv, "check", nil); err != nil {
		return err
	}
	if err := r.reopen(ctx); err != nil {
		return err
	}
	if err := facts.LacksDatabase(ctx, slices.Collect(maps.Keys(sv.dbs))); err != nil {
		return err
	}
	return r.judge(sv, forced)
}

// readTwice makes sure that all sources can be read again.
func (r *importRun) readTwice(forced bool, server slotter.Server) error {
	for _, s := range r.inputs {
		if s.in == nil || !s.in.twice() {
			return onceOnly(s.name, forced, server)
		}
	}
	return nil
}

// onceOnly is the error about a source that cannot be read twice.
func onceOnly(name string, forced bool, server slotter.Server) error {
	what := "--check reads the dump twice"
	if forced {
		what = fmt.Sprintf("%s can be killed by a damaged value, so the dump is read twice", server)
	}
	return &usageError{what + ", which cannot be done with " + shownName(name), hintSave}
}

// hintSave is the way out where a source can be read once only.
const hintSave = "save it to a file first: redis-cli -h old --rdb dump.rdb"

// killedByDamage: up to 6.0 a server exits on a value that is not what it says
// it is; since 6.2 it looks before it takes it.
func killedByDamage(s slotter.Server) bool { return !s.Compatible.AtLeast(6, 2) }

// surveyAll reads all sources. behind is told of what follows a dump; nil is
// nobody. It follows so many bytes.
func (r *importRun) surveyAll(ctx context.Context, sv *survey, phase string, behind func(*sourceRun, source.Tail, int64)) error {
	stop := startProgress(r.con, r.output, phase, r.totalBytes(), func() sample {
		s := sample{at: time.Now(), keys: sv.keys.Load()}
		for _, src := range r.inputs {
			s.bytes += src.bytesNow() // all of it, whatever an earlier run has settled
		}
		return s
	})
	defer stop()
	for _, s := range r.inputs {
		if s.in == nil {
			var err error
			if s.in, err = openInput(ctx, s.name, r.stdin); err != nil {
				return err
			}
		}
		s.start(ctx, nil)
		tail, size, err := sv.read(ctx, s, r.scanOptions(s.in))
		if err != nil {
			return inSource(s.in.Name(), inDump(s.in.Name(), err))
		}
		if behind != nil {
			behind(s, tail, size)
		}
	}
	return nil
}

// judge says what of the survey speaks against the import.
func (r *importRun) judge(sv *survey, forced bool) error {
	if len(sv.dbs) > 1 && r.oneDatabase() {
		return sv.severalDatabases(r.cluster)
	}
	var list []string
	for _, e := range sv.planner.Result().Errors {
		if strings.HasPrefix(e.Reason, pipeline.DamagedReason) { // --on-error skip: the import counts them
			continue
		}
		list = append(list, fmt.Sprintf("%s (%s, for example %s)", e.Reason, formatCount(e.Count), showKey(e.Example)))
	}
	if len(list) == 0 {
		return nil
	}
	err := fmt.Errorf("%w: %s", errTypes, strings.Join(list, "; "))
	if forced { // the user did not ask for it; they are counted as refused
		r.con.warn(err.Error())
		return nil
	}
	return err
}

// oneDatabase reports whether all keys have to be of one database, since they go to
// one and the user has not said what to do about others.
func (r *importRun) oneDatabase() bool {
	dbs := r.settings.pipeline.Databases
	return pipeline.OneDatabase(r.cluster) != "" && dbs.Only == pipeline.AllDatabases && !dbs.Merge && dbs.Prefix == ""
}

// reopen opens all sources again for the import.
func (r *importRun) reopen(ctx context.Context) error {
	for _, s := range r.inputs {
		s.in.close()
		s.active.Store(nil)
		s.keys, s.checksum = 0, rdbparse.ChecksumPending
		again, err := s.in.openAgain(ctx)
		if err != nil {
			return err
		}
		s.in = again
	}
	return nil
}
