package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/rdbimport/rdbimport/bench/figure"
)

// together are the stages that do several things at once.
var together = []string{stageChecked, stageAll}

// write writes the tables that a person reads.
func (rep *benchReport) write(b *benchmark) error {
	var w strings.Builder
	rep.writeHead(&w)
	rep.writeStages(&w)
	rep.writeMemory(&w)
	rep.writeTypes(&w)
	if rep.Target != nil {
		rep.Target.write(&w)
		b.aimed.last().writeRefusals(&w)
	}
	_, err := io.WriteString(b.stdout, w.String())
	return err
}

func (rep *benchReport) writeHead(w io.Writer) {
	s, h := &rep.Source, &rep.Host
	inspectLine(w, "source", s.Name)
	packed := ""
	if len(s.Wrappers) > 0 {
		packed = fmt.Sprintf(" (%s, %s)", strings.Join(s.Wrappers, ", "), formatBytes(s.FileBytes))
	}
	inspectLine(w, "  holds", fmt.Sprintf("%s, %s%s", plural(s.Keys, "key"), formatBytes(s.Bytes), packed))
	inspectLine(w, "  checksum", s.Checksum)
	inspectLine(w, "machine", h.Processor)
	load := ""
	if h.Load != "" {
		load = ", load before " + h.Load
	}
	inspectLine(w, "  with", fmt.Sprintf("%s, %s, %s%s", plural(int64(h.Cores), "core"), h.System, h.Go, load))
	inspectLine(w, "measured", timesText(rep.Runs, rep.wanted))
}

// timesText says how often something was measured of so many times.
func timesText(n, of int) string {
	text := "once"
	if n > 1 {
		text = fmt.Sprintf("%d times", n)
	}
	if n < of {
		text += fmt.Sprintf(" of %d", of)
	}
	if n > 1 {
		text += ": the median, the least and the most"
	}
	return text
}

// writeStages writes what each step takes alone, and several together.
func (rep *benchReport) writeStages(w io.Writer) {
	fmt.Fprintln(w)
	t := table{header: []string{"each alone", "seconds", "MB/s", "keys/s"}}
	for _, s := range rep.Stages {
		if !slices.Contains(together, s.Name) {
			t.row(s.cells(s.What)...)
		}
	}
	t.row("together", "", "", "")
	for _, s := range rep.Stages {
		if slices.Contains(together, s.Name) {
			t.row(s.cells(s.What)...)
		}
	}
	t.write(w)
}

// cells are a row of the table.
func (t *benchedTime) cells(name string) []string {
	return []string{name, formatSeconds(t.Seconds), formatSpeed(t.BytesPerSecond), formatShort(t.KeysPerSecond)}
}

// tellingKeys is how many keys say something about a million of them: fewer have
// allocated little but the buffer for the longest value.
const tellingKeys = 100_000

func (rep *benchReport) writeMemory(w io.Writer) {
	a := &rep.Allocations
	text := fmt.Sprintf("%s of %s in all, over %s", formatCount(a.Count), formatBytes(a.Bytes), plural(a.Keys, "key"))
	if a.Keys >= tellingKeys {
		text = fmt.Sprintf("%s of %s in all for a million keys", formatCount(int64(math.Round(a.PerMillionKeys))), formatBytes(int64(a.BytesPerMillion)))
	}
	if a.Keys > 0 {
		inspectLine(w, "\nallocations", text+", once set up")
	} else {
		fmt.Fprintln(w)
	}
	inspectLine(w, "peak memory", formatBytes(rep.PeakMemory)+" of the process, doing all of it")
}

func (rep *benchReport) writeTypes(w io.Writer) {
	if len(rep.Types) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{header: []string{"type (ns per key)", "keys", "MB", "scan ns", "encode ns", "MB/s", "% time"}}
	for _, x := range rep.Types {
		t.row(x.Encoding, formatCount(x.Keys), formatMB(x.Bytes), formatCount(int64(math.Round(x.ScanNs))),
			formatCount(int64(math.Round(x.EncodeNs))), formatSpeed(x.BytesPerSecond), fmt.Sprintf("%.1f", 100*x.Share))
	}
	t.write(w)
}

