package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// A summary is what became of an import.
type summary struct {
	pipeline.Result
	sources   []sourceResult
	bytesRead int64         // of all sources
	duration  time.Duration // from the first byte read to the last reply
	source    time.Duration // of it, waiting for bytes
	masters   time.Duration // of it, waiting for masters
	limit     time.Duration // of it, waiting because of a rate that the user set
	checksum  rdbparse.Checksum
	seen      bool    // checksum is that of a dump
	ahead     int64   // bytes of the buffers for reading ahead
	behind    int64   // writing commands behind dumps, which are not applied
	dumps     int64   // other dumps behind them, which are left out
	before    earlier // what earlier runs of the import have done
	replaces  bool    // keys that exist

	checked  *int64        // keys that demo has found again; nil elsewhere
	compared *verification // with the dump afterwards; nil if that was not wanted

	err  error // nil when all went well
	code int
}

// failedSummary is that of an import that was not begun.
func failedSummary(err error, code int) *summary { return &summary{err: err, code: code} }

// A part is what some of the time went into.
type part struct {
	name  string
	share float64 // of 1
}

// roundTrip is the name of the part in which masters were waited for, where these
// waited too, for what was on its way to them.
const roundTrip = "round trip"

// parts returns where the time went, the largest part first; nil if there was none.
func (s *summary) parts() []part {
	if s.duration <= 0 {
		return nil
	}
	all := s.duration.Seconds()
	source := min(1, s.source.Seconds()/all)
	limit := min(1-source, s.limit.Seconds()/all)
	masters := min(1-source-limit, s.masters.Seconds()/all)
	name := "masters"
	if s.Short {
		name = roundTrip
	}
	list := []part{{name, masters}, {"source", source}, {"scan", max(0, 1-source-limit-masters)}}
	if limit > 0 {
		list = append(list, part{"limit", limit})
	}
	slices.SortStableFunc(list, func(a, b part) int {
		switch {
		case a.share > b.share:
			return -1
		case a.share < b.share:
			return 1
		}
		return 0
	})
	return list
}

// limits are the parts where they say something: nothing limits an import that had
// nothing to import.
func (s *summary) limits() []part {
	if s.Read+s.Functions+s.Scripts == 0 {
		return nil
	}
	return s.parts()
}

// refusals are the reasons why something of the dump is not on the target.
func (s *summary) refusals() []pipeline.ErrorCount {
	list := slices.Clone(s.Errors)
	if s.KeyDBExtra > 0 {
		list = append(list, pipeline.ErrorCount{Reason: "expiry of a set's member (KeyDB): no command restores it", Count: s.KeyDBExtra})
	}
	if s.behind > 0 {
		list = append(list, pipeline.ErrorCount{Reason: "writing command behind the dump: not applied", Count: s.behind})
	}
	if s.dumps > 0 {
		list = append(list, pipeline.ErrorCount{Reason: "another dump behind the dump: not imported", Count: s.dumps})
	}
	if s.before.Refused > 0 {
		list = append(list, pipeline.ErrorCount{Reason: "refused by the earlier runs of this import, as they said", Count: s.before.Refused})
	}
	return list
}

// incomplete reports whether something of the dump is not on the target, although
// the import came to its end.
func (s *summary) incomplete() bool {
	return s.Failed > 0 || s.Libraries > 0 || s.KeyDBExtra > 0 || s.behind > 0 || s.dumps > 0 || s.before.Refused > 0 ||
		s.evicted() > 0 || len(s.losses()) > 0
}

// losses are what masters may have lost, in earlier runs of the import too.
func (s *summary) losses() []pipeline.Loss { return slices.Concat(s.before.Losses, s.Losses) }

// evicted is how many keys the target has evicted, in earlier runs too.
func (s *summary) evicted() int64 { return s.before.Evicted + s.Evicted }

// partly is the error of an incomplete import.
func (s *summary) partly() error {
	lost := int64(0)
	for _, l := range s.losses() {
		lost += l.Keys
	}
	kind := errPartly
	switch {
	case s.evicted() > 0 && s.replaces:
		kind = errEvictedReplacing
	case s.evicted() > 0:
		kind = errEvicted
	case lost > 0 && s.replaces:
		kind = errLostReplacing
	case lost > 0:
		kind = errLost
	}
	return fmt.Errorf("%w (%s)", kind, s.missing(lost))
}

