package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostShownKey is how much of a key's name is shown in a table.
const mostShownKey = 60

// write writes the tables that a person reads. Errors of writing are those of
// the writer's Flush.
func (rep *inspectReport) write(r *inspection, w io.Writer) {
	for _, s := range rep.Sources {
		s.write(w, len(rep.Sources) > 1)
	}
	rep.writeTotals(w)
	rep.writeTypes(w)
	rep.writeBeside(w)
	rep.writeTop(w, len(rep.Sources) > 1)
	rep.writePrefixes(w)
	rep.writeSlots(w, r.top)
	rep.writeMasters(w)
	rep.writeMemory(w)
}

func inspectLine(w io.Writer, name, value string) { fmt.Fprintf(w, "%-18s%s\n", name, value) }

// String writes keys and bytes.
func (c inspectedCount) String() string {
	return plural(c.Keys, "key") + ", " + formatBytes(c.Bytes)
}

// write writes what stands at the start of a dump, and its keys where there are several.
func (s *inspectedSource) write(w io.Writer, several bool) {
	inspectLine(w, "source", shownName(s.Name))
	magic := "REDIS"
	if s.Family == "valkey" {
		magic = "VALKEY"
	}
	by := ""
	if s.Producer != "" {
		by = ", written by " + s.Producer
	}
	inspectLine(w, "  version", fmt.Sprintf("%s %d%s", magic, s.RDBVersion, by))
	if at, err := strconv.ParseInt(s.Aux["ctime"], 10, 64); err == nil && at > 0 {
		inspectLine(w, "  written at", time.Unix(at, 0).UTC().Format(time.DateTime)+" UTC")
	}
	if used, err := strconv.ParseInt(s.Aux["used-mem"], 10, 64); err == nil && used > 0 {
		inspectLine(w, "  memory then", formatBytes(used))
	}
	if len(s.order) > 0 {
		var list []string
		for _, a := range s.order {
			list = append(list, showKey(a.Name)+"="+showKey(a.Value))
		}
		inspectLine(w, "  AUX", strings.Join(list, " "))
	}
	if several {
		inspectLine(w, "  keys", s.inspectedCount.String())
	}
	fmt.Fprintln(w)
}

func (rep *inspectReport) writeTotals(w io.Writer) {
	inspectLine(w, "keys", inspectedCount{rep.Keys, rep.Bytes}.String())
	for _, db := range rep.Databases {
		inspectLine(w, "  database "+strconv.Itoa(int(db.DB)), db.String())
	}
	if rep.Keys > 0 {
		x := &rep.Expiry
		inspectLine(w, "  have expired", x.Expired.String())
		inspectLine(w, "  will in a day", x.Day.String())
		inspectLine(w, "  will later", x.Later.String())
		inspectLine(w, "  never will", x.None.String())
		z := &rep.Sizes
		inspectLine(w, "bytes of a key", fmt.Sprintf("50 %% up to %s, 90 %% up to %s, 99 %% up to %s, the biggest %s",
			formatBytes(z.P50), formatBytes(z.P90), formatBytes(z.P99), formatBytes(z.Max)))
	}
	inspectLine(w, "checksum", checksumText(rep.checksum))
	inspectLine(w, "read in", fmt.Sprintf("%s, %s keys/s, %s MB/s", formatDuration(rep.duration),
		formatShort(perSecond(rep.Keys, rep.duration)), formatMB(int64(perSecond(rep.BytesRead, rep.duration)))))
}

func (rep *inspectReport) writeTypes(w io.Writer) {
	if len(rep.Types) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{header: []string{"type", "encoding", "keys", "MB", "%"}}
	for _, x := range rep.Types {
		t.row(x.Type, x.Encoding, formatCount(x.Keys), formatMB(x.Bytes), share(x.Bytes, rep.Bytes))
	}
	t.write(w)
}

// share writes n as a percentage.
func share(n, of int64) string {
	if of <= 0 {
		return "0.0"
	}
	return fmt.Sprintf("%.1f", 100*float64(n)/float64(of))
}

// writeBeside writes what stands beside the keys, if there is anything.
func (rep *inspectReport) writeBeside(w io.Writer) {
	if len(rep.Functions)+len(rep.Modules)+len(rep.ModuleAux) == 0 && rep.Scripts == 0 {
		return
	}
	fmt.Fprintln(w)
	if len(rep.Functions) > 0 {
		inspectLine(w, "functions", shownNames(rep.Functions))
	}
	if rep.Scripts > 0 {
		inspectLine(w, "scripts", formatCount(rep.Scripts))
	}
	for _, m := range rep.Modules {
		inspectLine(w, "needs module type", fmt.Sprintf("%s (%s)", showKey(m.Name), m.inspectedCount))
	}
	if len(rep.ModuleAux) > 0 {
		inspectLine(w, "module data", shownNames(rep.ModuleAux)+", which no command loads")
	}
}

