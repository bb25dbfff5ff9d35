package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fakeTerminal understands as much of a terminal's language as a console
// speaks. What it does not know is an error.
type fakeTerminal struct {
	width, height int
	rows          [][]rune // all there ever were; the last height of them are on the screen
	joined        []bool   // by row: it goes on in the next one
	row, col      int
	bad           []string
}

func newFakeTerminal(width, height int) *fakeTerminal {
	return &fakeTerminal{width: width, height: height, rows: [][]rune{nil}, joined: []bool{false}}
}

func (t *fakeTerminal) Write(p []byte) (int, error) {
	for rest := []rune(string(p)); len(rest) > 0; {
		switch c := rest[0]; {
		case c == '\r':
			t.col = 0
		case c == '\n':
			t.newLine(false)
		case c == '\x1b':
			rest = rest[t.escape(string(rest)):]
			continue
		case c < ' ':
			t.bad = append(t.bad, strconv.QuoteRune(c))
		default:
			t.put(c)
		}
		rest = rest[1:]
	}
	return len(p), nil
}

func (t *fakeTerminal) newLine(wrapped bool) {
	t.joined[t.row] = wrapped
	t.row, t.col = t.row+1, 0
	if t.row == len(t.rows) {
		t.rows, t.joined = append(t.rows, nil), append(t.joined, false)
	}
}

func (t *fakeTerminal) put(c rune) {
	if t.col == t.width {
		t.newLine(true)
	}
	for len(t.rows[t.row]) <= t.col {
		t.rows[t.row] = append(t.rows[t.row], ' ')
	}
	t.rows[t.row][t.col] = c
	t.col++
}

// escape does what a sequence says, and returns its length.
func (t *fakeTerminal) escape(s string) int {
	n := strings.IndexAny(s[1:], "ABCDHJKhlm") + 2
	if n < 3 || s[1] != '[' {
		t.bad = append(t.bad, strconv.Quote(s))
		return len(s)
	}
	switch seq := s[2:n]; {
	case seq == "K":
		t.rows[t.row] = t.rows[t.row][:min(t.col, len(t.rows[t.row]))]
	case seq == "J":
		t.rows[t.row] = t.rows[t.row][:min(t.col, len(t.rows[t.row]))]
		t.rows, t.joined = t.rows[:t.row+1], t.joined[:t.row+1]
		t.joined[t.row] = false
	case strings.HasSuffix(seq, "A"):
		up, err := strconv.Atoi(seq[:len(seq)-1])
		if err != nil {
			t.bad = append(t.bad, seq)
		}
		t.row = max(t.row-up, max(0, len(t.rows)-t.height)) // it stops at the top of the screen
	default:
		t.bad = append(t.bad, seq)
	}
	return n
}

// resize wraps all lines anew, as most terminals do.
func (t *fakeTerminal) resize(width int) {
	old := *t
	*t = *newFakeTerminal(width, old.height)
	for i, row := range old.rows {
		for _, c := range row {
			t.put(c)
		}
		if i < len(old.rows)-1 && !old.joined[i] {
			t.newLine(false)
		}
	}
	t.col = old.col
}

// text is all there ever was on the screen.
func (t *fakeTerminal) text() string {
	var b strings.Builder
	for _, row := range t.rows {
		fmt.Fprintln(&b, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(b.String(), "\n")
}

// TestFooter: what is written appears above the footer, the footer changes in
// place, and it leaves nothing behind.
func TestFooter(t *testing.T) {
	term := newFakeTerminal(20, 6)
	writes := 0
	con := &console{w: writerFunc(func(p []byte) (int, error) { writes++; return term.Write(p) })}
	step := func(name, want string, do func()) {
		t.Helper()
		before := writes
		do()
		if got := term.text(); got != strings.TrimPrefix(want, "\n") || len(term.bad) > 0 {
			t.Errorf("%s: unknown sequences %q, %s", name, term.bad, cmp.Diff(strings.TrimPrefix(want, "\n"), got))
		}
		if writes > before+1 {
			t.Errorf("%s: %d writes", name, writes-before)
		}
	}
	step("before", "a line", func() { con.line("a line") })
	step("first", "a line\nbar 1\nrow 1", func() { con.draw([]string{"bar 1", "row 1"}, 20) })
	step("changes", "a line\nbar\nrow 22", func() { con.draw([]string{"bar", "row 22"}, 20) })
	step("nothing new", "a line\nbar\nrow 22", func() { con.draw([]string{"bar", "row 22"}, 20) })
	step("warning", "a line\nwarning: one that is\n longer than a row\nbar\nrow 22", func() { con.warn("one that is longer than a row") })
	step("grows", "a line\nwarning: one that is\n longer than a row\nbar\nrow 1\nrow 2", func() { con.draw([]string{"bar", "row 1", "row 2"}, 20) })
	step("echo and error", "a line\nwarning: one that is\n longer than a row\noh\nbar\nrow 1\nrow 2", func() {
		_, _ = term.Write([]byte("^C"))
		con.line("oh")
	})
	step("shrinks", "a line\nwarning: one that is\n longer than a row\noh\nbar", func() { con.draw([]string{"bar"}, 20) })
	step("gone", "a line\nwarning: one that is\n longer than a row\noh", func() { con.draw(nil, 20) })
	step("after", "a line\nwarning: one that is\n longer than a row\noh\nend", func() { con.line("end") })
}

// TestFooterResized: a terminal that is made narrower wraps what stands there, and
// none of it is left.
func TestFooterResized(t *testing.T) {
	term := newFakeTerminal(40, 20)
	con := &console{w: term}
	con.line("a line")
	con.draw([]string{strings.Repeat("x", 39), strings.Repeat("y", 30), "z"}, 40)
	for _, width := range []int{13, 10, 40, 7, 80} {
		term.resize(width)
		con.draw([]string{strings.Repeat("x", width-1), strings.Repeat("y", width-1), "z"}, width)
		want := "a line\n" + strings.Repeat("x", width-1) + "\n" + strings.Repeat("y", width-1) + "\nz"
		if got := term.text(); got != want || len(term.bad) > 0 {
			t.Errorf("width %d: unknown sequences %q, got\n%s", width, term.bad, got)
		}
	}
}

// TestFooterOfPlainOutput: without a footer lines are written as they are.
func TestFooterOfPlainOutput(t *testing.T) {
	var b bytes.Buffer
	con := &console{w: &b}
	con.line("one %d", 1)
	con.draw(nil, 0)
	con.warn("\x1b[2Jtwo\r")
	if got, want := b.String(), "one 1\nwarning: [2Jtwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
