package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
)

// runCompared imports, and then compares the target with the dump. But for a
// mistake in the command line and what kept the import from beginning, its error
// has been shown.
func runCompared(ctx context.Context, s *streams, set *settings) error {
	r := newImport(s, set)
	in := catchInterrupts(ctx, r.sayInterrupted)
	defer in.stop()
	sum, err := r.runUntil(in)
	if sum == nil {
		return err
	}
	if err != nil {
		s.con.failure(err)
	}
	if err != nil && !isPartly(err) {
		sum.report(s, set.output)
		return &shownError{err}
	}
	if !set.output.json {
		sum.report(s, set.output)
	}
	v := newVerification(s, set.comparison())
	v.imported, v.read = sum, r.inputs
	verr := v.runUntil(in)
	if set.output.json {
		sum.compared = v
		if verr != nil {
			sum.err, sum.code = fmt.Errorf("%s", v.report.describe(verr)), exitCode(verr)
		}
		writeJSON(s.stdout, sum)
	}
	if verr != nil {
		return verr
	}
	if err != nil {
		return &shownError{err}
	}
	return nil
}

// comparison is what the comparison after an import is to do.
func (set *settings) comparison() *verifySettings {
	p := &set.pipeline
	return &verifySettings{settings: *set, verify: pipeline.VerifyOptions{
		Databases: p.Databases, Memory: p.Memory, Lanes: p.Lanes, TTLTolerance: defaultTolerance, Warn: p.Warn,
	}}
}

// defaultTolerance is by how much an expiry may be off.
const defaultTolerance = time.Second

// mayCompare makes sure, before anything is sent, that the comparison afterwards
// can be made.
func (r *importRun) mayCompare(ctx context.Context) error {
	for _, s := range r.inputs {
		if s.in == nil || !s.in.twice() {
			return &usageError{"--verify reads the dump once more, which cannot be done with " + shownName(s.name), hintSave}
		}
	}
	opts := r.comparison().verify
	opts.Warn = nil // it will be said by the comparison
	return pipeline.CheckVerify(ctx, r.cluster, opts)
}
