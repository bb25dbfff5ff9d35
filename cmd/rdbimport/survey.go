package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// A survey is what reading dumps to their ends has shown: what an import of them
// would do.
type survey struct {
	planner *pipeline.Planner
	opts    pipeline.Options
	dry     bool          // damaged values are counted; otherwise the first is an error
	room    *roomEstimate // nil without an estimate of memory

	keys  atomic.Int64 // for the progress
	dbs   map[uint32]*pipeline.Sum
	types map[*rdbparse.TypeInfo]*pipeline.Sum
	// Of the values that are written in pieces, and of those among them that --big-value
	// has nothing to do with.
	pieces, small pipeline.Sum

	source    string // being read
	damagedIn string // the source of the first damaged value
}

func newSurvey(facts *pipeline.TargetFacts, opts pipeline.Options) *survey {
	return &survey{
		planner: facts.NewPlanner(), opts: opts,
		dbs: map[uint32]*pipeline.Sum{}, types: map[*rdbparse.TypeInfo]*pipeline.Sum{},
	}
}

// publishEvery is after how many keys the progress is told, and an interrupt seen.
const publishEvery = 1024

// read reads a dump to its end, and what follows it: compressed data has a
// checksum of its own behind what it holds. size is that of the dump.
func (sv *survey) read(ctx context.Context, s *sourceRun, opts rdbparse.Options) (tail source.Tail, size int64, err error) {
	sv.source = s.in.Name()
	sc := rdbparse.NewScanner(s.in.reader, opts)
	err = sv.scan(ctx, sc, s)
	s.checksum, size = sc.Checksum(), sc.Offset()
	if err != nil {
		return tail, size, err
	}
	tail, err = s.in.CheckTail(ctx, sc.Rest(), s.in.reader)
	if errors.Is(err, source.ErrTruncated) || errors.Is(err, source.ErrEndMark) || errors.Is(err, source.ErrBehind) {
		return tail, size, nil // all of the dump was there, as an import says too
	}
	return tail, size, err
}

func (sv *survey) scan(ctx context.Context, sc *rdbparse.Scanner, s *sourceRun) error {
	sv.planner.NewSource()
	for n := int64(1); sc.Next(); n++ {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			sv.planner.Record(e)
			continue
		}
		s.keys++
		if err := sv.note(sc); err != nil {
			return err
		}
		if n%publishEvery == 0 {
			sv.keys.Add(publishEvery)
			if err := cmp.Or(context.Cause(ctx), sv.planner.Ask(ctx)); err != nil {
				return err
			}
		}
	}
	return cmp.Or(sc.Err(), sv.planner.Ask(ctx))
}

// note looks at one key, as the import will. The error is a
// *pipeline.DamagedError.
func (sv *survey) note(sc *rdbparse.Scanner) error {
	e := sc.Entry()
	slot, fate, size := sv.planner.Key(sc)
	if only := sv.opts.Databases.Only; only == pipeline.AllDatabases || int64(e.DB) == int64(only) {
		count(sv.dbs, e.DB, size)
	}
	count(sv.types, e.Type, size)
	switch fate {
	case pipeline.FateDamaged:
		if !sv.dry {
			return sv.planner.Result().Damage
		}
		sv.damagedIn = cmp.Or(sv.damagedIn, sv.source)
	case pipeline.FateAsIs, pipeline.FateConverted:
		sv.sent(e, slot, size)
	}
	return nil
}

// sent counts a key that would be sent, unless it turns out that it would be refused.
func (sv *survey) sent(e *rdbparse.Entry, slot uint16, size int64) {
	memory, known := size, false // at the least
	if sv.room != nil {
		if n, ok := sv.room.profiler.estimate(e); ok {
			memory, known = n, true
		}
	}
	in := []*pipeline.Sum(nil)
	if sv.planner.InPieces() {
		in = append(in, &sv.pieces)
		if !e.Big {
			in = append(in, &sv.small)
		}
	}
	sv.weigh(slot, size, memory, known, in, 1)
	if sv.planner.Asked() {
		sv.planner.IfRefused(func() { sv.weigh(slot, size, memory, known, in, -1) })
	}
}

// weigh adds a key to these sums, and those of what would be sent, or with -1 as times
// takes it away.
func (sv *survey) weigh(slot uint16, size, memory int64, known bool, in []*pipeline.Sum, times int64) {
	add := func(s *pipeline.Sum) { s.Keys, s.Bytes = s.Keys+times, s.Bytes+times*size }
	for _, s := range in {
		add(s)
	}
	if r := sv.room; r != nil {
		r.bySlot[slot] += times * memory
		if known {
			add(&r.known)
		} else {
			add(&r.unknown)
		}
	}
}

func count[K comparable](table map[K]*pipeline.Sum, key K, size int64) {
	n := table[key]
	if n == nil {
		n = &pipeline.Sum{}
		table[key] = n
	}
	n.Keys++
	n.Bytes += size
}

// severalDatabases is the error about a dump of several databases that would go to
// one of a target.
func (sv *survey) severalDatabases(target *slotter.Cluster) error {
	var list []string
	for _, db := range slices.Sorted(maps.Keys(sv.dbs)) {
		list = append(list, fmt.Sprintf("%d (%s)", db, plural(sv.dbs[db].Keys, "key")))
	}
	return fmt.Errorf("%w, and %s: %s", pipeline.ErrDatabases, pipeline.OneDatabase(target), strings.Join(list, ", "))
}

// A roomEstimate estimates the memory that keys take, by slot.
type roomEstimate struct {
	profiler *profiler
	bySlot   []int64
	known    pipeline.Sum // keys that could be estimated
	unknown  pipeline.Sum
}
