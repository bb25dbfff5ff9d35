package source

import (
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
)

// What can be wrong with a source. An error of this package that is about the input matches one of them with errors.Is.
var (
	// ErrNotRDB: the input is something else, or nothing at all.
	ErrNotRDB = errors.New("not an RDB dump")
	// ErrUnsupported: the input may hold an RDB, in a wrapping that is not read here.
	ErrUnsupported = errors.New("not supported")
	// ErrTruncated: the input ends before the RDB does. A cut compressed stream is ErrCompressed instead.
	ErrTruncated = errors.New("cut short")
	// ErrCompressed: the gzip, zstd or lz4 data is damaged or cut. A cut one also matches io.ErrUnexpectedEOF.
	ErrCompressed = errors.New("damaged compressed data")
	// ErrEndMark: the bytes behind the RDB are not the mark which the reply's header announced.
	ErrEndMark = errors.New("wrong end mark")
	// ErrBehind: something else follows the gzip, zstd or lz4 data.
	ErrBehind = errors.New("trailing data")
	// ErrInterrupted: Interrupt was called, or the context of the call ended.
	ErrInterrupted = errors.New("reading interrupted")
)

// Error says what is wrong with which source, and what to do about it.
type Error struct {
	Name  string // of the source, as given to Open or New
	Kind  error  // one of the Err values above; nil where the operating system refused
	Found string // what is there, in words; may be empty
	Hint  string // what the user can do; may be empty
	Err   error  // cause, may be nil
}

// Error gives name, kind, finding and cause, then the hint behind a semicolon.
func (e *Error) Error() string {
	parts := []string{printable(e.Name)}
	if e.Kind != nil {
		parts = append(parts, e.Kind.Error())
	}
	if e.Found != "" {
		parts = append(parts, e.Found)
	}
	if e.Err != nil && e.Err != io.ErrUnexpectedEOF { // Found says that in words
		parts = append(parts, e.Err.Error())
	}
	text := strings.Join(parts, ": ")
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	var list []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			list = append(list, err)
		}
	}
	return list
}

// printable quotes a name that would upset a terminal.
func printable(name string) string {
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return name
	}
	return strconv.Quote(name)
}

// bare drops the path that package os puts into its errors, since Error names the source already.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
