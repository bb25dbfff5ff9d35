package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// A survey is what reading dumps to their ends has shown: what a server could not
// take of them.
type survey struct {
	server  slotter.Server
	version element.ServerVersion
	opts    pipeline.Options
	now     int64 // ms since the epoch

	dbs     map[uint32]int64        // keys by database
	refused map[string]*refusedKeys // by reason
	scratch []byte
	values  *element.Reader // of values that are sent as they are; nil before the first
}

// refusedKeys counts what would be refused for one reason.
type refusedKeys struct {
	count         int64
	noun, example string
}

func (c *refusedKeys) describe() string {
	text := plural(c.count, c.noun)
	if c.example != "" {
		text += ", for example " + showKey(c.example)
	}
	return text
}

func newSurvey(s slotter.Server, opts pipeline.Options) *survey {
	return &survey{
		server: s, version: versionOf(s), opts: opts, now: time.Now().UnixMilli(),
		dbs: map[uint32]int64{}, refused: map[string]*refusedKeys{},
	}
}

// versionOf returns what decides which types a server knows.
func versionOf(s slotter.Server) element.ServerVersion {
	if s.Family == slotter.Valkey {
		return element.ServerVersion{Valkey: true, Version: 100*s.Version[0] + s.Version[1]}
	}
	return element.ServerVersion{Version: 100*s.Compatible[0] + s.Compatible[1]}
}

// publishEvery is after how many keys the progress is told, and an interrupt seen.
const publishEvery = 1024

// read reads a dump to its end, and what follows it: compressed data has a
// checksum of its own behind what it holds.
func (sv *survey) read(ctx context.Context, r io.Reader, opts rdbparse.Options, keys *atomic.Int64) error {
	sc := rdbparse.NewScanner(r, opts)
	for n := int64(1); sc.Next(); n++ {
		if err := sv.note(sc.Entry()); err != nil {
			return err
		}
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
	_, err := io.Copy(io.Discard, r)
	return err
}

// note looks at one entry. The error is a *pipeline.DamagedError.
func (sv *survey) note(e *rdbparse.Entry) error {
	switch e.Record {
	case rdbparse.RecordFunction:
		if !sv.server.Compatible.AtLeast(7, 0) {
			sv.refuse("library", sv.server.String()+" has no functions", "")
		}
	case rdbparse.RecordKey:
		if only := sv.opts.Databases.Only; only == pipeline.AllDatabases || int64(e.DB) == int64(only) {
			sv.dbs[e.DB]++
			return sv.value(e)
		}
	}
	return nil
}

// value looks at a value as the import will.
func (sv *survey) value(e *rdbparse.Entry) error {
	key := string(e.Key[:min(len(e.Key), 256)])
	plan := element.Plan(e.Type, sv.version)
	switch {
	case e.Type.Type == rdbparse.TypeModule2 && killedByDamage(sv.server) && !sv.opts.AllowModules:
		sv.refuse("key", fmt.Sprintf("%s would exit if the module for the type %s is not loaded, --allow-modules sends it",
			sv.server, rdbparse.ModuleName(e.Value)), key)
	case plan.Verb == element.Refuse:
		sv.refuse("key", plan.Reason, key)
	case plan.Verb == element.Rewrite && !e.Big:
		var err error
		sv.scratch, err = element.Convert(sv.scratch[:0], element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields}, plan.To,
			element.Options{DropFieldExpiry: sv.opts.DropFieldTTL, Now: sv.now})
		return sv.rewritten(e, key, err)
	case !e.Big && e.Type.Kind != rdbparse.KindString && element.CanOpen(e.Type):
		return sv.rewritten(e, key, sv.open(element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields}))
	}
	return nil
}

// open reads a value to its end: servers look at the head of what they are sent
// only, unless sanitize-dump-payload is set.
func (sv *survey) open(v element.Value) error {
	if sv.values == nil {
		sv.values = element.Open(v)
	} else {
		sv.values.Reset(v)
	}
	for sv.values.Next() {
	}
	return sv.values.Err()
}

// rewritten notes the outcome of rewriting a value.
func (sv *survey) rewritten(e *rdbparse.Entry, key string, err error) error {
	switch {
	case err == nil, errors.Is(err, element.ErrEmpty):
	case errors.Is(err, element.ErrDamaged) && sv.opts.SkipDamaged: // counted by the import
	case errors.Is(err, element.ErrFieldExpiry):
		sv.refuse("key", fmt.Sprintf("%s cannot expire the fields of a hash, with --drop-field-ttl they stay for ever", sv.server), key)
	case errors.Is(err, element.ErrDamaged):
		return &pipeline.DamagedError{Key: append([]byte(nil), e.Key...), Type: e.Type, Offset: e.Offset, Err: err}
	default:
		sv.refuse("key", err.Error(), key)
	}
	return nil
}

func (sv *survey) refuse(noun, reason, example string) {
	c := sv.refused[reason]
	if c == nil {
		c = &refusedKeys{noun: noun, example: example}
		sv.refused[reason] = c
	}
	c.count++
}
