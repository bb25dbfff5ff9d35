package main

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// The verdicts of a plan.
const (
	verdictWorks  = "works"
	verdictPartly = "partly" // the import would come to its end with exit code 4
	verdictStops  = "stops"
)

// A planReport is what an import would do: the object that --dry-run --json
// prints.
type planReport struct {
	Verdict         string         `json:"verdict"` // works, partly or stops; "" if it could not be found
	Obstacles       []obstacle     `json:"obstacles"`
	Notes           []string       `json:"notes"`
	Target          *plannedTarget `json:"target,omitempty"`
	Dump            *plannedDump   `json:"dump,omitempty"`
	DurationSeconds float64        `json:"duration_seconds"`

	// Error and ExitCode are those with which the import would end, absent where it
	// would work.
	Error    string `json:"error,omitempty"`
	ExitCode int    `json:"exit_code,omitempty"`

	first     *obstacle // that would stop the import, or keep it from being complete
	estimated bool
	checksum  rdbparse.Checksum
}

type plannedTarget struct {
	Cluster      bool            `json:"cluster"`
	State        string          `json:"state,omitempty"` // of the cluster; "" if not known
	MissingSlots string          `json:"missing_slots"`   // without an owner
	Masters      []plannedMaster `json:"masters"`
	Fullest      string          `json:"fullest"`       // the master that gets the most bytes
	TimesAverage float64         `json:"times_average"` // how much it gets
}

type plannedMaster struct {
	Addr            string             `json:"addr"`
	ID              string             `json:"id"`
	Server          string             `json:"server"`
	Slots           int                `json:"slots"`
	Replicas        int                `json:"replicas"`
	Keys            *int64             `json:"keys"`        // there already; null if not known
	UsedMemory      *int64             `json:"used_memory"` // the same
	MaxMemory       int64              `json:"maxmemory"`   // 0 is no limit
	FreeMemory      *int64             `json:"free_memory"`
	MaxMemoryPolicy string             `json:"maxmemory_policy"`
	Permissions     plannedPermissions `json:"permissions"`
	MaxBulk         plannedLimit       `json:"proto_max_bulk_len"`
	ClientBuffer    plannedLimit       `json:"client_query_buffer_limit"`
	Modules         []string           `json:"modules"` // null if not known
	Gets            plannedShare       `json:"gets"`
	Error           string             `json:"error,omitempty"` // it could not be asked

	expiry string // the command that tells of a key's
}

// plannedPermissions are yes, no or unknown.
type plannedPermissions struct {
	Restore      string `json:"restore"`
	Dump         string `json:"dump"`
	Expiry       string `json:"expiry"` // PEXPIRETIME, or PTTL before Redis 7.0
	ConfigGet    string `json:"config_get"`
	FunctionLoad string `json:"function_load"`
}

type plannedLimit struct {
	Bytes   int64 `json:"bytes"`
	Assumed bool  `json:"assumed"` // the default: it may not be read
}

// plannedShare is what a master would get. Bytes are those in the dump.
type plannedShare struct {
	Keys   int64  `json:"keys"`
	Bytes  int64  `json:"bytes"`
	Memory *int64 `json:"memory,omitempty"` // estimated
}

type plannedDump struct {
	inspectedCount
	BytesRead        int64            `json:"bytes_read"`
	Checksum         string           `json:"checksum"` // of several dumps the worst
	Sources          []plannedSource  `json:"sources"`
	Databases        []inspectedDB    `json:"databases"`
	Types            []inspectedType  `json:"types"`
	AsIs             inspectedCount   `json:"as_is"`
	Converted        inspectedCount   `json:"converted"`
	Conversions      []plannedChange  `json:"conversions"`
	Refused          inspectedCount   `json:"refused"`
	Errors           []jsonError      `json:"errors"` // why: keys and libraries
	Damaged          inspectedCount   `json:"damaged"`
	Expired          inspectedCount   `json:"expired"`
	Filtered         inspectedCount   `json:"filtered"`
	Pieces           inspectedCount   `json:"pieces"` // of those sent
	piecesSmall      inspectedCount   // of these, below PiecesAbove
	PiecesAbove      int64            `json:"pieces_above"`
	Functions        int64            `json:"functions"`
	Scripts          int64            `json:"scripts"`
	LibrariesRefused int64            `json:"libraries_refused"`
	ModuleAux        int64            `json:"module_aux_skipped"`
	Modules          []plannedModule  `json:"modules"`
	Memory           *plannedEstimate `json:"memory,omitempty"`
}

