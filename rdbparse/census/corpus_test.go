package census_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
	"github.com/rdbimport/rdbimport/rdbparse/internal/corpus"
)

// TestCorpus counts the keys of real dumps by type as the corpus's manifest does.
func TestCorpus(t *testing.T) {
	for _, f := range corpus.Files(t) {
		for _, limit := range []int{0, 30} {
			c := census.New(census.Options{Now: now, Top: 10})
			_, err := c.Read(rdbparse.NewScanner(bytes.NewReader(f.Data), rdbparse.Options{AnyVersion: true, MaxValue: limit}))
			if err != nil && (f.Checksum != "BAD" || !errors.Is(err, rdbparse.ErrChecksum)) {
				t.Errorf("%s: %v", f.Name, err)
			}
			if got := byNumber(c); got != f.Types || c.Total.Keys != int64(f.Keys) {
				t.Errorf("%s: %d keys, %q, want %d, %q", f.Name, c.Total.Keys, got, f.Keys, f.Types)
			}
		}
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
