package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// A planRun looks at dumps and a target, and says what an import would do.
type planRun struct {
	*importRun
	began   time.Time
	facts   *pipeline.TargetFacts
	survey  *survey
	behind  int64            // writing commands behind the dumps
	dumps   int64            // other dumps behind them
	unread  error            // why nothing could be compared afterwards
	lacks   error            // why keys could not be put into the databases that they are of
	pieces  error            // why large values could not be written
	untried bool             // not all commands for them could be tried
	there   []pipeline.There // by master
	report  planReport
}

// runPlan is an import with --dry-run. But for a mistake in the command line, its
// error has been shown.
func runPlan(ctx context.Context, s *streams, set *settings) error {
	in := catchInterrupts(ctx, func() {})
	defer in.stop()
	r := &planRun{importRun: newImport(s, set), began: time.Now()}
	defer r.close()
	err := r.look(in.soft)
	err = in.or(listed(r.cluster, err))
	if isUsage(err) {
		return err
	}
	if err == nil || r.facts != nil && isDamage(err) {
		r.report.build(r, err)
	} else {
		r.report.fail(err)
	}
	r.print(err)
	if r.report.ExitCode == exitOK {
		return nil
	}
	return &shownError{&plannedError{r.report.Error, r.report.ExitCode}}
}

// A plannedError is what stands in the way of an import.
type plannedError struct {
	text string
	code int
}

func (e *plannedError) Error() string { return e.text }

// look opens the sources, asks the target about itself and reads the sources to
// their ends.
func (r *planRun) look(ctx context.Context) error {
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
	}
	r.warnOfSources(r.sources)
	var err error
	if r.cluster, err = reach(ctx, r.target, r.connect, r.settings.pipeline.Lanes, len(r.sources), r.con.warn); err != nil {
		return err
	}
	opts := r.settings.pipeline
	if r.errorsFile != "" {
		if err := r.listRefused(&opts); err != nil {
			return err
		}
	}
	facts, err := pipeline.Look(ctx, r.cluster, opts)
	if err != nil {
		return err
	}
	if r.compare {
		r.unread = r.mayCompare(ctx)
	}
	r.facts, r.survey = facts, newSurvey(facts, opts)
	r.survey.dry, r.survey.planner.Asks = true, true
	if r.estimate {
		r.survey.room = &roomEstimate{profiler: newProfiler(), bySlot: make([]int64, slotter.Slots)}
	}
	r.there = make([]pipeline.There, len(facts.Masters))
	err = r.surveyAll(ctx, r.survey, "dry run", func(s *sourceRun, t source.Tail, size int64) {
		r.behind += t.Writes
		r.dumps += dumpsBehind(t)
		if text := s.in.tailText(t, size); text != "" {
			r.con.warn(s.in.Name() + ": " + text)
		}
	})
	if ctx.Err() == nil && facts.Obstacle == nil {
		r.lacks = facts.LacksDatabase(ctx, slices.Collect(maps.Keys(r.survey.dbs)))
		var known bool
		known, r.pieces = facts.PieceRights(ctx, r.survey.planner.Result().InPieces)
		r.untried = !known && r.pieces == nil
		r.there = r.survey.planner.There(ctx)
	}
	return err
}

// listRefused has the keys that would be refused written down. The list of an
// import that is to go on is left alone.
func (r *planRun) listRefused(opts *pipeline.Options) error {
	if r.checkpointFile != "" {
		if begun, err := readCheckpoint(r.checkpointFile); begun != nil || err != nil {
			r.con.warn("--errors: " + r.errorsFile + " is left as it is, since it belongs to the checkpoint")
			return nil
		}
	}
	var err error
	if r.refused, err = openRefusals(r.errorsFile, false); err != nil {
		return err
	}
	opts.Refused = r.refused.note
	return nil
}

// print prints the report in the form that the user wants. err is what ended the
// look, nil if it came to its end.
func (r *planRun) print(err error) {
	text := !r.output.json && !r.output.quiet && r.report.Verdict != ""
	if text {
		r.report.write(r.stdout)
	}
	if r.report.Error != "" && !text {
		r.con.line("rdbimport: %s", r.report.Error)
		if hint := r.report.hint(err); hint != "" {
			r.con.line("hint: %s", hint)
		}
	}
	if r.output.json {
		_ = writeObject(r.stdout, &r.report)
	}
}

// An obstacle is something that an import would not get past, or that would keep
// it from being complete.
type obstacle struct {
	Text     string `json:"text"`
	Hint     string `json:"hint,omitempty"`
	ExitCode int    `json:"exit_code"` // of the import
}

