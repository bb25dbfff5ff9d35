package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
)

// A console writes lines to standard error, above what a terminal shows of the
// progress. Errors of writing are ignored: an import goes on without its
// terminal.
type console struct {
	mu   sync.Mutex
	w    io.Writer
	foot footer
	help string // the command whose --help a mistake is in
}

// line writes one line.
func (c *console) line(format string, args ...any) {
	text := strings.Map(harmless, fmt.Sprintf(format, args...)) + "\n"
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.w.Write(c.foot.under(text))
}

// harmless leaves out what moves the cursor or worse: a server's words may be in a
// line.
func harmless(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

// draw shows lines below everything else, in place of those shown before, on a
// terminal of a width. None takes them away.
func (c *console) draw(lines []string, width int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if out := c.foot.replace(lines, width); len(out) > 0 {
		_, _ = c.w.Write(out)
	}
}

// forget leaves what is drawn where it stands: the cursor has been moved.
func (c *console) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.foot = footer{}
}

// warn writes a warning.
func (c *console) warn(text string) { c.line("warning: %s", text) }

// failure writes an error, and what can be done about it.
func (c *console) failure(err error) {
	text := err.Error()
	var begun *begunError
	if !asError(err, &begun) {
		switch exitCode(err) {
		case exitStopped, exitDamaged, exitInterrupted: // where one would wonder
			text += "; nothing was written"
		}
	}
	c.line("rdbimport: %s", text)
	if hint := hintFor(err); hint != "" {
		c.line("hint: %s", hint)
	}
	if isUsage(err) {
		c.line("see %s --help", cmp.Or(c.help, "rdbimport"))
	}
}

// asError is errors.As, in the form that reads better in a condition.
func asError[T error](err error, target *T) bool { return errors.As(err, target) }