type plannedSource struct {
	Name      string `json:"name"`
	Keys      int64  `json:"keys"`
	BytesRead int64  `json:"bytes_read"`
	Checksum  string `json:"checksum"`
}

type plannedChange struct {
	What string `json:"what"`
	inspectedCount
}

type plannedModule struct {
	Type   string `json:"type"`
	Loaded string `json:"loaded"` // by all masters: yes, no or unknown
}

// plannedEstimate is the memory that all keys that are sent will take. Keys that
// cannot be estimated count with their bytes in the dump.
type plannedEstimate struct {
	Bytes       int64          `json:"bytes"`
	Estimated   inspectedCount `json:"estimated"`
	Unestimated inspectedCount `json:"unestimated"`
}

// fail makes the report of a plan that could not be made.
func (p *planReport) fail(err error) {
	p.Obstacles, p.Notes = []obstacle{}, []string{}
	p.Error, p.ExitCode = err.Error(), exitCode(err)
}

// hint is what can be done about the error.
func (p *planReport) hint(err error) string {
	if p.first != nil {
		return p.first.Hint
	}
	return hintFor(err)
}

// build makes the report of a plan. damage ended the reading, nil if nothing did.
func (p *planReport) build(r *planRun, damage error) {
	p.estimated = r.survey.room != nil
	p.Dump = plannedDumpOf(r)
	p.checksum = worstChecksum(r.inputs)
	p.Dump.Checksum = p.checksum.String()
	p.Target = plannedTargetOf(r)
	p.Obstacles, p.Notes = r.obstacles(damage), r.notes()
	p.DurationSeconds = rounded(time.Since(r.began).Seconds())
	p.Verdict = verdictWorks
	if len(p.Obstacles) > 0 {
		p.Verdict, p.first = verdictPartly, &p.Obstacles[0]
	}
	if i := slices.IndexFunc(p.Obstacles, func(o obstacle) bool { return o.ExitCode != exitRefused }); i >= 0 {
		p.Verdict, p.first = verdictStops, &p.Obstacles[i]
	}
	if p.first != nil {
		p.Error, p.ExitCode = p.first.Text, p.first.ExitCode
	}
}

func worstChecksum(list []*sourceRun) rdbparse.Checksum {
	var s summary
	for _, src := range list {
		s.noteChecksum(src.checksum)
	}
	return s.checksum
}

