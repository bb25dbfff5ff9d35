package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
)

// The exit codes.
const (
	exitOK          = 0   // every key is where it should be
	exitStart       = 1   // could not start, nothing written
	exitStopped     = 2   // stopped part-way
	exitDamaged     = 3   // the input is damaged
	exitRefused     = 4   // finished, but not everything could be imported
	exitInterrupted = 130 // SIGINT or SIGTERM
)

var (
	errInterrupted = errors.New("interrupted")
	// errPartly is the error of an import that came to its end without putting
	// everything where it should be. The report says what is missing.
	errPartly = errors.New("finished, but not everything could be imported")
	// errTypes is the error of --check about what cannot be restored.
	errTypes = errors.New("the dump holds what the target cannot take")
)

// A usageError is a mistake in the command line.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

func isUsage(err error) bool {
	var usage *usageError
	return errors.As(err, &usage)
}

// A begunError is an error met after the first key may have been sent.
type begunError struct {
	err     error
	written int64 // keys
}

func (e *begunError) Error() string {
	switch e.written {
	case 0:
		return e.err.Error() + " (no key had been written)"
	case 1:
		return e.err.Error() + " (1 key had been written)"
	}
	return fmt.Sprintf("%s (%s keys had been written)", e.err, formatCount(e.written))
}

func (e *begunError) Unwrap() error { return e.err }

// A shownError has been told to the user already.
type shownError struct{ err error }

func (e *shownError) Error() string { return e.err.Error() }
func (e *shownError) Unwrap() error { return e.err }

// damage are the errors that mean that the input is no good. A source that
// could not be read is none of them: the dump may be well.
var damage = []error{
	rdbparse.ErrNotRDB, rdbparse.ErrVersion, rdbparse.ErrUnknown, rdbparse.ErrTruncated, rdbparse.ErrChecksum, rdbparse.ErrCorrupt,
	source.ErrNotRDB, source.ErrUnsupported, source.ErrTruncated, source.ErrCompressed, source.ErrEndMark,
}

func isDamage(err error) bool {
	var value *pipeline.DamagedError
	if errors.As(err, &value) {
		return true
	}
	for _, d := range damage {
		if errors.Is(err, d) {
			return true
		}
	}
	return false
}

// exitCode maps an error to the exit code. It is the only place that does.
func exitCode(err error) int {
	var begun *begunError
	var conflict *pipeline.ConflictError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled), errors.Is(err, source.ErrInterrupted):
		return exitInterrupted
	case isUsage(err):
		return exitStart
	case errors.Is(err, errPartly):
		return exitRefused
	case errors.As(err, &conflict), errors.Is(err, pipeline.ErrDatabases), errors.Is(err, errTypes):
		return exitStopped
	case isDamage(err):
		return exitDamaged
	case errors.As(err, &begun):
		return exitStopped
	}
	return exitStart
}
