// Package corpus reads a folder of real dumps that are not part of the repository. It
// is for tests.
package corpus

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A File is one dump of the corpus, and what its manifest says of it.
type File struct {
	Name     string
	Data     []byte
	Keys     int
	Types    string // the number of keys by type: "0:3 14:1"
	Checksum string // "ok", "BAD", "zero" or "none"
	Trailing int    // bytes behind the dump
}

// least is how many dumps there are at the least.
const least = 80

// Files returns the dumps of the folder that RDBIMPORT_CORPUS names. Without the
// variable the test is skipped.
func Files(t testing.TB) []File {
	t.Helper()
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of dumps")
	}
	manifest, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close() //nolint:errcheck // it was only read
	var files []File
	lines := bufio.NewScanner(manifest)
	for lines.Scan() {
		cols := strings.Split(lines.Text(), "\t")
		if cols[0] == "file" {
			continue
		}
		f := File{Name: cols[0], Types: cols[3], Checksum: cols[5]}
		if f.Data, err = os.ReadFile(filepath.Join(dir, f.Name)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(cols[2], &f.Keys); err != nil {
			t.Fatalf("%s: keys: %v", f.Name, err)
		}
		if _, err := fmt.Sscan(cols[6], &f.Trailing); err != nil {
			t.Fatalf("%s: trailing bytes: %v", f.Name, err)
		}
		files = append(files, f)
	}
	if lines.Err() != nil || len(files) < least {
		t.Fatalf("the manifest names %d files, expected at least %d: %v", len(files), least, lines.Err())
	}
	return files
}
