package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// What a plan's lines look like: a name, and text that is broken at the width of
// a screen.
const (
	screenWidth = 80
	planIndent  = 13
)

// write writes what a person reads.
func (p *planReport) write(w io.Writer) {
	var b strings.Builder
	p.writeTarget(&b)
	b.WriteByte('\n')
	p.writeDump(&b)
	b.WriteByte('\n')
	p.writeMasters(&b)
	b.WriteByte('\n')
	p.writeVerdict(&b)
	_, _ = io.WriteString(w, b.String()) // the exit code tells as well
}

// planLine writes a name and a text.
func planLine(w io.Writer, name, text string) {
	writeWrapped(w, fmt.Sprintf("%-*s", planIndent, name), text)
}

// writeWrapped writes a text behind a beginning, and breaks it between words.
func writeWrapped(w io.Writer, begin, text string) {
	line, indent := begin, strings.Repeat(" ", utf8.RuneCountInString(begin))
	width := len(indent)
	empty := true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if !empty && width+1+n > screenWidth {
			fmt.Fprintln(w, line)
			line, width, empty = indent, len(indent), true
		}
		if !empty {
			line, width = line+" ", width+1
		}
		line, width, empty = line+word, width+n, false
	}
	fmt.Fprintln(w, line)
}

func (p *planReport) writeTarget(w io.Writer) {
	t := p.Target
	text := "one server, no cluster"
	if t.Cluster {
		text = "cluster of " + plural(int64(len(t.Masters)), "master") + ", " + replicasText(t.Masters)
		if n := t.silent(); n > 0 {
			text += "; state not known, as " + plural(int64(n), "master") + " could not be asked"
		} else if t.State != "" {
			text += "; state " + t.State
		}
		if t.MissingSlots == "" {
			text += "; all slots have owners"
		} else {
			text += "; slots without an owner: " + t.MissingSlots
		}
	}
	if n := t.Masters[0].Replicas; !t.Cluster && n > 0 {
		text += ", with " + plural(int64(n), "replica")
	}
	planLine(w, "target", text)
	planLine(w, "server", strings.Join(t.each(func(m *plannedMaster) string { return m.Server }), ", "))
	planLine(w, "permissions", t.permissions())
	limit := func(name string, of func(*plannedMaster) plannedLimit) string {
		least := plannedLimit{}
		for i := range t.Masters {
			if l := of(&t.Masters[i]); t.Masters[i].Error == "" && (least.Bytes == 0 || l.Bytes < least.Bytes) {
				least = l
			}
		}
		text := formatLimit(least.Bytes) + " (" + name
		if least.Assumed {
			text += ", assumed: the default"
		}
		return text + ")"
	}
	planLine(w, "limits", "a value "+limit("proto-max-bulk-len", func(m *plannedMaster) plannedLimit { return m.MaxBulk })+
		", a client's commands "+limit("client-query-buffer-limit", func(m *plannedMaster) plannedLimit { return m.ClientBuffer }))
	modules := t.each(func(m *plannedMaster) string {
		switch {
		case m.Modules == nil:
			return "not known"
		case len(m.Modules) == 0:
			return "none"
		}
		return strings.Join(m.Modules, " ")
	})
	planLine(w, "modules", strings.Join(modules, " or "))
	for i := range t.Masters {
		if m := &t.Masters[i]; m.Error != "" {
			planLine(w, "not asked", m.Error)
		}
	}
}

// silent is how many masters could not be asked.
func (t *plannedTarget) silent() (n int) {
	for i := range t.Masters {
		if t.Masters[i].Error != "" {
			n++
		}
	}
	return n
}

