package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// firstDifferences is how many differences are shown; --report has all.
const firstDifferences = 10

// jsonDifference is one difference, in --report and --json.
type jsonDifference struct {
	Key       string `json:"key"`
	KeyBase64 []byte `json:"key_base64,omitempty"` // in place of key, if that is no UTF-8
	DB        uint32 `json:"db"`
	Kind      string `json:"kind"` // missing, different, expiry, unreadable, extra or function
	What      string `json:"what"`
	Offset    int64  `json:"offset"` // of the record in the dump, -1 for an extra key
}

// A differenceLog writes down differences, and keeps the first.
type differenceLog struct {
	file  *os.File // nil without --report
	out   *bufio.Writer
	enc   *json.Encoder
	err   error // the first of writing to the file
	first []pipeline.KeyDifference
	noted int64 // all, the first among them
}

// openDifferences returns a log to a file, or to none for "".
func openDifferences(name string) (*differenceLog, error) {
	l := &differenceLog{}
	if name == "" {
		return l, nil
	}
	var err error
	if l.file, err = openReport(name); err != nil {
		return nil, err
	}
	l.out = bufio.NewWriter(l.file)
	l.enc = json.NewEncoder(l.out)
	l.enc.SetEscapeHTML(false)
	return l, nil
}

// note writes down a difference.
func (l *differenceLog) note(d pipeline.KeyDifference) {
	l.noted++
	if len(l.first) < firstDifferences {
		kept := d
		kept.Key = append([]byte(nil), d.Key...)
		l.first = append(l.first, kept)
	}
	if l.enc != nil && l.err == nil {
		l.err = l.enc.Encode(jsonOf(d))
	}
}

// close ends the file, and returns what went wrong with it.
func (l *differenceLog) close() error {
	if l == nil || l.file == nil {
		return nil
	}
	l.err = cmp.Or(l.err, l.out.Flush(), l.file.Close())
	return l.err
}

func jsonOf(d pipeline.KeyDifference) jsonDifference {
	j := jsonDifference{DB: d.DB, Kind: d.Kind.String(), What: d.What, Offset: d.Offset}
	if utf8.Valid(d.Key) {
		j.Key = string(d.Key)
	} else {
		j.KeyBase64 = bytes.Clone(d.Key)
	}
	return j
}

// A verifyReport is what became of a comparison.
type verifyReport struct {
	pipeline.VerifyResult
	bytesRead int64
	duration  time.Duration
	checksum  rdbparse.Checksum // of several dumps the worst
	err       error
	code      int
	imported  *summary // by the same run, nil without
}

// differences is how many keys and function libraries differ. After an import, keys
// that only the target has are none: it may have held them before.
func (p *verifyReport) differences() int64 {
	if p.imported != nil {
		return p.Differences() - p.Extra
	}
	return p.Differences()
}

// finish completes the report.
func (p *verifyReport) finish(r *verification, err error) {
	if !r.began.IsZero() {
		p.duration = time.Since(r.began)
	}
	p.bytesRead = bytesOf(r.inputs)
	var sum summary
	for _, s := range r.inputs {
		sum.noteChecksum(s.checksum)
	}
	p.checksum = sum.checksum
	p.err, p.code = err, exitCode(err)
	if only := r.verify.Databases.Only; r.imported == nil && p.Read > 0 && p.Filtered == p.Read && only != pipeline.AllDatabases {
		r.con.warn(fmt.Sprintf("no key of the dump is in database %d", only))
	}
	if n := p.Skipped + p.Filtered; (err == nil || errors.Is(err, errDiffer)) && p.Skipped > 0 && n == p.Read {
		r.con.warn("no key was compared: none of the dump is in the slots of the sample; a larger --sample has more of them")
	}
	if p.Changes > 0 {
		r.con.warn(fmt.Sprintf("the target has been written to while it was compared: %s at least; what differs may be due to that",
			plural(p.Changes, "change")))
	}
}

// describe says how the comparison went wrong.
func (p *verifyReport) describe(err error) string {
	if !errors.Is(err, errDiffer) && !errors.Is(err, errUnreadable) {
		return err.Error()
	}
	of := p.Read
	if p.imported == nil {
		of += p.Extra
	}
	var parts []string
	if keys := p.differences() - p.FunctionsDiffer - p.Unreadable; keys > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", formatCount(keys), plural(of, "key")))
	}
	if n := p.FunctionsDiffer; n > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", formatCount(n), plural(p.Functions, "function library")))
	}
	if n := p.Unreadable; n > 0 && len(parts) > 0 {
		parts = append(parts, plural(n, "key")+" could not be compared")
	} else if n > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s could not", formatCount(n), plural(of, "key")))
	}
	text := fmt.Sprintf("%v: %s", err, strings.Join(parts, ", "))
	if p.imported != nil && p.imported.Failed > 0 {
		text += fmt.Sprintf(" (the import refused %s)", plural(p.imported.Failed, "key"))
	}
	return text
}

// nothing tells that it ended before the first key or function library.
func (p *verifyReport) nothing() bool {
	return p.Read == 0 && p.Functions == 0 && p.err != nil && !errors.Is(p.err, errDiffer)
}

// print prints the report in the form that the user wants.
func (r *verification) print() {
	switch {
	case r.output.json && r.imported == nil:
		_ = writeObject(r.stdout, r.report.object(r.log)) // a closed standard output changes nothing
	case !r.output.json && !r.output.quiet && !r.began.IsZero() && !r.report.nothing():
		var b strings.Builder
		if r.imported != nil {
			b.WriteString("\ncompared with the dump\n")
		}
		r.report.write(&b)
		r.writeFirst(&b)
		_, _ = io.WriteString(r.stdout, b.String())
	}
}

