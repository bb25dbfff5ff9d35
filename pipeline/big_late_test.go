package pipeline_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// Times at the bounds of what Redis takes for the expiry of a field: the last of
// HPEXPIREAT, in the year 4199, and the last of RESTORE.
const (
	lastOfCommand = 1<<46 - 1
	lastOfRestore = 1<<48 - 1
)

// lateDump is a dump of large hashes of which one field each expires at the times in
// their names, and one expires soon.
func lateDump(t *testing.T, magic string, times ...int64) []byte {
	t.Helper()
	return written(t, magic, func(w *dataset.Writer) {
		w.SelectDB(0)
		for _, at := range times {
			fields := []dataset.Field{{Name: []byte("long"), Value: []byte(noise(5, 300_000)), ExpireMs: at - 1}}
			for i := range 500 {
				fields = append(fields, dataset.Field{Name: fmt.Appendf(nil, "field %d", i), Value: []byte("value")})
			}
			fields[400].ExpireMs, fields[300].ExpireMs = at, future
			w.ExpireMs(future + 5)
			key := []byte(fmt.Sprint(at))
			if strings.HasPrefix(magic, "VALKEY") {
				w.Key(dataset.TypeHash2Valkey, key, dataset.AppendHash2Valkey(nil, fields))
			} else {
				w.Key(dataset.TypeHashMetadata, key, dataset.AppendHashMetadata(nil, fields))
				w.Key(dataset.TypeHashListpackEx, append(key, " packed"...), dataset.AppendHashListpackEx(nil, fields))
			}
		}
	})
}

// plansBig plans an import of which values above opts.BigValue are not held.
func plansBig(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options) *pipeline.PlanResult {
	t.Helper()
	facts, err := pipeline.Look(t.Context(), c, opts)
	noError(t, err)
	p := facts.NewPlanner()
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{MaxValue: opts.HeldValue(), MaxParts: opts.HeldParts(), Again: bytes.NewReader(dump)})
	for sc.Next() {
		p.Key(sc)
	}
	noError(t, sc.Err())
	return p.Result()
}

// TestBigLateFields imports large hashes of which fields expire later than HPEXPIREAT of
// Redis takes, from a file and through a pipe: all arrive that RESTORE takes.
func TestBigLateFields(t *testing.T) {
	t.Parallel()
	times := []int64{lastOfCommand, lastOfCommand + 1, lastOfRestore}
	for _, name := range []string{"redis-8.0", "valkey-9.1"} {
		for _, magic := range []string{"VALKEY080", "REDIS0012"} {
			t.Run(name+" from "+magic, func(t *testing.T) {
				t.Parallel()
				s := matrixServerNamed(t, name)
				lc := s.run(t, true)
				c, client := connect(t, lc.URL()), lc.Nodes()[0].Client()
				dump := lateDump(t, magic, times...)
				values := valuesIn(t, dump)
				opts := pieces(pipeline.ConflictFail)
				opts.Memory = small
				check := func(res pipeline.Result, err error) {
					t.Helper()
					if err != nil || int(res.Restored) != len(values) {
						t.Errorf("%v, %+v", err, res)
					}
					for key, v := range values {
						compareDumped(t, client, key, v)
						if at := contentOf(t, client, key).expiry; !strings.Contains(key, "packed") && at != fmt.Sprint(future+5) {
							t.Errorf("%s expires at %s", key, at)
						}
					}
					noTemporary(t, lc)
				}
				if plan := plansBig(t, c, dump, opts); int(plan.Sent().Keys) != len(values) {
					t.Errorf("%+v", plan.Errors)
				}
				check(bigImports(t, c, dump, opts))
				again, err := bigImports(t, c, dump, opts)
				if err != nil || int(again.Existing) != len(values) {
					t.Errorf("again: %v, %+v", err, again)
				}
				s.empty(t, lc, false)
				opts.Conflict = pipeline.ConflictReplace
				check(spooledImport(t, lc, dump, opts, true))
				check(bigImports(t, c, dump, opts)) // in the place of those
			})
		}
	}
}

// TestBigLateFieldsRefused expects those to be refused, and the plan to know it, that not
// even RESTORE takes, or not at that size.
func TestBigLateFieldsRefused(t *testing.T) {
	t.Parallel()
	lc := matrixServerNamed(t, "redis-8.0").run(t, true, "proto-max-bulk-len 1mb")
	c := connect(t, lc.URL())
	opts := pieces(pipeline.ConflictFail)
	opts.Memory = small
	many := written(t, "VALKEY080", func(w *dataset.Writer) {
		var fields []dataset.Field
		for i := range 5 {
			fields = append(fields, dataset.Field{Name: fmt.Appendf(nil, "field %d", i), Value: []byte(noise(uint64(i), 300_000)), ExpireMs: lastOfCommand + int64(i)})
		}
		w.Key(dataset.TypeHash2Valkey, []byte("large"), dataset.AppendHash2Valkey(nil, fields))
	})
	for want, dump := range map[string][]byte{
		"its fields expire later than Redis 8.0":                  lateDump(t, "VALKEY080", lastOfRestore+1),
		"fields that expire after the year 4199 take one RESTORE": many,
	} {
		plan := plansBig(t, c, dump, opts)
		if plan.Refused.Keys != 1 || len(plan.Errors) != 1 || !strings.HasPrefix(plan.Errors[0].Reason, want) {
			t.Fatalf("planned: %+v", plan.Errors)
		}
		res, err := bigImports(t, c, dump, opts)
		if err != nil || res.Failed != 1 || len(res.Errors) != 1 || res.Errors[0] != plan.Errors[0] {
			t.Errorf("%v, %+v", err, res)
		}
		noTemporary(t, lc)
	}
}
