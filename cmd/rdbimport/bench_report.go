package main

import (
	"cmp"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/rdbimport/rdbimport/bench/figure"
)

// A benchReport is what was measured: the object that --json prints.
type benchReport struct {
	Source          benchedSource  `json:"source"`
	Host            benchedHost    `json:"host"`
	Runs            int            `json:"runs"` // through all stages
	Stages          []benchedStage `json:"stages"`
	Types           []benchedType  `json:"types"`
	Allocations     benchedAllocs  `json:"allocations"`
	PeakMemory      int64          `json:"peak_memory_bytes"`
	Target          *benchedTarget `json:"target,omitempty"`
	DurationSeconds float64        `json:"duration_seconds"`

	// Error and ExitCode are absent where all went well.
	Error    string `json:"error,omitempty"`
	ExitCode int    `json:"exit_code,omitempty"`

	wanted int // runs
}

type benchedSource struct {
	Name       string   `json:"name"`
	FileBytes  int64    `json:"file_bytes"`
	Wrappers   []string `json:"wrappers"` // gzip and the like
	Bytes      int64    `json:"bytes"`    // of the dump
	Keys       int64    `json:"keys"`
	RDBVersion int      `json:"rdb_version"`
	Family     string   `json:"family"` // of the magic: redis or valkey
	Checksum   string   `json:"checksum"`
}

type benchedHost struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	System    string `json:"system"`
	Go        string `json:"go"`
	Load      string `json:"load,omitempty"` // average of the minute before, "" where unknown
}

// benchedTime is how long something took, and the rates of the median: 0 where
// it took too little to tell.
type benchedTime struct {
	Seconds        figure.Spread `json:"seconds"`
	BytesPerSecond float64       `json:"bytes_per_second"`
	KeysPerSecond  float64       `json:"keys_per_second"`
}

// The stages, by name, in the order in which they are shown.
const (
	stageRead     = "read"
	stageScan     = "scan"
	stageChecksum = "checksum"
	stageSlot     = "slot"
	stagePayload  = "payload"
	stageEncode   = "encode"
	stageChecked  = "scan_checksum"
	stageAll      = "all"
)

type benchedStage struct {
	Name string `json:"name"`
	What string `json:"what"`
	benchedTime
}

type benchedType struct {
	Type           string  `json:"type"`
	Encoding       string  `json:"encoding"`
	Keys           int64   `json:"keys"`
	Bytes          int64   `json:"bytes"`
	ScanNs         float64 `json:"scan_ns_per_key"`
	EncodeNs       float64 `json:"encode_ns_per_key"`
	BytesPerSecond float64 `json:"bytes_per_second"` // of both
	Share          float64 `json:"share"`            // of the time of both, of 1
}

type benchedAllocs struct {
	Keys            int64   `json:"keys"` // over which they were counted
	Count           int64   `json:"count"`
	Bytes           int64   `json:"bytes"`
	PerMillionKeys  float64 `json:"count_per_million_keys"`
	BytesPerMillion float64 `json:"bytes_per_million_keys"`
}

type benchedTarget struct {
	Server    string           `json:"server"`
	Masters   int              `json:"masters"`
	Runs      int              `json:"runs"`
	Import    benchedImport    `json:"import"`
	LimitedBy *jsonLimit       `json:"limited_by,omitempty"`
	Replies   []benchedReplies `json:"replies"`
	Floor     benchedFloor     `json:"floor"`
	Errors    []jsonError      `json:"errors"` // of the last import
	parts     []part

	wanted int // runs
}

type benchedImport struct {
	Keys     int64 `json:"keys"`
	Restored int64 `json:"keys_restored"` // in the last run, as the next two; what is left are empty collections
	Expired  int64 `json:"keys_expired"`
	Failed   int64 `json:"keys_failed"`
	Bytes    int64 `json:"bytes"` // of the dump
	benchedTime
	CPUSeconds figure.Spread `json:"cpu_seconds"`
	PeakMemory int64         `json:"peak_memory_bytes"`
}

// benchedReplies are percentiles over the batches of all runs, at most a
// sixteenth too large; the longest is exact.
type benchedReplies struct {
	Addr    string  `json:"addr"`
	ID      string  `json:"id,omitempty"`
	Batches int64   `json:"batches"`
	P50     float64 `json:"p50_seconds"`
	P90     float64 `json:"p90_seconds"`
	P99     float64 `json:"p99_seconds"`
	Max     float64 `json:"max_seconds"`
}

