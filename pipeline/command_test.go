package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestAppendRestore compares the command with one rendered plainly, argument by
// argument, for all combinations of options and for lengths around each step of
// the encoding.
func TestAppendRestore(t *testing.T) {
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
				size := len(prefix) + keyLen + rdbparse.PayloadSize(e) + restoreOverhead
				buf := append(make([]byte, 0, size+6), "before"...)
				got := appendRestore(buf, d, []byte(prefix), e, ttl)[6:]
				if len(got) > size {
					t.Fatalf("%d bytes, room was reserved for %d", len(got), size)
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

// TestAppendRestoreRoom renders the longest that can stand around a key and a value,
// in a buffer that is as large as was reserved.
func TestAppendRestoreRoom(t *testing.T) {
	e := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: make([]byte, 1<<20), Value: make([]byte, 1<<20), Idle: math.MaxInt64, Freq: -1}
	d := dialect{replace: true, absolute: true}
	buf := make([]byte, 0, len(e.Key)+rdbparse.PayloadSize(e)+restoreOverhead)
	if got := appendRestore(buf, d, nil, e, math.MaxInt64); string(got) != plainRestore(d, "", e, math.MaxInt64) {
		t.Errorf("%.100q ... %.100q", got, got[len(got)-100:])
	}
}

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

// FuzzReplies reads any bytes as replies: nothing may panic, and one read must
// find the same as many small ones.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("+OK\r\n+OK\r\n-BUSYKEY x\r\n$3\r\nabc\r\n$-1\r\n:12\r\n"), uint8(3))
	f.Add([]byte("$1000000000\r\nabc"), uint8(1))
	f.Add([]byte("+O"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		read := func(n int) string {
			var b strings.Builder
			r := newReplyReader(&steps{data, n})
			for {
				fmt.Fprintf(&b, "ok*%d ", r.oks(1))
				rep, err := r.next()
				if err != nil {
					fmt.Fprintf(&b, "%v", err)
					return b.String()
				}
				fmt.Fprintf(&b, "%c %q %v ", rep.kind, rep.text, rep.null)
			}
		}
		whole := strings.ReplaceAll(strings.ReplaceAll(read(len(data)+1), "ok*1 ", "+ \"OK\" false "), "ok*0 ", "")
		small := strings.ReplaceAll(strings.ReplaceAll(read(int(step)%7+1), "ok*1 ", "+ \"OK\" false "), "ok*0 ", "")
		if whole != small {
			t.Errorf("whole: %s\nsmall: %s", whole, small)
		}
	})
}

// steps gives its bytes a few at a time.
type steps struct {
	data []byte
	n    int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, errors.New("the end")
	}
	n := copy(p, s.data[:min(s.n, len(s.data))])
	s.data = s.data[n:]
	return n, nil
}
