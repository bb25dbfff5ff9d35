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
