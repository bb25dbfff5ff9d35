package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// A console writes lines to standard error, above a progress bar if there is
// one. Errors of writing are ignored: an import goes on without its terminal.
type console struct {
	mu    sync.Mutex
	w     io.Writer
	above io.Writer // of the progress bar, nil without one
}

// line writes one line.
func (c *console) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...) + "\n"
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.above != nil {
		// The cursor may stand behind the ^C that the terminal has echoed.
		if _, err := io.WriteString(c.above, "\r"+text); err == nil {
			return
		}
	}
	_, _ = io.WriteString(c.w, text)
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
		c.line("see rdbimport --help")
	}
}

// putAbove has lines written to w from now on, or to standard error for nil.
func (c *console) putAbove(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.above = w
}

// asError is errors.As, in the form that reads better in a condition.
func asError[T error](err error, target *T) bool { return errors.As(err, target) }
