package rdbparse_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// corpusFile is one line of the corpus's manifest.
type corpusFile struct {
	name, magic, types, checksum string
	keys, trailing               int
}

// corpus returns the folder of real dumps named by RDBIMPORT_CORPUS and its
// manifest. Without the variable the test is skipped: the dumps are not part of
// the repository.
func corpus(t *testing.T) (string, []corpusFile) {
	t.Helper()
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of dumps")
	}
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var files []corpusFile
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		cols := strings.Split(lines.Text(), "\t")
		if cols[0] == "file" {
			continue
		}
		c := corpusFile{name: cols[0], magic: cols[1], types: cols[3], checksum: cols[5]}
		fmt.Sscan(cols[2], &c.keys)
		fmt.Sscan(cols[6], &c.trailing)
		files = append(files, c)
	}
	if len(files) < 80 {
		t.Fatalf("the manifest names %d files, expected at least 80", len(files))
	}
	return dir, files
}

var checksums = map[string]rdbparse.Checksum{
	"ok": rdbparse.ChecksumOK, "BAD": rdbparse.ChecksumWrong,
	"zero": rdbparse.ChecksumOff, "none": rdbparse.ChecksumNone,
}

func TestCorpus(t *testing.T) {
	dir, files := corpus(t)
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, f.name))
			if err != nil {
				t.Fatal(err)
			}
			sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
			got := tally(sc)
			if f.checksum == "BAD" != errors.Is(sc.Err(), rdbparse.ErrChecksum) {
				t.Errorf("error %v", sc.Err())
			}
			if sc.Err() != nil && f.checksum != "BAD" {
				t.Errorf("error %v", sc.Err())
			}
			if got != f.types {
				t.Errorf("types %q, expected %q", got, f.types)
			}
			if sc.Checksum() != checksums[f.checksum] {
				t.Errorf("checksum %v, expected %s", sc.Checksum(), f.checksum)
			}
			if rest := len(sc.Rest()); rest != f.trailing {
				t.Errorf("%d bytes behind the dump, expected %d", rest, f.trailing)
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
	dir, files := corpus(t)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			t.Fatal(err)
		}
		whole, err1 := records(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
		small, err2 := records(iotest.OneByteReader(bytes.NewReader(data)), rdbparse.Options{AnyVersion: true, BufferSize: 16})
		if fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Errorf("%s: whole: %v, byte by byte: %v", f.name, err1, err2)
		}
		if strings.Join(whole, "\n") != strings.Join(small, "\n") {
			t.Errorf("%s: records differ between one large read and many small ones", f.name)
		}
	}
}

// TestCorpusTruncated cuts each dump at every length and expects to be told so.
func TestCorpusTruncated(t *testing.T) {
	dir, files := corpus(t)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.name))
		if err != nil {
			t.Fatal(err)
		}
		data = data[:len(data)-f.trailing]
		step := max(1, len(data)/500)
		for n := 9; n < len(data); n += step {
			sc := rdbparse.NewScanner(bytes.NewReader(data[:n]), rdbparse.Options{AnyVersion: true})
			for sc.Next() {
			}
			if !errors.Is(sc.Err(), rdbparse.ErrTruncated) {
				t.Fatalf("%s cut to %d of %d bytes: %v", f.name, n, len(data), sc.Err())
			}
		}
	}
}
