package rdbparse_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A memSpool is a Spool in memory that counts how many are open.
type memSpool struct {
	bytes.Buffer
	room int // bytes that it takes
	open *int
}

var errFull = errors.New("no space left")

func (m *memSpool) Write(p []byte) (int, error) {
	if m.Len()+len(p) > m.room {
		return 0, errFull
	}
	return m.Buffer.Write(p)
}

func (m *memSpool) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(p, off)
}

func (m *memSpool) Close() error {
	if m.open == nil {
		return errors.New("closed twice")
	}
	*m.open--
	m.open = nil
	return nil
}

// spools makes memSpools of room bytes and counts those that are open.
func spools(room int, open *int) func() (rdbparse.Spool, error) {
	return func() (rdbparse.Spool, error) {
		*open++
		return &memSpool{room: room, open: open}, nil
	}
}

// A way is how a dump is read: with what can be read again, and through which
// reader.
type way struct {
	name string
	open func(data []byte, opts *rdbparse.Options, spooled *int) io.Reader
}

var ways = []way{
	{"file", func(data []byte, opts *rdbparse.Options, _ *int) io.Reader {
		opts.Again = bytes.NewReader(data)
		return bytes.NewReader(data)
	}},
	{"file, half", func(data []byte, opts *rdbparse.Options, _ *int) io.Reader {
		opts.Again = bytes.NewReader(data)
		return iotest.HalfReader(bytes.NewReader(data))
	}},
	{"spool", func(data []byte, opts *rdbparse.Options, open *int) io.Reader {
		opts.Spool = spools(1<<30, open)
		return bytes.NewReader(data)
	}},
	{"spool, byte by byte", func(data []byte, opts *rdbparse.Options, open *int) io.Reader {
		opts.Spool = spools(1<<30, open)
		return iotest.OneByteReader(bytes.NewReader(data))
	}},
	{"spool, error with data", func(data []byte, opts *rdbparse.Options, open *int) io.Reader {
		opts.Spool = spools(1<<30, open)
		return iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data)))
	}},
}

// errEnough ends a copy before its end.
var errEnough = errors.New("enough")

// readBig reads a big value in random ways, and then whole.
func readBig(v *rdbparse.BigValue, rnd *rand.Rand) ([]byte, error) {
	for range rnd.IntN(4) {
		var err error
		switch rnd.IntN(4) {
		case 0:
			_, err = v.Measure(int64(rnd.IntN(2)) * int64(1+rnd.IntN(100)))
		case 1:
			err = v.Rewind()
		case 2:
			err = v.Skip()
		case 3:
			_, err = copyBig(v, rnd.IntN(200))
		}
		if err != nil && err != errEnough && err != rdbparse.ErrTooLong {
			return nil, err
		}
	}
	return copyBig(v, 1<<40)
}

// copyBig copies a big value up to about most bytes.
func copyBig(v *rdbparse.BigValue, most int) ([]byte, error) {
	raw := []byte{}
	err := v.Copy(func(p []byte) error {
		raw = append(raw, p...)
		if len(raw) > most {
			return errEnough
		}
		return nil
	})
	return raw, err
}

// bigRecords renders every record of a dump as records does, its big values read
// with read.
func bigRecords(sc *rdbparse.Scanner, read func(*rdbparse.BigValue) ([]byte, error)) ([]string, error) {
	var all []string
	for sc.Next() {
		e := *sc.Entry()
		if v := sc.BigValue(); (v != nil) != e.Big {
			return nil, fmt.Errorf("big %v, value %v", e.Big, v)
		} else if v != nil {
			raw, err := read(v)
			if err != nil && sc.Err() == nil {
				return nil, fmt.Errorf("key %q: %w", e.Key, err)
			} else if err != nil {
				break
			}
			e.Value = raw
		}
		all = append(all, render(&e))
	}
	return all, sc.Err()
}

func render(e *rdbparse.Entry) string {
	kind := "-"
	if e.Type != nil {
		kind = e.Type.Name
	}
	return fmt.Sprintf("%d %d %s %q %x %x %x %v %d %d %d @%d", e.Record, e.DB, kind, e.Key, e.Value, e.Meta, e.Fields,
		e.Expires, e.ExpireAt, e.Idle, e.Freq, e.Offset)
}

// allHeld renders every record of a dump with its value held.
func allHeld(data []byte) (all []string, err error) {
	sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
	for sc.Next() {
		all = append(all, render(sc.Entry()))
	}
	return all, sc.Err()
}