func plannedDumpOf(r *planRun) *plannedDump {
	sv, res := r.survey, r.survey.planner.Result()
	d := &plannedDump{
		inspectedCount: inspectedCount(res.Read), BytesRead: r.bytesRead(),
		AsIs: inspectedCount(res.AsIs), Converted: inspectedCount(res.Converted), Refused: inspectedCount(res.Refused),
		Damaged: inspectedCount(res.Damaged), Expired: inspectedCount(res.Expired), Filtered: inspectedCount(res.Filtered),
		Pieces: inspectedCount(sv.pieces), piecesSmall: inspectedCount(sv.small), PiecesAbove: int64(sv.opts.HeldParts()), Functions: res.Functions, Scripts: res.Scripts,
		LibrariesRefused: res.Libraries, ModuleAux: res.ModuleAux,
		Sources: []plannedSource{}, Databases: []inspectedDB{}, Types: []inspectedType{},
		Conversions: []plannedChange{}, Errors: jsonErrors(res.Errors), Modules: []plannedModule{},
	}
	for _, s := range r.inputs {
		d.Sources = append(d.Sources, plannedSource{s.name, s.keys, s.bytes(), s.checksum.String()})
	}
	for _, db := range slices.Sorted(maps.Keys(sv.dbs)) {
		d.Databases = append(d.Databases, inspectedDB{db, inspectedCount(*sv.dbs[db])})
	}
	for t, n := range sv.types {
		d.Types = append(d.Types, inspectedType{t.Kind.String(), t.Name, inspectedCount(*n)})
	}
	slices.SortFunc(d.Types, func(a, b inspectedType) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Encoding, b.Encoding))
	})
	for c, n := range res.Changes {
		d.Conversions = append(d.Conversions, plannedChange{c.String(), inspectedCount(n)})
	}
	slices.SortFunc(d.Conversions, func(a, b plannedChange) int {
		return cmp.Or(cmp.Compare(b.Keys, a.Keys), cmp.Compare(a.What, b.What))
	})
	for _, name := range sortedKeys(res.ModuleTypes) {
		d.Modules = append(d.Modules, plannedModule{validText(name), accessText(res.ModuleTypes[name])})
	}
	if e := sv.room; e != nil {
		d.Memory = &plannedEstimate{0, inspectedCount(e.known), inspectedCount(e.unknown)}
		for _, n := range e.bySlot {
			d.Memory.Bytes += n
		}
	}
	return d
}

func sortedKeys[V any](table map[string]V) []string { return slices.Sorted(maps.Keys(table)) }

func accessText(a pipeline.Access) string { return [...]string{"unknown", "yes", "no"}[a] }

func plannedTargetOf(r *planRun) *plannedTarget {
	f := r.facts
	t := &plannedTarget{
		Cluster: !r.cluster.Standalone(), MissingSlots: slotter.FormatRanges(f.Map.Missing()),
		Masters: []plannedMaster{},
	}
	if !slices.ContainsFunc(f.Masters, func(m pipeline.MasterFacts) bool { return m.Err != nil }) {
		t.State = f.State // else it is what others believe
	}
	gets := r.gets()
	all, most := int64(0), int64(-1)
	for i := range f.Masters {
		m := plannedMasterOf(&f.Masters[i])
		m.Gets = plannedShare{Keys: gets[i].Keys, Bytes: gets[i].Bytes}
		if r.survey.room != nil {
			m.Gets.Memory = &gets[i].Memory
		}
		all += m.Gets.Bytes
		if m.Gets.Bytes > most {
			most, t.Fullest = m.Gets.Bytes, m.Addr
		}
		t.Masters = append(t.Masters, m)
	}
	if all > 0 {
		t.TimesAverage = rounded(float64(most) * float64(len(t.Masters)) / float64(all))
	}
	return t
}

func plannedMasterOf(f *pipeline.MasterFacts) plannedMaster {
	m := plannedMaster{Addr: f.Addr, ID: f.ID, Slots: f.Slots, Replicas: f.Replicas}
	if f.Err != nil {
		m.Error = f.Err.Error()
		return m
	}
	m.Server, m.Keys, m.UsedMemory, m.MaxMemory, m.MaxMemoryPolicy = f.Server.String(), &f.Keys, &f.Used, f.Max, f.Policy
	if free, limited := f.Free(); limited {
		m.FreeMemory = &free
	}
	m.expiry = f.ExpiryCommand
	m.Permissions = plannedPermissions{
		Restore: accessText(f.Restore), Dump: accessText(f.Dump), Expiry: accessText(f.Expiry),
		ConfigGet: accessText(f.Config), FunctionLoad: accessText(f.Functions),
	}
	m.MaxBulk, m.ClientBuffer = plannedLimit(f.MaxBulk), plannedLimit(f.ClientBuffer)
	if f.ModulesKnown {
		m.Modules = append([]string{}, f.Modules...)
	}
	return m
}
