package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A survey is what reading a dump to its end has shown.
type survey struct {
	dbs     map[uint32]int64
	refused map[rdbparse.Type]*pipeline.ErrorCount
}

// checkAll reads all sources to their ends if the user wants that, or if the
// target is one that a damaged value can kill. Nothing is sent.
func (r *importRun) checkAll(ctx context.Context) error {
	server, err := r.oldest(ctx)
	if err != nil {
		return err
	}
	forced := !r.check && killedByDamage(server)
	if !r.check && !forced {
		return nil
	}
	for i, in := range r.inputs {
		if in == nil || !in.twice() {
			return onceOnly(r.sources[i], forced, server)
		}
	}
	if forced && !r.output.quiet {
		r.con.line("%s can be killed by a damaged value: the whole dump is checked first", server)
	}
	sv := survey{dbs: map[uint32]int64{}, refused: map[rdbparse.Type]*pipeline.ErrorCount{}}
	if err := r.surveyAll(ctx, &sv, server); err != nil {
		return err
	}
	if err := r.reopen(ctx); err != nil {
		return err
	}
	return r.judge(&sv, forced)
}

// onceOnly is the error about a source that cannot be read twice.
func onceOnly(name string, forced bool, server slotter.Server) error {
	what := "--check reads the dump twice"
	if forced {
		what = fmt.Sprintf("%s can be killed by a damaged value, so the dump is read twice", server)
	}
	if name == stdinName {
		name = stdinShown
	}
	return &usageError{what + ", which cannot be done with " + name, "save it to a file first: redis-cli -h old --rdb dump.rdb"}
}

// oldest returns the server of the target that understands least.
func (r *importRun) oldest(ctx context.Context) (slotter.Server, error) {
	oldest := r.cluster.Seed()
	m, err := r.cluster.Map(ctx)
	if err != nil {
		return oldest, err
	}
	for _, master := range m.Masters {
		s, err := r.cluster.Server(ctx, master.Addr)
		if err != nil {
			return oldest, err
		}
		if !s.Compatible.AtLeast(oldest.Compatible[0], oldest.Compatible[1]) {
			oldest = s
		}
	}
	return oldest, nil
}

// killedByDamage: up to 6.0 a server exits on a value that is not what it says
// it is; since 6.2 it looks before it takes it.
func killedByDamage(s slotter.Server) bool { return !s.Compatible.AtLeast(6, 2) }

// surveyAll reads all sources.
func (r *importRun) surveyAll(ctx context.Context, sv *survey, server slotter.Server) error {
	var keys atomic.Int64
	stop := startProgress(r.con, r.output, "check", r.totalBytes(), func() sample {
		return sample{time.Now(), r.bytesRead(), keys.Load()}
	})
	defer r.restartCount()
	defer stop()
	for _, in := range r.inputs {
		r.setActive(in)
		err := sv.read(ctx, in, r.scanOptions(), server, &keys)
		r.setActive(nil)
		if err != nil {
			return inSource(in.Name(), err)
		}
	}
	return nil
}

// restartCount has the progress begin anew.
func (r *importRun) restartCount() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = 0
}

// publishEvery is after how many keys the progress is told, and an interrupt seen.
const publishEvery = 1024

func (sv *survey) read(ctx context.Context, in *input, opts rdbparse.Options, server slotter.Server, keys *atomic.Int64) error {
	r := in.start(ctx, nil)
	sc := rdbparse.NewScanner(r, opts)
	for n := int64(1); sc.Next(); n++ {
		sv.note(sc.Entry(), server)
		if n%publishEvery == 0 {
			keys.Add(publishEvery)
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
	}
	if err := sc.Err(); err != nil {
		return err
	}
	// Compressed data has a checksum of its own behind what it holds.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	return nil
}

// note looks at one entry.
func (sv *survey) note(e *rdbparse.Entry, server slotter.Server) {
	if e.Record != rdbparse.RecordKey {
		return
	}
	sv.dbs[e.DB]++
	if takes(server, e.Type) {
		return
	}
	c := sv.refused[e.Type.Type]
	if c == nil {
		c = &pipeline.ErrorCount{Reason: e.Type.Type.String(), Example: string(e.Key[:min(len(e.Key), 256)])}
		sv.refused[e.Type.Type] = c
	}
	c.Count++
}

// takes reports whether a server can have values of a type, as far as its family
// is known.
func takes(s slotter.Server, t *rdbparse.TypeInfo) bool {
	first := uint16(0)
	switch s.Family {
	case slotter.Redis, slotter.KeyDB:
		first = t.Redis
	case slotter.Valkey:
		first = t.Valkey
	default:
		return t.Version != 0
	}
	return t.Version != 0 && first != 0 && s.Version.AtLeast(int(first/100), int(first%100))
}

// judge says what of the survey speaks against the import.
func (r *importRun) judge(sv *survey, forced bool) error {
	dbs := r.settings.pipeline.Databases
	oneDB := !r.cluster.Standalone() || r.target.DB > 0
	if len(sv.dbs) > 1 && oneDB && dbs.Only == pipeline.AllDatabases && !dbs.Merge && dbs.Prefix == "" {
		var list []string
		for _, db := range slices.Sorted(maps.Keys(sv.dbs)) {
			list = append(list, fmt.Sprintf("%d (%s)", db, plural(sv.dbs[db], "key")))
		}
		return fmt.Errorf("%w, and the target has one: %s", pipeline.ErrDatabases, strings.Join(list, ", "))
	}
	if len(sv.refused) == 0 {
		return nil
	}
	var list []string
	for _, t := range slices.Sorted(maps.Keys(sv.refused)) {
		c := sv.refused[t]
		list = append(list, fmt.Sprintf("%s of type %s, for example %s", plural(c.Count, "key"), c.Reason, showKey(c.Example)))
	}
	err := fmt.Errorf("%w: %s", errTypes, strings.Join(list, "; "))
	if forced { // the user did not ask for it; they are counted as refused
		r.con.warn(err.Error())
		return nil
	}
	return err
}

// reopen opens all sources again for the import.
func (r *importRun) reopen(ctx context.Context) error {
	for i, in := range r.inputs {
		in.close()
		again, err := openInput(ctx, r.sources[i], r.stdin)
		if err != nil {
			return err
		}
		r.inputs[i] = again
	}
	return nil
}