func obstacleOf(err error) obstacle { return obstacle{err.Error(), hintFor(err), exitCode(err)} }

// obstacles lists what stands in the way, in the order in which the import would
// meet it. damage ended the reading, nil if nothing did.
func (r *planRun) obstacles(damage error) []obstacle {
	list := []obstacle{}
	add := func(err error) {
		if err != nil {
			list = append(list, obstacleOf(err))
		}
	}
	add(listed(r.cluster, r.facts.Obstacle))
	list = append(list, r.down()...)
	if server := r.facts.Oldest(); r.check || killedByDamage(server) {
		add(r.readTwice(!r.check, server))
	}
	add(r.unread)
	if len(r.survey.dbs) > 1 && r.oneDatabase() {
		add(r.survey.severalDatabases(r.cluster))
	}
	for _, err := range []error{r.lacks, r.pieces} {
		if err != nil {
			list = append(list, obstacle{err.Error(), hintFor(err), exitStopped}) // it would have begun
		}
	}
	add(damage)
	res := r.survey.planner.Result()
	if res.Damage != nil {
		err := error(res.Damage)
		if n := res.Damaged.Keys; n > 1 {
			err = fmt.Errorf("%s are damaged, the first one: %w", plural(n, "value"), err)
		}
		add(inDump(r.survey.damagedIn, err))
	}
	full, _ := r.rooms()
	list = append(list, full...)
	if err := r.incomplete(res); err != nil {
		if r.check && len(res.Errors) > 0 {
			err = r.judge(r.survey, false)
		}
		add(err)
	}
	return list
}

// down lists the masters that take no writes, while others say that all is well.
func (r *planRun) down() (list []obstacle) {
	for i := range r.facts.Masters {
		if f := &r.facts.Masters[i]; f.Down {
			list = append(list, obstacle{f.Addr + " thinks that the cluster is down, and takes no writes as long as it does", hintCheck, exitStopped})
		}
	}
	return list
}

// incomplete is the error with which the import would end if nothing stopped it,
// nil if everything would be on the target.
func (r *planRun) incomplete(res *pipeline.PlanResult) error {
	s := summary{behind: r.behind, dumps: r.dumps}
	s.Failed, s.Libraries, s.KeyDBExtra = res.Refused.Keys, res.Libraries, res.KeyDBExtra
	if !s.incomplete() {
		return nil
	}
	return fmt.Errorf("%w (%s)", errWouldMiss, s.missing(0))
}

// notes says what else a user should know.
func (r *planRun) notes() []string {
	list := []string{}
	note := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	keys, evicts := int64(0), ""
	for i := range r.facts.Masters {
		f := &r.facts.Masters[i]
		keys += f.Keys
		if f.Evicts() {
			evicts = f.Policy
		}
		if n := len(f.Leaving); n > 0 {
			note("%s is moving %s away (the first is %s), or was left in the middle of that: their keys may have to wait until it is over; redis-cli --cluster check %s shows it",
				f.Addr, plural(int64(n), "slot"), f.Leaving[0], f.Addr)
		}
	}
	o := &r.settings.pipeline
	if keys > 0 {
		switch there := "the target holds " + plural(keys, "key") + " already"; o.Conflict {
		case pipeline.ConflictFail:
			note("%s; whether the dump has other values for them is not known (the first such key would stop the import)", there)
		case pipeline.ConflictReplace:
			note("%s; those that the dump has too would be overwritten", there)
		case pipeline.ConflictSkip:
			note("%s; those that the dump has too would be left as they are", there)
		}
	}
	_, enough := r.rooms()
	list = append(list, enough...)
	if r.untried {
		note("whether all commands that write large values are allowed is not known: to try them takes MULTI")
	}
	if evicts != "" {
		note("masters drop keys when they are full (maxmemory-policy %s)", evicts)
	}
	if o.Databases.Merge && len(r.survey.dbs) > 1 && o.Conflict == pipeline.ConflictFail {
		note("a name that is in several databases would be a conflict; that is not looked for")
	}
	for _, name := range sortedKeys(r.survey.planner.Result().ModuleTypes) {
		if r.survey.planner.Result().ModuleTypes[name] == pipeline.AccessUnknown {
			note("whether the target can load values of the module type %s is not known", showKey(name))
		}
	}
	if r.checkpointFile != "" {
		if begun, err := readCheckpoint(r.checkpointFile); begun != nil || err != nil {
			note("there is a checkpoint: the import would go on from it, and this is the plan of the whole dump")
		}
	}
	return list
}
