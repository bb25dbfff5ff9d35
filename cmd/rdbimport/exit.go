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
	exitRefused     = 4   // finished, but not everything is on the target
	exitDiffer      = 5   // verify found differences, or keys that cannot be compared
	exitInterrupted = 130 // SIGINT or SIGTERM
	exitPipe        = 141 // nobody reads standard output any more, as of programs that SIGPIPE ends
)

var (
	errInterrupted = errors.New("interrupted")
	errClosed      = errors.New("standard output is closed")
	// errWouldMiss is that of a plan: errPartly before the import.
	errWouldMiss = errors.New("not everything would be on the target")
	// errPartly is the error of an import that came to its end without putting
	// everything where it should be. The report says what is missing.
	errPartly = errors.New("finished, but not everything could be imported")
	// errLost and errEvicted are the same, where something may be gone again.
	errLost    = errors.New("finished, but the target may have lost keys again")
	errEvicted = errors.New("finished, but the target has dropped keys meanwhile")
	// errLostReplacing and errEvictedReplacing are these of an import that replaces keys:
	// what is gone may have left the value that was there before.
	errLostReplacing    = fmt.Errorf("%w", errLost)
	errEvictedReplacing = fmt.Errorf("%w", errEvicted)
	// errDiffer is the error of a comparison that came to its end, errUnreadable that of
	// one that found nothing else than keys that cannot be compared, errNotCompared that
	// of one that did not come to its end.
	errDiffer      = errors.New("the target differs from the dump")
	errUnreadable  = errors.New("not all keys could be compared")
	errNotCompared = errors.New("stopped before all was compared")
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
	err       error
	written   int64 // keys
	unsettled int64 // keys that may have been written
	resumes   bool  // there is a checkpoint to go on from
}

func (e *begunError) Error() string {
	written := plural(e.written, "key")
	switch {
	case e.written == 0 && e.unsettled > 0:
		return fmt.Sprintf("%s (%s may have been written)", e.err, plural(e.unsettled, "key"))
	case e.unsettled > 0:
		return fmt.Sprintf("%s (%s had been written, and %s more may have been)", e.err, written, formatCount(e.unsettled))
	case e.written == 0:
		written = "no key"
	}
	return fmt.Sprintf("%s (%s had been written)", e.err, written)
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

// isPartly reports whether err is that of an import that came to its end.
func isPartly(err error) bool {
	return errors.Is(err, errPartly) || errors.Is(err, errWouldMiss) || errors.Is(err, errLost) || errors.Is(err, errEvicted)
}

// exitCode maps an error to the exit code. It is the only place that does.
func exitCode(err error) int {
	var begun *begunError
	var conflict *pipeline.ConflictError
	var planned *plannedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &planned):
		return planned.code
	case errors.Is(err, errClosed):
		return exitPipe
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled), errors.Is(err, source.ErrInterrupted):
		return exitInterrupted
	case isUsage(err), errors.Is(err, errCheckpoint), errors.Is(err, errNoCheckpoint), errors.Is(err, errInUse): // nothing was sent in any case
		return exitStart
	case errors.Is(err, errDiffer), errors.Is(err, errUnreadable):
		return exitDiffer
	case errors.Is(err, errNotCompared):
		return exitStopped
	case isPartly(err):
		return exitRefused
	case errors.As(err, &conflict), errors.Is(err, pipeline.ErrDatabases), errors.Is(err, pipeline.ErrNoDatabase), errors.Is(err, errTypes):
		return exitStopped
	case isDamage(err):
		return exitDamaged
	case errors.As(err, &begun):
		return exitStopped
	}
	return exitStart
}
