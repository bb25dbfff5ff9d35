package rdbparse

import (
	"errors"
	"fmt"
	"io"

	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// Reasons why a dump cannot be read, for errors.Is.
var (
	// ErrNotRDB: the input does not start as a dump does.
	ErrNotRDB = errors.New("not an RDB dump")
	// ErrVersion: the dump's version is not known to this package.
	ErrVersion = errors.New("unknown RDB version")
	// ErrUnknown: a type or an opcode that nothing is known about, so that the
	// place where it ends cannot be known either.
	ErrUnknown = errors.New("unknown type or opcode")
	// ErrTruncated: the input ended within the dump.
	ErrTruncated = errors.New("the input ends within the dump")
	// ErrChecksum: the dump was read to its end and its CRC64 is wrong.
	ErrChecksum = errors.New("wrong checksum")
	// ErrCorrupt: bytes that no server writes.
	ErrCorrupt = errors.New("damaged dump")
)

// Errors of a BigValue.
var (
	// ErrTooLong: the value has more bytes than it may have.
	ErrTooLong = window.ErrTooLong
	// ErrNoReplay: the value cannot be read another time, for the reason that the
	// error wraps.
	ErrNoReplay = errors.New("the value cannot be read again")
)

// A FormatError says where and why a dump cannot be read further. It wraps one
// of the reasons above, or an error of the source.
type FormatError struct {
	Offset int64  // of the byte at which reading stopped, from the dump's magic
	Within string // what was being read: an opcode, a type, a part of a value
	Key    []byte // the key whose value was being read, nil if none
	Err    error
}

// Error describes the error in one line.
func (e *FormatError) Error() string {
	if e.Key != nil {
		return fmt.Sprintf("offset %d, in %s of key %q: %v", e.Offset, e.Within, e.Key, e.Err)
	}
	return fmt.Sprintf("offset %d, in %s: %v", e.Offset, e.Within, e.Err)
}

// Unwrap returns the reason.
func (e *FormatError) Unwrap() error { return e.Err }

// Reason makes an error of the window one of this package's reasons. It is for the
// packages that read a value through its window.
func Reason(err error) error {
	switch {
	case err == io.ErrUnexpectedEOF:
		return ErrTruncated
	case errors.Is(err, io.ErrUnexpectedEOF): // a source that says it better
		return fmt.Errorf("%w: %w", ErrTruncated, err)
	case isFormat(err) || errors.Is(err, window.ErrTooLong):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
