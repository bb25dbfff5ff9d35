package main

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
)

// jsonSummary is the object that --json prints, on success and on failure.
type jsonSummary struct {
	KeysRead         int64        `json:"keys_read"`
	KeysRestored     int64        `json:"keys_restored"`
	KeysExisting     int64        `json:"keys_existing"`
	KeysExpired      int64        `json:"keys_expired"`
	KeysFiltered     int64        `json:"keys_filtered"`
	KeysFailed       int64        `json:"keys_failed"`
	KeysUnsettled    int64        `json:"keys_unsettled"`
	KeysBig          int64        `json:"keys_big"`     // of those read: values larger than --big-value, or written in pieces
	KeysBefore       int64        `json:"keys_before"`  // settled by earlier runs, not in keys_read
	KeysEvicted      int64        `json:"keys_evicted"` // by the target, by whatever cause
	BytesRead        int64        `json:"bytes_read"`   // of the sources
	DurationSeconds  float64      `json:"duration_seconds"`
	Retries          int64        `json:"retries"`
	Redirects        int64        `json:"redirects"`
	Reconnects       int64        `json:"reconnects"`
	Failovers        int64        `json:"failovers"`
	Paced            int64        `json:"paced"`                // times that a master was held back for its replicas
	PeakMemoryBytes  int64        `json:"peak_memory_bytes"`    // of all that --memory is the budget for
	Connections      int          `json:"connections"`          // to each master, in the end
	LimitedBy        *jsonLimit   `json:"limited_by,omitempty"` // absent if nothing was imported
	FunctionsLoaded  int64        `json:"functions_loaded"`
	ScriptsLoaded    int64        `json:"scripts_loaded"`
	ModuleAuxSkipped int64        `json:"module_aux_skipped"`
	Checksum         string       `json:"checksum"` // ok, wrong, off, none or unchecked; of several dumps the worst
	Sources          []jsonSource `json:"sources"`
	Masters          []jsonMaster `json:"masters"`
	Errors           []jsonError  `json:"errors"`
	Losses           []jsonLoss   `json:"losses"`
	Verify           *jsonVerify  `json:"verify,omitempty"`  // what rdbimport verify --json prints
	Checked          *int64       `json:"checked,omitempty"` // by demo: keys that were found with the value of the dump

	// Error and ExitCode are absent from a run that went well.
	Error    string `json:"error,omitempty"`
	ExitCode int    `json:"exit_code,omitempty"`
}

// jsonLimit says what took the largest share of the time: source, scan, masters,
// round trip or limit.
type jsonLimit struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"` // of 1
}

// jsonSource is one SOURCE, by the name that the user gave it.
type jsonSource struct {
	Name            string  `json:"name"`
	KeysRead        int64   `json:"keys_read"`
	BytesRead       int64   `json:"bytes_read"`
	Checksum        string  `json:"checksum"`
	DurationSeconds float64 `json:"duration_seconds"`
}

type jsonMaster struct {
	Addr  string `json:"addr"`
	ID    string `json:"id"`
	Keys  int64  `json:"keys"`
	Bytes int64  `json:"bytes"`
}

// jsonError counts what was refused for one reason. A key that is no UTF-8 is
// quoted as Go does it: "\xff".
type jsonError struct {
	Reason     string `json:"reason"`
	Count      int64  `json:"count"`
	ExampleKey string `json:"example_key,omitempty"`
}

// jsonErrors is for the list of errors.
func jsonErrors(list []pipeline.ErrorCount) []jsonError {
	out := []jsonError{}
	for _, e := range list {
		out = append(out, jsonError{e.Reason, e.Count, validText(e.Example)})
	}
	return out
}

// jsonLoss says what a master had accepted and may have lost.
type jsonLoss struct {
	Addr   string `json:"addr"`
	Slots  string `json:"slots,omitempty"` // absent where it has lost everything
	Keys   int64  `json:"keys"`            // at the most
	Reason string `json:"reason"`
}

// writeJSON prints s as one object on a line of its own.
func writeJSON(w io.Writer, s *summary) {
	j := jsonSummary{
		KeysRead: s.Read, KeysRestored: s.Restored, KeysExisting: s.Existing, KeysExpired: s.Expired,
		KeysFiltered: s.Filtered, KeysFailed: s.Failed, KeysUnsettled: s.Unsettled, KeysBig: s.Big,
		KeysBefore: s.before.Keys, KeysEvicted: s.evicted(),
		BytesRead: s.bytesRead, DurationSeconds: rounded(s.duration.Seconds()),
		Retries: s.Retries, Redirects: s.Redirects, Reconnects: s.Reconnects, Failovers: s.Failovers, Paced: s.Paced, PeakMemoryBytes: s.PeakMemory + s.ahead, Connections: s.Lanes,
		FunctionsLoaded: s.Functions, ScriptsLoaded: s.Scripts, ModuleAuxSkipped: s.ModuleAux,
		Checksum: s.checksum.String(), Sources: []jsonSource{}, Masters: []jsonMaster{}, Errors: jsonErrors(s.refusals()), Losses: []jsonLoss{}, ExitCode: s.code,
	}
	if list := s.limits(); list != nil {
		j.LimitedBy = &jsonLimit{list[0].name, rounded(list[0].share)}
	}
	for _, src := range s.sources {
		j.Sources = append(j.Sources, jsonSource{src.name, src.keys, src.bytes, src.checksum.String(), rounded(src.duration.Seconds())})
	}
	for _, m := range s.Masters {
		j.Masters = append(j.Masters, jsonMaster{m.Addr, m.ID, m.Keys, m.Bytes})
	}
	for _, l := range s.losses() {
		j.Losses = append(j.Losses, jsonLoss{Addr: l.Addr, Slots: l.Slots, Keys: l.Keys, Reason: l.Reason})
	}
	j.Checked = s.checked
	if s.compared != nil {
		j.Verify = s.compared.report.object(s.compared.log)
	}
	if s.err != nil {
		j.Error = s.err.Error()
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(j) // a closed standard output spoils no import
}

// writeUnbegun prints the object of a command that was not begun, each in the form
// that it has otherwise.
func writeUnbegun(w io.Writer, command string, plan bool, err error, code int) {
	switch {
	case command == "inspect":
		rep := &inspectReport{}
		rep.finish(&inspection{inspectSettings: &inspectSettings{}, began: time.Now()}, err)
		_ = writeObject(w, rep)
	case command == "verify":
		rep := &verifyReport{err: err, code: code}
		_ = writeObject(w, rep.object(nil))
	case command == "bench":
		_ = writeObject(w, struct {
			Error    string `json:"error"`
			ExitCode int    `json:"exit_code"`
		}{err.Error(), code})
	case plan:
		rep := &planReport{}
		rep.fail(err)
		_ = writeObject(w, rep)
	default:
		writeJSON(w, failedSummary(err, code))
	}
}

// rounded leaves six digits behind the point.
func rounded(f float64) float64 { return math.Round(f*1e6) / 1e6 }