// write writes the counts.
func (p *verifyReport) write(w io.Writer) {
	line := func(name, value string) { fmt.Fprintf(w, "%-22s%s\n", name, value) }
	count := func(name string, n int64, always bool) {
		if n != 0 || always {
			line(name, formatCount(n))
		}
	}
	count("keys read", p.Read, true)
	count("  same", p.Same, true)
	count("  expired", p.Expired, false)
	count("  filtered out", p.Filtered, false)
	count("  not in the sample", p.Skipped, false)
	count("  missing", p.Missing, true)
	count("  different", p.Different, true)
	count("  expiry off", p.ExpiryOff, true)
	count("  unreadable", p.Unreadable, false)
	count("  not compared", p.Unsettled, false)
	switch {
	case p.ExtraKnown:
		count("extra keys", p.Extra, true)
	case p.Skipped > 0:
		line("extra keys", "not counted: of a sample only --extra can tell")
	default:
		line("extra keys", "not counted")
	}
	count("function libraries", p.Functions, false)
	count("  not as in the dump", p.FunctionsDiffer, p.Functions > 0)
	count("redirects", p.Redirects, false)
	speed := func(n int64) int64 { return int64(perSecond(n, p.duration)) }
	line("duration", fmt.Sprintf("%s, %s keys/s, %s MB/s", formatDuration(p.duration), formatCount(speed(p.Read)), formatMB(speed(p.bytesRead))))
	line("checksum", checksumText(p.checksum))
}

// writeFirst writes the first few differences, and where the others are to be found.
func (r *verification) writeFirst(w io.Writer) {
	if r.log == nil {
		return
	}
	counted := r.report.Extra > 0 && r.imported == nil && !r.verify.Extra // and not listed
	if len(r.log.first) > 0 || counted {
		fmt.Fprintln(w)
	}
	for _, d := range r.log.first {
		db := ""
		if d.DB != 0 {
			db = fmt.Sprintf(" (database %d)", d.DB)
		}
		fmt.Fprintf(w, "%-12s%s%s: %s\n", d.Kind, showKey(string(d.Key)), db, d.What)
	}
	if more := r.log.noted - int64(len(r.log.first)); more > 0 {
		where := "--report FILE lists them"
		if r.imported != nil {
			where = "rdbimport verify --report FILE lists them"
		}
		switch file := r.verifySettings.report; {
		case r.log.err != nil:
			where = shownFile(file) + " has not got all of them"
		case file != "":
			where = "see " + file
		}
		fmt.Fprintf(w, "and %s more: %s\n", formatCount(more), where)
	}
	if counted {
		fmt.Fprintf(w, "%s on the target only: --extra lists which\n", plural(r.report.Extra, "key"))
	}
}

// jsonVerify is the object that --json prints.
type jsonVerify struct {
	KeysRead        int64            `json:"keys_read"`
	KeysSame        int64            `json:"keys_same"`
	KeysExpired     int64            `json:"keys_expired"`
	KeysFiltered    int64            `json:"keys_filtered"`
	KeysSkipped     int64            `json:"keys_skipped"` // not in the sample
	KeysMissing     int64            `json:"keys_missing"`
	KeysDifferent   int64            `json:"keys_different"`
	KeysExpiry      int64            `json:"keys_expiry"`
	KeysUnreadable  int64            `json:"keys_unreadable"`
	KeysUnsettled   int64            `json:"keys_unsettled"`
	KeysExtra       *int64           `json:"keys_extra"` // null if not known
	ExtraListed     bool             `json:"extra_listed"`
	Functions       int64            `json:"functions"`
	FunctionsDiffer int64            `json:"functions_different"`
	TargetChanges   int64            `json:"target_changes"`
	IdleTimesReset  bool             `json:"idle_times_reset"`
	BytesRead       int64            `json:"bytes_read"`
	DurationSeconds float64          `json:"duration_seconds"`
	Redirects       int64            `json:"redirects"`
	Reconnects      int64            `json:"reconnects"`
	Checksum        string           `json:"checksum"`
	Differences     []jsonDifference `json:"differences"` // the first few
	Error           string           `json:"error,omitempty"`
	ExitCode        int              `json:"exit_code,omitempty"`
}

// object is what --json prints.
func (p *verifyReport) object(log *differenceLog) *jsonVerify {
	j := &jsonVerify{
		KeysRead: p.Read, KeysSame: p.Same, KeysExpired: p.Expired, KeysFiltered: p.Filtered, KeysSkipped: p.Skipped,
		KeysMissing: p.Missing, KeysDifferent: p.Different, KeysExpiry: p.ExpiryOff, KeysUnreadable: p.Unreadable, KeysUnsettled: p.Unsettled,
		ExtraListed: p.ExtraListed, Functions: p.Functions, FunctionsDiffer: p.FunctionsDiffer, TargetChanges: p.Changes, IdleTimesReset: p.Touched,
		BytesRead: p.bytesRead, DurationSeconds: rounded(p.duration.Seconds()), Redirects: p.Redirects, Reconnects: p.Reconnects,
		Checksum: p.checksum.String(), Differences: []jsonDifference{}, ExitCode: p.code,
	}
	if p.ExtraKnown {
		j.KeysExtra = &p.Extra
	}
	if log != nil {
		for _, d := range log.first {
			j.Differences = append(j.Differences, jsonOf(d))
		}
	}
	if p.err != nil {
		j.Error = p.describe(p.err)
	}
	return j
}