func shownNames(list []inspectedName) string {
	var out []string
	for _, n := range list {
		text := showKey(n.Name)
		if n.Count > 1 {
			text += fmt.Sprintf(" (%s times)", formatCount(n.Count))
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (rep *inspectReport) writeTop(w io.Writer, several bool) {
	if len(rep.Top) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{header: []string{"biggest keys", "db", "type", "bytes", "elements"}}
	if several {
		t.header = append(t.header, "source")
	}
	for _, k := range rep.Top {
		elements := "-"
		if k.Elements != nil {
			elements = formatCount(*k.Elements)
		}
		cells := []string{shorten(k.name), strconv.Itoa(int(k.DB)), k.Type, formatCount(k.Bytes), elements}
		if several {
			cells = append(cells, shownName(k.Source))
		}
		t.row(cells...)
	}
	t.write(w)
}

// shorten shows the beginning of a key.
func shorten(key string) string {
	text := []rune(showKey(key))
	if len(text) > mostShownKey {
		return string(text[:mostShownKey-3]) + "..."
	}
	return string(text)
}

func (rep *inspectReport) writePrefixes(w io.Writer) {
	if rep.Prefixes == nil {
		return
	}
	fmt.Fprintln(w)
	t := table{header: []string{"prefix", "keys", "MB", "%"}}
	for _, p := range rep.Prefixes.List {
		name := "(no colon)"
		if p.Prefix != "" {
			name = shorten(p.Prefix)
		}
		t.row(name, formatCount(p.Keys), formatMB(p.Bytes), share(p.Bytes, rep.Bytes))
	}
	if o := rep.Prefixes; o.Dropped > 0 {
		t.row(fmt.Sprintf("(%s)", plural(o.Dropped, "lighter one")), formatCount(o.Other.Keys), formatMB(o.Other.Bytes), share(o.Other.Bytes, rep.Bytes))
	}
	t.write(w)
}

// writeSlots writes the fullest slots.
func (rep *inspectReport) writeSlots(w io.Writer, rows int) {
	if len(rep.Slots) == 0 {
		return
	}
	list := slices.Clone(rep.Slots)
	slices.SortStableFunc(list, func(a, b inspectedSlot) int { return cmp.Compare(b.Bytes, a.Bytes) })
	fmt.Fprintf(w, "\n%s with keys, %s bytes and %s keys in each on average\n", plural(int64(len(list)), "slot"),
		formatCount(rep.Bytes/int64(len(list))), formatCount(rep.Keys/int64(len(list))))
	t := table{header: []string{"fullest slots", "keys", "bytes", "%"}}
	for _, s := range list[:min(len(list), rows)] {
		t.row(strconv.Itoa(s.Slot), formatCount(s.Keys), formatCount(s.Bytes), share(s.Bytes, rep.Bytes))
	}
	t.write(w)
}

func (rep *inspectReport) writeMasters(w io.Writer) {
	if len(rep.Masters) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := table{header: []string{"master", "slots", "keys", "MB", "%"}}
	if rep.Memory != nil {
		t.header = append(t.header, "memory")
	}
	fullest := &rep.Masters[0]
	for i := range rep.Masters {
		m := &rep.Masters[i]
		cells := []string{m.Addr, formatCount(int64(m.Slots)), formatCount(m.Keys), formatMB(m.Bytes), share(m.Bytes, rep.Bytes)}
		if m.Memory != nil {
			cells = append(cells, formatBytes(*m.Memory))
		}
		t.row(cells...)
		if m.Bytes > fullest.Bytes {
			fullest = m
		}
	}
	t.write(w)
	if len(rep.Masters) > 1 && rep.Bytes > 0 {
		fmt.Fprintf(w, "the fullest, %s, has %.2f times the average\n", fullest.Addr, float64(fullest.Bytes)*float64(len(rep.Masters))/float64(rep.Bytes))
	}
	if rep.Unowned != nil {
		fmt.Fprintf(w, "in slots that no master has: %s\n", *rep.Unowned)
	}
}

func (rep *inspectReport) writeMemory(w io.Writer) {
	m := rep.Memory
	if m == nil {
		return
	}
	fmt.Fprintln(w)
	inspectLine(w, "memory", fmt.Sprintf("about %s for %s; without replicas, fragmentation and what the servers take themselves",
		formatBytes(m.Bytes), plural(m.Estimated.Keys, "key")))
	for _, t := range m.Unestimated {
		inspectLine(w, "  not estimated", fmt.Sprintf("%s: %s in the dump", t.Encoding, t.inspectedCount))
	}
}