// benchedFloor compares an import with the floor: of the whole dump, or of its
// beginning.
type benchedFloor struct {
	Whole     bool           `json:"whole"`
	Keys      int64          `json:"keys"`
	Sent      int64          `json:"keys_sent"`    // by the floor: those that had not expired
	Skipped   int64          `json:"keys_skipped"` // not expired, but not sent as they stand by an import
	Bytes     int64          `json:"bytes"`        // of the dump
	Floor     *benchedTime   `json:"floor,omitempty"`
	FloorCPU  *figure.Spread `json:"floor_cpu_seconds,omitempty"`
	Import    *benchedTime   `json:"import,omitempty"`
	ImportCPU *figure.Spread `json:"import_cpu_seconds,omitempty"`
	Ratio     *figure.Spread `json:"ratio,omitempty"`    // of the import's time to the floor's, pair by pair
	LeftOut   string         `json:"left_out,omitempty"` // why it was not measured
}

// finish completes the report from what was measured: all of it, or as little as
// an error has left.
func (rep *benchReport) finish(b *benchmark, err error) {
	l := &b.local
	family := "redis"
	if l.valkey {
		family = "valkey"
	}
	rep.Source = benchedSource{
		Name: b.source, FileBytes: l.fileBytes, Wrappers: append([]string{}, l.wrappers...), Bytes: l.bytes, Keys: l.keys,
		RDBVersion: l.version, Family: family, Checksum: l.checksum.String(),
	}
	rep.Host = benchedHost{figure.Processor(), runtime.NumCPU(), runtime.GOOS + "/" + runtime.GOARCH, runtime.Version(), b.load}
	rep.Runs, rep.wanted, rep.Stages, rep.Types = len(l.runs), b.runs, []benchedStage{}, []benchedType{}
	rep.DurationSeconds = rounded(time.Since(b.began).Seconds())
	if err != nil {
		rep.Error, rep.ExitCode = err.Error(), exitCode(err)
	}
	if len(l.runs) > 0 {
		rep.local(l)
	}
	if len(b.aimed.imports) > 0 {
		rep.target(b)
	}
}

func (rep *benchReport) local(l *localRuns) {
	add := func(name, what string, bytes int64, get func(localRun) time.Duration) {
		rep.Stages = append(rep.Stages, benchedStage{name, what, timeOf(l.runs, get, bytes, l.keys)})
	}
	add(stageRead, "reading the bytes of the source", l.runs[0].readBytes, func(r localRun) time.Duration { return r.read })
	add(stageScan, "scanning: where each record ends", l.bytes, func(r localRun) time.Duration { return r.scan })
	add(stageChecksum, "file checksum: what it adds", l.bytes, func(r localRun) time.Duration { return r.checksum() })
	add(stageSlot, "slots of the keys", l.bytes, func(r localRun) time.Duration { return r.slot })
	add(stagePayload, "payloads: value, version, CRC64", l.bytes, func(r localRun) time.Duration { return r.payload })
	add(stageEncode, "encoding: slot, payload, RESTORE", l.bytes, func(r localRun) time.Duration { return r.encode })
	add(stageChecked, "scanning with the file checksum", l.bytes, func(r localRun) time.Duration { return r.checked })
	add(stageAll, "all: read, scan, checksum, encode", l.bytes, func(r localRun) time.Duration { return r.together })
	rep.types(l)
	a := &l.allocs
	rep.Allocations = benchedAllocs{a.keys, int64(a.count), int64(a.bytes), rounded(a.perMillion(a.count)), rounded(a.perMillion(a.bytes))}
	rep.PeakMemory = l.peak
}

// timeOf sums up how long something took in each run, and its rates.
func timeOf[T any](runs []T, get func(T) time.Duration, bytes, keys int64) benchedTime {
	s := figure.SpreadOf(runs, func(r T) float64 { return get(r).Seconds() })
	t := benchedTime{Seconds: figure.Spread{Median: roundedNs(s.Median), Min: roundedNs(s.Min), Max: roundedNs(s.Max)}}
	if s.Median > 0 {
		t.BytesPerSecond, t.KeysPerSecond = math.Round(float64(bytes)/s.Median), math.Round(float64(keys)/s.Median)
	}
	return t
}

