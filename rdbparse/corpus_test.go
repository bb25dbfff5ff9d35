package rdbparse_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/corpus"
)

var checksums = map[string]rdbparse.Checksum{
	"ok": rdbparse.ChecksumOK, "BAD": rdbparse.ChecksumWrong,
	"zero": rdbparse.ChecksumOff, "none": rdbparse.ChecksumNone,
}

func TestCorpus(t *testing.T) {
	for _, f := range corpus.Files(t) {
		t.Run(f.Name, func(t *testing.T) {
			sc := rdbparse.NewScanner(bytes.NewReader(f.Data), rdbparse.Options{AnyVersion: true})
			got := tally(sc)
			if f.Checksum == "BAD" != errors.Is(sc.Err(), rdbparse.ErrChecksum) {
				t.Errorf("error %v", sc.Err())
			}
			if sc.Err() != nil && f.Checksum != "BAD" {
				t.Errorf("error %v", sc.Err())
			}
			if got != f.Types {
				t.Errorf("types %q, expected %q", got, f.Types)
			}
			if sc.Checksum() != checksums[f.Checksum] {
				t.Errorf("checksum %v, expected %s", sc.Checksum(), f.Checksum)
			}
			if rest := len(sc.Rest()); rest != f.Trailing {
				t.Errorf("%d bytes behind the dump, expected %d", rest, f.Trailing)
			}
		})
	}
}

// tally counts the keys of a dump by type, in the manifest's notation.
func tally(sc *rdbparse.Scanner) string {
	counts := map[int]int{}
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			counts[int(e.Type.Type.Byte())]++
		}
	}
	var nums []int
	for n := range counts {
		nums = append(nums, n)
	}
	sort.Ints(nums)
	var out []string
	for _, n := range nums {
		out = append(out, fmt.Sprintf("%d:%d", n, counts[n]))
	}
	return strings.Join(out, " ")
}

// records renders every record of a dump as text, to compare two scans.
func records(r io.Reader, opts rdbparse.Options) ([]string, error) {
	return scanRecords(rdbparse.NewScanner(r, opts))
}

func scanRecords(sc *rdbparse.Scanner) ([]string, error) {
	var all []string
	for sc.Next() {
		e := sc.Entry()
		kind := "-"
		if e.Type != nil {
			kind = e.Type.Name
		}
		all = append(all, fmt.Sprintf("%d %d %s %q %x %x %v %d %d %d @%d", e.Record, e.DB, kind, e.Key, e.Value, e.Meta,
			e.Expires, e.ExpireAt, e.Idle, e.Freq, e.Offset))
	}
	return all, sc.Err()
}

func TestCorpusOneByteReads(t *testing.T) {
	for _, f := range corpus.Files(t) {
		whole, err1 := records(bytes.NewReader(f.Data), rdbparse.Options{AnyVersion: true})
		small, err2 := records(iotest.OneByteReader(bytes.NewReader(f.Data)), rdbparse.Options{AnyVersion: true, BufferSize: 16})
		if fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Errorf("%s: whole: %v, byte by byte: %v", f.Name, err1, err2)
		}
		if strings.Join(whole, "\n") != strings.Join(small, "\n") {
			t.Errorf("%s: records differ between one large read and many small ones", f.Name)
		}
	}
}

// TestCorpusTruncated cuts each dump at every length and expects to be told so.
func TestCorpusTruncated(t *testing.T) {
	for _, f := range corpus.Files(t) {
		data := f.Data[:len(f.Data)-f.Trailing]
		step := max(1, len(data)/500)
		for n := 9; n < len(data); n += step {
			sc := rdbparse.NewScanner(bytes.NewReader(data[:n]), rdbparse.Options{AnyVersion: true})
			for sc.Next() {
			}
			if !errors.Is(sc.Err(), rdbparse.ErrTruncated) {
				t.Fatalf("%s cut to %d of %d bytes: %v", f.Name, n, len(data), sc.Err())
			}
		}
	}
}
