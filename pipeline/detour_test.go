package pipeline_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestDetour sends keys on for ever, in two ways: two masters each say that the other has
// a slot, and a user who may not send ASKING meets a slot that was left half moved. The
// import must end, and say where; all other keys arrive.
func TestDetour(t *testing.T) {
	t.Parallel()
	const n = 500
	dump := manyStrings(t, n)
	slot := slotter.Slot([]byte("key:7"))
	same := 0
	for i := range n {
		if slotter.Slot(fmt.Appendf(nil, "key:%d", i)) == slot {
			same++
		}
	}
	for _, way := range []string{"moved", "ask"} {
		for _, big := range []int64{0, 1} {
			t.Run(fmt.Sprintf("%s big %d", way, big), func(t *testing.T) {
				t.Parallel()
				lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
				url := lc.URL()
				from, to := neighbours(t, lc, connect(t, url), slot)
				if way == "moved" {
					must(t, from, "CLUSTER", "SETSLOT", slot, "NODE", to.ID)
				} else {
					migrate(t, slot, from, to)
					for _, m := range lc.Masters() {
						must(t, m, "ACL", "SETUSER", "some", "on", ">secret", "~*", "+@all", "-asking")
					}
					url = strings.Replace(url, "redis://", "redis://some:secret@", 1)
				}
				opts := all(pipeline.ConflictFail)
				opts.RetryTimeout, opts.BigValue = time.Second, big
				res, err := begin(t, connect(t, url), dump, opts).end()
				if !errors.Is(err, pipeline.ErrNoProgress) || !strings.Contains(err.Error(), fmt.Sprintf("slot %d: %s", slot, from.Addr)) && !strings.Contains(err.Error(), to.Addr) {
					t.Errorf("%v, %+v", err, res)
				}
				if big == 0 && int(res.Restored) != n-same || res.Duration > 30*time.Second {
					t.Errorf("%d keys are in the slot: %+v", same, res)
				}
			})
		}
	}
}
