package rdbparse_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// FuzzScanner scans any bytes twice, whole and byte by byte through a small
// buffer. Both must find the same records and the same error, and neither may
// panic.
func FuzzScanner(f *testing.F) {
	for _, fr := range frames {
		f.Add(dump(fr.magic, cat(250, "df-ver", "1", int(fr.typ.Byte()), "key", fr.value)))
		f.Add(dump(fr.magic, cat(int(fr.typ.Byte()), "key", fr.value)))
	}
	if dir := os.Getenv("RDBIMPORT_CORPUS"); dir != "" {
		files, _ := filepath.Glob(filepath.Join(dir, "*", "*.rdb"))
		for _, name := range files {
			if data, err := os.ReadFile(name); err == nil && len(data) < 4<<10 {
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, err1 := records(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
		small, err2 := records(iotest.OneByteReader(bytes.NewReader(data)), rdbparse.Options{AnyVersion: true, BufferSize: 16})
		if fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Errorf("whole: %v, byte by byte: %v", err1, err2)
		}
		if strings.Join(whole, "\n") != strings.Join(small, "\n") {
			t.Errorf("records differ:\n%s\n%s", strings.Join(whole, "\n"), strings.Join(small, "\n"))
		}
		limited := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true, BufferSize: 32, MaxValue: 64})
		n := 0
		for limited.Next() {
			n++
		}
		if n != len(whole) && err1 == nil {
			t.Errorf("%d records with a limit, %d without", n, len(whole))
		}
	})
}

// TestScanAllocations expects no allocation per key once the buffers have their
// size.
func TestScanAllocations(t *testing.T) {
	var body []byte
	for i := range 2000 {
		body = append(body, cat(252, zeros(8), 0, fmt.Sprintf("key:%06d", i), "value")...)
		body = append(body, cat(0, 0xc2, i&255, i>>8, 1, 1, 0xc3, 4, 7, 0, 'a', 0x80, 0)...)
		body = append(body, cat(4, "hash", 2, "f", "v", "g", "w")...)
	}
	d := dump("REDIS0011", body)
	var r bytes.Reader
	payload := make([]byte, 0, 1<<10)
	allocs := func(scans int) float64 {
		return testing.AllocsPerRun(5, func() {
			for range scans {
				r.Reset(d)
				sc := rdbparse.NewScanner(&r, rdbparse.Options{BufferSize: 4 << 10})
				for sc.Next() {
					payload = rdbparse.AppendPayload(payload[:0], sc.Entry())
				}
				if sc.Err() != nil {
					t.Fatal(sc.Err())
				}
			}
		})
	}
	if n := allocs(1); n > 10 {
		t.Errorf("%v allocations in a scan of 6000 keys", n)
	}
}
