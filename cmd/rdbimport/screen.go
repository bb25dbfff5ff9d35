package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rdbimport/rdbimport/pipeline"
)

// A screen is what a terminal shows while something goes on.
type screen struct {
	phase       string
	done, total int64 // bytes; total is 0 if not known
	keys        int64
	bytesRate   float64 // per second
	keysRate    float64
	elapsed     time.Duration
	left        time.Duration
	leftKnown   bool
	large       string         // the value that takes long, "" if none does
	masters     []screenMaster // as the slot map has them
}

// A screenMaster is a row of a screen.
type screenMaster struct {
	pipeline.MasterResult
	bytesRate, keysRate float64 // per second
	rank                int     // 0 is the busiest
}

// lines renders the screen for a terminal: every line is narrower than it, and
// one row of it stays free for the cursor.
func (s *screen) lines(width, height int) []string {
	width = max(1, width-1) // a full row would leave the cursor beyond its end
	out := []string{s.bar(width), s.counts()}
	if s.large != "" {
		out = append(out, s.large)
	}
	if len(s.masters) > 0 {
		out = append(out, s.table(width, height-1-len(out))...)
	}
	out = out[:max(1, min(len(out), height-1))]
	for i, line := range out {
		out[i] = cutText(line, width)
	}
	return out
}

// bar is the first line: the phase, how much of it is done, and the time left.
func (s *screen) bar(width int) string {
	if s.total <= 0 && s.done == 0 {
		return fmt.Sprintf("%s  %s, %s", s.phase, waitingText, formatClock(s.elapsed))
	}
	if s.total <= 0 {
		return fmt.Sprintf("%s  %s in %s", s.phase, formatBytes(s.done), formatClock(s.elapsed))
	}
	// What is not read yet at 100 % is what has to come back.
	begin := fmt.Sprintf("%s %3d %%", s.phase, percent(s.done, s.total))
	end := formatClock(s.elapsed)
	if s.leftKnown && s.done < s.total {
		end = formatClock(s.left) + " left"
	}
	end = fmt.Sprintf("%9s", end)
	const least = 5
	room := width - len(begin) - len(end) - len(" [] ")
	if room < least {
		return begin + " " + end
	}
	full := int(float64(room) * min(1, float64(s.done)/float64(s.total)))
	fill := strings.Repeat("=", full)
	if full < room {
		fill += ">" + strings.Repeat(" ", room-full-1)
	}
	return begin + " [" + fill + "] " + end
}

// counts is the second line. Its parts do not move when the numbers grow.
func (s *screen) counts() string {
	text := fmt.Sprintf("%6s MB/s %6s keys/s  %11s keys", formatMB(int64(s.bytesRate)), formatShort(s.keysRate), formatCount(s.keys))
	if s.total > 0 {
		text += fmt.Sprintf("  %7s of %s", formatBytes(s.done), formatBytes(s.total))
	}
	return text
}

// table is a heading and a row for each master, of height lines at the most. If
// there are more, those in trouble come first, and the busiest of the others.
func (s *screen) table(width, height int) []string {
	rows, rest := s.masters, []screenMaster(nil)
	if height < 3 && len(rows) >= height { // there would be no row
		return []string{restText(rows, plural(int64(len(rows)), "master"))}
	}
	if most := height - 1; len(rows) > most {
		rows = slices.SortedStableFunc(slices.Values(rows), func(a, b screenMaster) int {
			return cmp.Or(byTrouble(a, b), cmp.Compare(a.rank, b.rank))
		})
		most = max(0, most-1) // for the line about the others
		rows, rest = rows[:most], rows[most:]
	}
	cells := [][]string{{"master", "keys", "keys/s", "MB/s", "in flight", "retries", "state"}}
	for _, m := range rows {
		cells = append(cells, m.cells())
	}
	lines := layColumns(cells, s.addrWidth(), width)
	if len(rest) > 0 {
		lines = append(lines, restText(rest, fmt.Sprintf("and %d more", len(rest))))
	}
	return lines
}

// byTrouble puts the worst first, and those that are well behind them.
func byTrouble(a, b screenMaster) int {
	switch {
	case a.State.Trouble() && b.State.Trouble():
		return cmp.Or(cmp.Compare(b.State, a.State), cmp.Compare(b.For, a.For))
	case a.State.Trouble():
		return -1
	case b.State.Trouble():
		return 1
	}
	return 0
}

func (m *screenMaster) cells() []string {
	return []string{
		printable(m.Addr), formatCount(m.Keys), formatShort(m.keysRate), formatMB(int64(m.bytesRate)), formatCount(m.InFlight), formatCount(m.Retries),
		stateText(m.MasterResult, " "),
	}
}

// addrWidth is the width of the longest address, so that the columns stay where
// they are when other masters have a row.
func (s *screen) addrWidth() (width int) {
	for _, m := range s.masters {
		width = max(width, textWidth(m.Addr))
	}
	return min(width, mostAddr)
}

// restText sums up the masters that have no row.
func restText(rest []screenMaster, who string) string {
	var keys, bytes float64
	trouble := 0
	for _, m := range rest {
		keys += m.keysRate
		bytes += m.bytesRate
		if m.State.Trouble() {
			trouble++
		}
	}
	how := "all well"
	if trouble > 0 {
		how = fmt.Sprintf("%d in trouble", trouble)
	}
	return fmt.Sprintf("%s, %s: %s keys/s, %s MB/s", who, how, formatShort(keys), formatMB(int64(bytes)))
}

// Columns of the table of masters: the least widths, so that they do not move
// when the numbers grow, and the order in which they go on a narrow terminal.
var (
	columnWidths = []int{0, 11, 6, 6, 9, 7, len("failing over 0:00")}
	columnsToGo  = []int{1, 4, 5, 3, 2} // keys, in flight, retries, MB/s, keys/s
)

// mostAddr is how much of an address, or of a key, is shown.
const mostAddr = 40

// layColumns writes rows of cells as lines: the first, at least as wide as first,
// and the last column to the left, the others to the right. Where they are wider
// than width, columns are left out.
func layColumns(rows [][]string, first, width int) []string {
	widths := slices.Clone(columnWidths)
	widths[0] = first
	for _, cells := range rows {
		cells[0] = cutText(cells[0], mostAddr)
		for i, cell := range cells[:len(cells)-1] {
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	gone := make([]bool, len(widths))
	sum := 2 * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	for n, i := range columnsToGo {
		if n == len(columnsToGo)-1 {
			sum -= len(" 0:00") // the last one is worth more than that
		}
		if sum > width {
			gone[i] = true
			sum -= widths[i] + 2
		}
	}
	lines := make([]string, len(rows))
	for n, cells := range rows {
		var b strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", max(0, widths[i]-textWidth(cell)))
			switch {
			case gone[i]:
			case i == 0:
				b.WriteString(cell + pad)
			case i == len(cells)-1:
				b.WriteString("  " + cell)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		lines[n] = b.String()
	}
	return lines
}

// textWidth is how many cells of a terminal a text takes.
func textWidth(s string) int { return utf8.RuneCountInString(s) }

// cutText cuts a text to a width.
func cutText(s string, width int) string {
	if textWidth(s) <= width {
		return s
	}
	const sign = ".."
	keep := max(0, width-len(sign))
	return string([]rune(s)[:keep]) + sign[:min(len(sign), width)]
}

// printable replaces what would move the cursor, or is wider than a cell.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxLatin1 || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
