package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A table is text in columns: the first to the left, numbers to the right, and
// the last one as it comes if it holds words.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) {
	width := make([]int, len(t.header))
	all := append([][]string{t.header}, t.rows...)
	for _, r := range all {
		for i, cell := range r {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range all {
		var line strings.Builder
		for i, cell := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0 && len(r) > 2, i > 0 && len(r) == 2:
				line.WriteString(cell + pad)
			default:
				line.WriteString(pad + cell)
			}
			if i < len(r)-1 {
				line.WriteString("  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
