package census_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
)

// TestCorpus counts the keys of real dumps by type as the corpus's manifest does.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of dumps")
	}
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cols := strings.Split(lines.Text(), "\t")
		if cols[0] == "file" {
			continue
		}
		files++
		dump, err := os.ReadFile(filepath.Join(dir, cols[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{0, 30} {
			c := census.New(census.Options{Now: now, Top: 10})
			_, err = c.Read(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{AnyVersion: true, MaxValue: limit}))
			if err != nil && (cols[5] != "BAD" || !errors.Is(err, rdbparse.ErrChecksum)) {
				t.Errorf("%s: %v", cols[0], err)
			}
			if got := byNumber(c); got != cols[3] || fmt.Sprint(c.Total.Keys) != cols[2] {
				t.Errorf("%s: %d keys, %q, want %s, %q", cols[0], c.Total.Keys, got, cols[2], cols[3])
			}
		}
	}
	if files < 80 {
		t.Fatalf("the manifest names %d files", files)
	}
}

// byNumber writes the counts by type in the manifest's notation.
func byNumber(c *census.Census) string {
	list := c.Types()
	slices.SortFunc(list, func(a, b census.TypeCount) int { return int(a.Type.Type.Byte()) - int(b.Type.Type.Byte()) })
	var out []string
	for _, n := range list {
		out = append(out, fmt.Sprintf("%d:%d", n.Type.Type.Byte(), n.Keys))
	}
	return strings.Join(out, " ")
}