// each returns what is said of the masters that could be asked, every text once.
func (t *plannedTarget) each(say func(*plannedMaster) string) (list []string) {
	for i := range t.Masters {
		if t.Masters[i].Error != "" {
			continue
		}
		if text := say(&t.Masters[i]); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

func replicasText(masters []plannedMaster) string {
	least, most := masters[0].Replicas, masters[0].Replicas
	for i := range masters {
		least, most = min(least, masters[i].Replicas), max(most, masters[i].Replicas)
	}
	switch {
	case most == 0:
		return "no replicas"
	case least == most:
		return plural(int64(most), "replica") + " each"
	}
	return fmt.Sprintf("%d to %d replicas each", least, most)
}

// permissions says what the user may do on all masters, and what not.
func (t *plannedTarget) permissions() string {
	var may, not []string
	expiry := strings.Join(t.each(func(m *plannedMaster) string { return m.expiry }), " and ")
	for _, c := range []struct {
		name string
		of   func(*plannedPermissions) string
	}{
		{"RESTORE", func(p *plannedPermissions) string { return p.Restore }},
		{"DUMP", func(p *plannedPermissions) string { return p.Dump }},
		{expiry, func(p *plannedPermissions) string { return p.Expiry }},
		{"FUNCTION LOAD", func(p *plannedPermissions) string { return p.FunctionLoad }},
		{"CONFIG GET", func(p *plannedPermissions) string { return p.ConfigGet }},
	} {
		granted, denied := false, false
		for i := range t.Masters {
			switch c.of(&t.Masters[i].Permissions) {
			case "yes":
				granted = true
			case "no":
				denied = true
			}
		}
		switch {
		case denied:
			not = append(not, c.name)
		case granted:
			may = append(may, c.name)
		}
	}
	text := strings.Join(may, ", ")
	if len(not) > 0 {
		text = strings.TrimPrefix(text+"; not "+strings.Join(not, ", "), "; ")
	}
	return text
}

// formatLimit writes a size as those who set it do, in units of 1024.
func formatLimit(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := int64(1) << (40 - 10*i); n >= size && n%size == 0 {
			return fmt.Sprintf("%d %s", n/size, unit)
		}
	}
	return formatBytes(n)
}

func (p *planReport) writeDump(w io.Writer) {
	d := p.Dump
	planLine(w, "dump", d.inspectedCount.String()+"; checksum "+checksumText(p.checksum))
	kinds, order := map[string]int64{}, []string{}
	for _, t := range d.Types {
		if kinds[t.Type] == 0 {
			order = append(order, t.Type)
		}
		kinds[t.Type] += t.Keys
	}
	for i, kind := range order {
		order[i] = kind + " " + formatCount(kinds[kind])
	}
	line := func(name string, c inspectedCount, always bool) {
		if c.Keys != 0 || always {
			planLine(w, name, c.String())
		}
	}
	if len(order) > 0 {
		planLine(w, "types", strings.Join(order, ", "))
	}
	if len(d.Databases) > 1 {
		for _, db := range d.Databases {
			line(fmt.Sprintf("database %d", db.DB), db.inspectedCount, true)
		}
	}
	line("as is", d.AsIs, true)
	line("converted", d.Converted, false)
	for _, c := range d.Conversions {
		writeWrapped(w, fmt.Sprintf("%*s  ", planIndent+7, formatCount(c.Keys)), c.What)
	}
	line("refused", d.Refused, false)
	line("damaged", d.Damaged, false)
	for _, e := range d.Errors {
		reason := e.Reason
		if e.ExampleKey != "" {
			reason += ", for example " + showKey(e.ExampleKey)
		}
		writeWrapped(w, fmt.Sprintf("%*s  ", planIndent+7, formatCount(e.Count)), reason)
	}
	line("expired", d.Expired, false)
	line("filtered out", d.Filtered, false)
	if d.Pieces.Keys > 0 {
		planLine(w, "in pieces", fmt.Sprintf("%s (%s)", d.Pieces, d.whyPieces()))
	}
	p.writeBeside(w)
}

// whyPieces says which values are written in pieces.
func (d *plannedDump) whyPieces() string {
	const differently = " that the masters read differently"
	large := "values of more than " + formatLimit(d.PiecesAbove)
	switch d.piecesSmall.Keys {
	case 0:
		return large
	case d.Pieces.Keys:
		return "streams" + differently
	}
	return large + ", and " + plural(d.piecesSmall.Keys, "stream") + differently
}

// writeBeside writes what stands beside the keys, if there is anything.
func (p *planReport) writeBeside(w io.Writer) {
	d := p.Dump
	for _, x := range []struct {
		name, noun string
		n          int64
	}{{"functions", "library", d.Functions}, {"scripts", "script", d.Scripts}, {"left out", "piece of module data", d.ModuleAux}} {
		if x.n > 0 {
			planLine(w, x.name, strings.Replace(plural(x.n, x.noun), "piece of module datas", "pieces of module data", 1))
		}
	}
	if m := d.Memory; m != nil {
		text := fmt.Sprintf("about %s; without replicas, fragmentation and what the servers take themselves", formatBytes(m.Bytes))
		if m.Unestimated.Keys > 0 {
			text += fmt.Sprintf("; %s could not be estimated, and count as in the dump", m.Unestimated)
		}
		planLine(w, "memory", text)
	}
}

// mostMasters is how many masters are shown in full.
const mostMastersShown = 20

func (p *planReport) writeMasters(w io.Writer) {
	t := table{header: []string{"master", "slots", "keys there", "used", "free", "would get", "MB"}}
	if p.estimated {
		t.header = append(t.header, "memory")
	}
	masters := p.Target.Masters
	if len(masters) > mostMastersShown {
		masters = slices.Clone(masters)
		slices.SortStableFunc(masters, func(a, b plannedMaster) int { return int(b.Gets.Bytes - a.Gets.Bytes) })
		masters = masters[:mostMastersShown]
	}
	for i := range masters {
		m := &masters[i]
		there, used, free := "?", "?", "?"
		if m.Error == "" {
			there, used, free = formatCount(*m.Keys), formatBytes(*m.UsedMemory), "no limit"
		}
		if m.FreeMemory != nil {
			free = formatBytes(*m.FreeMemory)
		}
		cells := []string{m.Addr, formatCount(int64(m.Slots)), there, used, free,
			formatCount(m.Gets.Keys), formatMB(m.Gets.Bytes)}
		if p.estimated {
			cells = append(cells, formatBytes(*m.Gets.Memory))
		}
		t.row(cells...)
	}
	t.write(w)
	if n := len(p.Target.Masters) - len(masters); n > 0 {
		fmt.Fprintf(w, "and %s that would get less (--json has all)\n", plural(int64(n), "master"))
	}
	var text []string
	if len(p.Target.Masters) > 1 && p.Target.TimesAverage > 0 {
		text = append(text, fmt.Sprintf("The fullest, %s, would get %.2f times the average.", p.Target.Fullest, p.Target.TimesAverage))
	}
	if !p.estimated && p.Dump.AsIs.Keys+p.Dump.Converted.Keys > 0 {
		text = append(text, "MB are those in the dump: in memory keys mostly take more (--memory-estimate).")
	}
	if len(text) > 0 {
		writeWrapped(w, "", strings.Join(text, " "))
	}
}

func (p *planReport) writeVerdict(w io.Writer) {
	d := p.Dump
	sent := inspectedCount{d.AsIs.Keys + d.Converted.Keys, d.AsIs.Bytes + d.Converted.Bytes}
	switch p.Verdict {
	case verdictWorks:
		planLine(w, "verdict", fmt.Sprintf("it would work: %s would be sent", sent))
	case verdictPartly:
		planLine(w, "verdict", fmt.Sprintf("it would work in part (exit code %d): %s would be sent", p.ExitCode, sent))
	default:
		planLine(w, "verdict", fmt.Sprintf("it would not work (exit code %d)", p.ExitCode))
	}
	for _, o := range p.Obstacles {
		writeWrapped(w, "           - ", o.Text)
		if o.Hint != "" {
			writeWrapped(w, "             ", "("+o.Hint+")")
		}
	}
	for _, n := range p.Notes {
		planLine(w, "note", n)
	}
}