// missing counts what is not on the target, in words.
func (s *summary) missing(lost int64) string {
	var list []string
	for _, p := range []struct {
		n    int64
		what string
	}{
		{lost, "keys that may be lost"}, {s.evicted(), "keys evicted by the target"},
		{s.Failed + s.before.Refused, "keys refused"}, {s.Libraries, "functions or scripts not loaded"},
		{s.KeyDBExtra, "expiries of set members left out"}, {s.behind, "commands behind the dump not applied"},
		{s.dumps, "dumps behind the dump not imported"},
	} {
		if p.n > 0 {
			list = append(list, p.what+": "+formatCount(p.n))
		}
	}
	return strings.Join(list, ", ")
}

// write writes the table that a person reads.
func (s *summary) write(w io.Writer) {
	var b strings.Builder
	s.writeMasters(&b)
	b.WriteByte('\n')
	if len(s.sources) > 1 {
		s.writeSources(&b)
		b.WriteByte('\n')
	}
	s.writeCounts(&b)
	s.writeRefusals(&b)
	s.writeLosses(&b)
	_, _ = io.WriteString(w, b.String()) // a closed standard output spoils no import
}

func (s *summary) writeMasters(w io.Writer) {
	t := table{header: []string{"master", "keys", "MB", "keys/s"}}
	for _, m := range s.Masters {
		t.row(m.Addr, formatCount(m.Keys), formatMB(m.Bytes), s.rate(m.Keys))
	}
	if len(s.Masters) != 1 {
		t.row("all", formatCount(s.Restored), formatMB(s.Bytes), s.rate(s.Restored))
	}
	t.write(w)
}

func (s *summary) writeSources(w io.Writer) {
	t := table{header: []string{"source", "keys", "MB", "seconds", "checksum"}}
	for _, src := range s.sources {
		t.row(shownName(src.name), formatCount(src.keys), formatMB(src.bytes), fmt.Sprintf("%.2f", src.duration.Seconds()), src.checksum.String())
	}
	t.write(w)
}

func (s *summary) rate(n int64) string { return formatCount(int64(perSecond(n, s.duration))) }

// writeCounts writes one line for each number; those that are seldom anything
// but zero only when they are something else.
func (s *summary) writeCounts(w io.Writer) {
	line := func(name, value string) { fmt.Fprintf(w, "%-22s%s\n", name, value) }
	count := func(name string, n int64, always bool) {
		if n != 0 || always {
			line(name, formatCount(n))
		}
	}
	count("keys read", s.Read, true)
	count("  restored", s.Restored, true)
	count("  existing", s.Existing, false)
	count("  expired, not sent", s.Expired, false)
	count("  filtered out", s.Filtered, false)
	count("  refused", s.Failed, false)
	count("  unsettled", s.Unsettled, false)
	count("settled before", s.before.Keys, false)
	count("evicted by the target", s.evicted(), false)
	count("functions loaded", s.Functions, false)
	count("scripts loaded", s.Scripts, false)
	count("not loaded", s.Libraries, false)
	count("module data left out", s.ModuleAux, false)
	count("retries", s.Retries, false)
	count("redirects", s.Redirects, false)
	count("reconnects", s.Reconnects, false)
	count("failovers", s.Failovers, false)
	count("held for replicas", s.Paced, false)
	line("duration", fmt.Sprintf("%s, %s keys/s, %s MB/s", formatDuration(s.duration), s.rate(s.Read), formatMB(int64(perSecond(s.bytesRead, s.duration)))))
	line("checksum", checksumText(s.checksum))
	if list := s.limits(); list != nil {
		line("limited by", limitText(list))
	}
}

// checksumText says what is known of the dump's CRC64.
func checksumText(c rdbparse.Checksum) string {
	switch c {
	case rdbparse.ChecksumNone:
		return "none: this version of the format has none"
	case rdbparse.ChecksumOff:
		return "off: the dump was written without one"
	case rdbparse.ChecksumPending:
		return "not checked: the end of the dump was not reached"
	}
	return c.String()
}

func (s *summary) writeRefusals(w io.Writer) {
	list := s.refusals()
	if len(list) == 0 {
		return
	}
	t := table{header: []string{"", "refused because"}}
	for _, e := range list {
		reason := e.Reason
		if e.Example != "" {
			reason += " (for example key " + showKey(e.Example) + ")"
		}
		t.row(formatCount(e.Count), reason)
	}
	fmt.Fprintln(w)
	t.write(w)
}

// writeLosses writes which keys are to be looked for.
func (s *summary) writeLosses(w io.Writer) {
	list := s.losses()
	if len(list) == 0 {
		return
	}
	t := table{header: []string{"", "may be lost, at the most"}}
	for _, l := range list {
		where := ""
		if l.Slots != "" {
			where = " of slots " + l.Slots
		}
		t.row(formatCount(l.Keys), fmt.Sprintf("accepted by %s%s: %s", l.Addr, where, l.Reason))
	}
	fmt.Fprintln(w)
	t.write(w)
}
