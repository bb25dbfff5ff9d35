package pipeline_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A stood is what stands in a dump at an offset.
type stood struct {
	Key, Type string
	Size      int
}

// TestRefusals imports values, many of which are converted and some of which are large,
// as a user who may write none of the keys: each refusal tells of the value in the dump,
// and so does that of a plan.
func TestRefusals(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true, Config: []string{"user none on >none ~none +@all"}})
	target, err := slotter.ParseTarget(lc.URL())
	noError(t, err)
	c, err := slotter.Connect(t.Context(), target, slotter.Options{User: "none", Password: "none"})
	noError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	dump := sample(t, "redis-8.0")
	want := map[int64]stood{}
	whole := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for whole.Next() {
		if e := whole.Entry(); e.Record == rdbparse.RecordKey {
			want[e.Offset] = stood{string(e.Key), e.Type.Name, len(e.Value)}
		}
	}
	noError(t, whole.Err())
	for _, planned := range []bool{false, true} {
		var mu sync.Mutex
		got := map[int64]stood{}
		opts := allOptions()
		opts.BigValue = 4 << 10
		opts.Refused = func(r pipeline.Refusal) {
			mu.Lock()
			defer mu.Unlock()
			got[r.Offset] = stood{string(r.Key), r.Type.Name, r.Size}
		}
		sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{
			MaxValue: opts.HeldValue(), MaxParts: opts.HeldParts(), Again: bytes.NewReader(dump)})
		expired := refusedOf(t, c, sc, opts, planned)
		if n := len(want) - len(got); n != expired || n == len(want) {
			t.Errorf("planned %v: %d of %d keys refused, %d expired", planned, len(got), len(want), expired)
		}
		for offset, g := range got {
			if g != want[offset] {
				t.Errorf("planned %v: %v, in the dump %v", planned, g, want[offset])
			}
		}
	}
}

// refusedOf plans an import, or makes it, and returns how many keys have expired.
func refusedOf(t *testing.T, c *slotter.Cluster, sc *rdbparse.Scanner, opts pipeline.Options, planned bool) int {
	t.Helper()
	if planned {
		facts, err := pipeline.Look(t.Context(), c, opts)
		noError(t, err)
		p := facts.NewPlanner()
		p.Asks = true
		p.NewSource()
		for sc.Next() {
			if sc.Entry().Record == rdbparse.RecordKey {
				p.Key(sc)
			}
		}
		noError(t, sc.Err())
		noError(t, p.Ask(t.Context()))
		return int(p.Result().Expired.Keys)
	}
	im, err := pipeline.New(t.Context(), c, opts)
	noError(t, err)
	noError(t, im.NewFeeder().Feed(sc))
	res, err := im.Close()
	noError(t, err)
	return int(res.Expired)
}
