package pipeline_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestBigStopped ends an import in the middle of a large value while no master answers:
// first its reading, and then everything at once. It must not wait for the removing of
// the temporary key.
func TestBigStopped(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := largeOfEach(t, 40_000)
	r := begin(t, c, dump, pieces(pipeline.ConflictReplace), part(dump, 0.5))
	await(t, "a temporary key", func() bool {
		there := false
		err := pipeline.FindTemporary(t.Context(), c, func(string, pipeline.TemporaryKey) error {
			there = true
			return nil
		})
		return err == nil && there
	})
	for _, n := range lc.Nodes() {
		noError(t, n.Pause())
		defer n.Resume() //nolint:errcheck // it is over by then
	}
	r.im.Stop()
	from := time.Now()
	r.stop()
	_, err := r.end()
	if took := time.Since(from); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if !errors.Is(err, pipeline.ErrStopped) {
		t.Error(err)
	}
}

// TestBigState looks at a master while a large value is on its way to it, and afterwards.
func TestBigState(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	opts := pieces(pipeline.ConflictReplace)
	opts.Rate = 1 << 20
	r := begin(t, connect(t, lc.URL()), largeOfEach(t, 10_000), opts)
	await(t, "the master to be busy", func() bool {
		m := r.im.Snapshot().Masters[0]
		return m.State == pipeline.MasterOK && m.InFlight > 0
	})
	r.im.Stop()
	res, err := r.end()
	if m := res.Masters[0]; !errors.Is(err, pipeline.ErrStopped) || m.State != pipeline.MasterDone || m.InFlight != 0 {
		t.Errorf("%v: %+v", err, m)
	}
}