func (x *benchedTarget) write(w io.Writer) {
	fmt.Fprintln(w)
	inspectLine(w, "target", fmt.Sprintf("%s, %s", plural(int64(x.Masters), "master"), x.Server))
	if m := &x.Import; m.Restored != m.Keys {
		inspectLine(w, "restored", fmt.Sprintf("%s of %s; %s had expired, %s were refused",
			formatCount(m.Restored), plural(m.Keys, "key"), formatCount(m.Expired), formatCount(m.Failed)))
	}
	if len(x.parts) > 0 {
		inspectLine(w, "limited by", limitText(x.parts))
	}
	inspectLine(w, "peak memory", formatBytes(x.Import.PeakMemory)+" of the process, importing")
	if x.Runs < x.wanted {
		inspectLine(w, "measured", timesText(x.Runs, x.wanted))
	}
	fmt.Fprintln(w)
	t := table{header: []string{"with the target", "seconds", "MB/s", "keys/s", "CPU s"}}
	row := func(name string, bt *benchedTime, cpu *figure.Spread) {
		t.row(append(bt.cells(name), fmt.Sprintf("%.2f", cpu.Median))...)
	}
	f := &x.Floor
	row("import", &x.Import.benchedTime, &x.Import.CPUSeconds)
	if f.Ratio != nil {
		floor := "floor: the same, only sent"
		if !f.Whole {
			row("import of the beginning *", f.Import, f.ImportCPU)
			floor = "floor: the same *, only sent"
		}
		row(floor, f.Floor, f.FloorCPU)
		t.row("import to floor, pair by pair", f.Ratio.String(), "", "", "")
	}
	t.write(w)
	switch {
	case f.LeftOut != "":
		fmt.Fprintf(w, "no floor: %s\n", f.LeftOut)
	case !f.Whole:
		fmt.Fprintf(w, "* the first %s, %s: --floor holds no more\n", plural(f.Keys, "key"), formatBytes(f.Bytes))
	}
	if f.Skipped > 0 {
		fmt.Fprintf(w, "the floor leaves out %s that an import does not send as they stand\n", plural(f.Skipped, "key"))
	}
	x.writeReplies(w)
}

// limitText says where the time went, as the summary of an import does.
func limitText(list []part) string {
	var rest []string
	for _, p := range list[1:] {
		rest = append(rest, fmt.Sprintf("%s %.0f %%", p.name, 100*p.share))
	}
	text := fmt.Sprintf("%s %.0f %% (%s)", list[0].name, 100*list[0].share, strings.Join(rest, ", "))
	if list[0].name == roundTrip {
		text += ": more --memory keeps more in flight"
	}
	return text
}

func (x *benchedTarget) writeReplies(w io.Writer) {
	fmt.Fprintln(w)
	t := table{header: []string{"ms from write to last reply", "batches", "50 %", "90 %", "99 %", "longest"}}
	for _, m := range x.Replies {
		ms := func(seconds float64) string { return fmt.Sprintf("%.1f", 1e3*seconds) }
		t.row(m.Addr, formatCount(m.Batches), ms(m.P50), ms(m.P90), ms(m.P99), ms(m.Max))
	}
	t.write(w)
}

// formatSeconds writes a median, and the least and the most behind it, with as
// many digits as tell something.
func formatSeconds(s figure.Spread) string {
	digits := 1
	switch {
	case s.Median < 0.1:
		digits = 4
	case s.Median < 1:
		digits = 3
	case s.Median < 100:
		digits = 2
	}
	if s.Min == s.Max {
		return fmt.Sprintf("%.*f", digits, s.Median)
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, s.Median, digits, s.Min, digits, s.Max)
}

// formatSpeed writes bytes a second in megabytes; a dash where it was too fast to
// tell.
func formatSpeed(perSecond float64) string {
	mb := perSecond / 1e6
	switch {
	case perSecond <= 0:
		return "-"
	case mb < 99.95:
		return fmt.Sprintf("%.1f", mb)
	}
	return formatCount(int64(math.Round(mb)))
}
