package main

import (
	"fmt"
	"slices"
)

// What a terminal is told, as ECMA-48 has it.
const (
	cursorUp  = "\x1b[%dA" // by so many rows
	clearLine = "\x1b[K"   // from the cursor on
	clearDown = "\x1b[J"   // from the cursor on, and all rows below
)

// A footer is the lines at the bottom of a terminal that change in place. The
// cursor rests at the start of the row below them, so that what the terminal
// echoes stands there and goes with the next change. Everything is one write and
// no row is emptied before it is filled, so nothing flickers.
type footer struct {
	lines []string // as they stand
	width int      // of the terminal, when they were written
}

// under returns what writes text, whole lines, above the footer.
func (f *footer) under(text string) []byte {
	if len(f.lines) == 0 {
		return []byte(text)
	}
	out := append(f.rewind(f.width), clearDown...)
	out = append(out, text...)
	return appendLines(out, f.lines)
}

// replace returns what puts other lines in the place of the footer's.
func (f *footer) replace(lines []string, width int) []byte {
	if width == f.width && slices.Equal(lines, f.lines) {
		return nil
	}
	out := f.rewind(width)
	if width != f.width && len(f.lines) > 0 {
		out = append(out, clearDown...) // the terminal has wrapped them anew
	}
	out = appendLines(out, lines)
	f.lines, f.width = slices.Clone(lines), width
	return out
}

// rewind moves the cursor to the start of the footer on a terminal that has a
// width now.
func (f *footer) rewind(width int) []byte {
	out := []byte("\r") // what was typed has been echoed
	if rows := f.rows(width); rows > 0 {
		out = fmt.Appendf(out, cursorUp, rows)
	}
	return out
}

// rows is how many rows the lines take: terminals wrap what is there when they
// are made narrower.
func (f *footer) rows(width int) (n int) {
	for _, line := range f.lines {
		n++
		if width > 0 && width < f.width {
			n += max(0, textWidth(line)-1) / width
		}
	}
	return n
}

// appendLines writes lines over what stands in their rows, and clears what is
// below them.
func appendLines(out []byte, lines []string) []byte {
	for _, line := range lines {
		out = append(out, line...)
		out = append(out, clearLine+"\n"...)
	}
	return append(out, clearDown...)
}