// types sums up the types, that which took most time first.
func (rep *benchReport) types(l *localRuns) {
	var all float64
	var list []benchedType
	seconds := map[string]float64{}
	for i, c := range l.runs[0].types { // each run meets them in the same order
		get := func(f func(*typeCost) time.Duration) float64 {
			return figure.SpreadOf(l.runs, func(r localRun) float64 { return f(r.types[i]).Seconds() }).Median
		}
		scan, encode := get(func(c *typeCost) time.Duration { return c.scan }), get(func(c *typeCost) time.Duration { return c.encode })
		perKey := 1e9 / float64(c.keys)
		t := benchedType{Type: c.row.Kind.String(), Encoding: c.row.Name, Keys: c.keys, Bytes: c.bytes, ScanNs: rounded(scan * perKey), EncodeNs: rounded(encode * perKey)}
		if scan+encode > 0 {
			t.BytesPerSecond = math.Round(float64(c.bytes) / (scan + encode))
		}
		seconds[c.row.Name] = scan + encode
		all += scan + encode
		list = append(list, t)
	}
	for i := range list {
		if all > 0 {
			list[i].Share = rounded(seconds[list[i].Encoding] / all)
		}
	}
	slices.SortStableFunc(list, func(x, y benchedType) int { return cmp.Compare(seconds[y.Encoding], seconds[x.Encoding]) })
	rep.Types = append(rep.Types, list...)
}

// target fills in what was measured with the target.
func (rep *benchReport) target(b *benchmark) {
	t := &b.aimed
	out := &benchedTarget{Server: t.server.String(), Masters: len(t.masters), Replies: []benchedReplies{}, Errors: []jsonError{}, Runs: len(t.imports), wanted: b.runs}
	rep.Target = out
	all, last := &summary{}, t.last()
	for _, c := range t.imports {
		all.duration += c.sum.duration
		all.source += c.sum.source
		all.masters += c.sum.masters
		all.Short = all.Short || c.sum.Short
	}
	out.Import = benchedImport{
		Keys: b.local.keys, Restored: last.Restored, Expired: last.Expired, Failed: last.Failed, Bytes: b.local.bytes, PeakMemory: t.peak,
		benchedTime: timeOf(t.imports, importCost.wall, b.local.bytes, b.local.keys),
		CPUSeconds:  figure.SpreadOf(t.imports, importCost.cpuSeconds),
	}
	if out.parts = all.parts(); out.parts != nil {
		out.LimitedBy = &jsonLimit{out.parts[0].name, rounded(out.parts[0].share)}
	}
	out.replies(t)
	out.Floor = flooredBy(b)
	out.Errors = jsonErrors(last.refusals())
}

// replies lists the masters in the order of their slots, and behind them those
// that were met otherwise.
func (out *benchedTarget) replies(t *targetRuns) {
	add := func(addr, id string, m *masterReplies) {
		seconds := func(ns int64) float64 { return roundedNs(float64(ns) / 1e9) }
		out.Replies = append(out.Replies, benchedReplies{addr, id, m.batches,
			seconds(m.times.Percentile(50)), seconds(m.times.Percentile(90)), seconds(m.times.Percentile(99)), seconds(m.times.Max())})
	}
	left := t.replies.byAddr
	for _, n := range t.masters {
		m := left[n.Addr]
		if m == nil {
			m = &masterReplies{}
		}
		add(n.Addr, n.ID, m)
		delete(left, n.Addr)
	}
	for addr, m := range left {
		add(addr, "", m)
	}
}

// flooredBy compares with the floor.
func flooredBy(b *benchmark) benchedFloor {
	t, l := &b.aimed, &b.local
	f := benchedFloor{Whole: l.beginning.keys == l.keys, Keys: l.beginning.keys, Bytes: l.beginning.end, LeftOut: t.leftOut}
	if f.Whole {
		f.Bytes = l.bytes
	}
	if len(t.pairs) == 0 {
		f.LeftOut = cmp.Or(f.LeftOut, "it did not come to that")
		return f
	}
	f.Sent, f.Skipped = t.pairs[0].floor.Commands, t.skipped
	floorTime := timeOf(t.pairs, func(p floorPair) time.Duration { return p.floor.Wall }, f.Bytes, f.Keys)
	importTime := timeOf(t.pairs, func(p floorPair) time.Duration { return p.imported.wall() }, f.Bytes, f.Keys)
	floorCPU, importCPU := figure.SpreadOf(t.pairs, floorPair.floorCPU), figure.SpreadOf(t.pairs, floorPair.importCPU)
	ratio := figure.SpreadOf(t.pairs, floorPair.ratio)
	f.Floor, f.Import, f.FloorCPU, f.ImportCPU, f.Ratio = &floorTime, &importTime, &floorCPU, &importCPU, &ratio
	return f
}

// roundedNs leaves nine digits behind the point.
func roundedNs(seconds float64) float64 {
	return time.Duration(seconds * 1e9).Seconds()
}
