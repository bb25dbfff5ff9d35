package pipeline

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestRestore compares the command with one rendered plainly, argument by
// argument, for all combinations of options and for lengths around each step of
// the encoding.
func TestRestore(t *testing.T) {
	typ := rdbparse.TypeString.Info()
	for _, keyLen := range []int{0, 1, 9, 10, 99, 100, 999, 1000, 1023, 1024, 1025, 9999, 10000} {
		for _, valueLen := range []int{1, 80, 88, 89, 90, 988, 989, 1011, 1012, 1013, 1014, 20000} {
			for options := range 64 {
				e := &rdbparse.Entry{Type: typ, Key: bytes.Repeat([]byte{'k'}, keyLen), Value: bytes.Repeat([]byte{'v'}, valueLen), Idle: -1, Freq: -1}
				d := dialect{replace: options&1 != 0, absolute: options&2 != 0}
				ttl := int64(0)
				prefix := ""
				if options&4 != 0 {
					ttl = 1_900_000_000_000
				}
				if options&8 != 0 {
					e.Idle = int64(keyLen)
				}
				if options&16 != 0 {
					e.Freq = int16(valueLen % 256)
				}
				if options&32 != 0 {
					prefix = "db0:"
				}
				f := form{d, []byte(prefix)}
				size := f.room(e)
				buf := append(make([]byte, size, size+6), "behind"...)
				got := buf[:f.putRestore(buf[:size], e, ttl)]
				if string(buf[size:]) != "behind" {
					t.Fatal("it wrote beyond the room that was reserved")
				}
				want := plainRestore(d, prefix, e, ttl)
				if string(got) != want {
					t.Fatalf("key of %d, value of %d, options %b:\n%.300q\nexpected\n%.300q", keyLen, valueLen, options, got, want)
				}
				r := parseRestore(got)
				if string(r.key) != prefix+string(e.Key) || r.ttl != ttl || len(r.payload) != rdbparse.PayloadSize(e) {
					t.Fatalf("taken apart: key %.50q, ttl %d, payload of %d bytes", r.key, r.ttl, len(r.payload))
				}
			}
		}
	}
}

// TestRestoreRoom renders the longest that can stand around a key and a value,
// in a buffer that is as large as was reserved.
func TestRestoreRoom(t *testing.T) {
	e := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: make([]byte, 1<<20), Value: make([]byte, 1<<20), Idle: math.MaxInt64, Freq: -1}
	f := form{dialect: dialect{replace: true, absolute: true}}
	if got := f.restore(e, math.MaxInt64); string(got) != plainRestore(f.dialect, "", e, math.MaxInt64) {
		t.Errorf("%.100q ... %.100q", got, got[len(got)-100:])
	}
}

// TestRestoreShort has a byte less room than is wanted.
func TestRestoreShort(t *testing.T) {
	f := form{prefix: []byte("db0:")}
	e := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: []byte("k"), Value: []byte("\x01v"), Idle: -1, Freq: -1}
	defer func() {
		if recover() == nil {
			t.Error("it was written")
		}
	}()
	f.putRestore(make([]byte, f.room(e)-1, f.room(e)), e, 0)
}

// FuzzRestore renders any key and value: the command is the one rendered argument by
// argument, and nothing is written beyond the room for it.
func FuzzRestore(f *testing.F) {
	f.Add([]byte("key:000000000001"), []byte("\x05hello"), "", int64(0), uint8(0))
	f.Add([]byte("k"), bytes.Repeat([]byte{'v'}, 300), "db%d:", int64(1_900_000_000_000), uint8(0xff))
	f.Fuzz(func(t *testing.T, key, value []byte, prefix string, ttl int64, options uint8) {
		typ := rdbparse.TypeString.Info()
		e := &rdbparse.Entry{Type: typ, Key: key, Value: value, Idle: -1, Freq: -1}
		if options&4 != 0 {
			e.Idle = ttl & math.MaxInt64
		}
		if options&8 != 0 {
			e.Freq = int16(len(key) % 256)
		}
		if options&16 != 0 {
			e.Meta = []byte("\xf3meta")
		}
		fm := form{dialect{replace: options&1 != 0, absolute: options&2 != 0}, []byte(prefix)}
		ttl = max(ttl, 0)
		size := fm.room(e)
		b := bytes.Repeat([]byte{0xa5}, size+64)
		got := b[:fm.putRestore(b[:size], e, ttl)]
		if want := plainRestore(fm.dialect, prefix, e, ttl); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
		if behind := b[size:]; !bytes.Equal(behind, bytes.Repeat([]byte{0xa5}, len(behind))) {
			t.Error("it wrote beyond the room that was reserved")
		}
	})
}

// restore returns the command for e.
func (f form) restore(e *rdbparse.Entry, ttl int64) []byte {
	b := make([]byte, f.room(e))
	return b[:f.putRestore(b, e, ttl)]
}

// plainRestore is the command rendered argument by argument.
func plainRestore(d dialect, prefix string, e *rdbparse.Entry, ttl int64) string {
	args := []string{"RESTORE", prefix + string(e.Key), strconv.FormatInt(ttl, 10), string(rdbparse.AppendPayload(nil, e))}
	if d.replace {
		args = append(args, "REPLACE")
	}
	if d.absolute && ttl != 0 {
		args = append(args, "ABSTTL")
	}
	switch {
	case d.absolute && e.Freq >= 0:
		args = append(args, "FREQ", strconv.Itoa(int(e.Freq)))
	case d.absolute && e.Idle >= 0:
		args = append(args, "IDLETIME", strconv.FormatInt(e.Idle, 10))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}
