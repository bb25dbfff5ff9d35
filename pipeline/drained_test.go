package pipeline_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// drainedSlots is how many slots the master has that is taken from the cluster, and
// drainedKeys how many keys of the dump are in each of them.
const drainedSlots, drainedKeys = 8, 20

// TestDrained takes a master from the cluster between two imports, after its slots have
// been moved away with their keys: nothing is lost, and nothing reported.
func TestDrained(t *testing.T) {
	redisCLI(t)
	t.Parallel()
	lc, leaving, before := fewSlots(t)
	noError(t, moveSlots(t, leaving, lc.Masters()[0], drainedSlots))
	noError(t, cluster(t, "del-node", lc.Addrs()[0], leaving.ID))
	for _, n := range lc.Masters() {
		_ = n.Client().Do(t.Context(), "CLUSTER", "FORGET", leaving.ID).Err() // it may have been told
	}
	if lost, kept := lostSince(t, lc, before); len(lost) != 0 || len(kept) != 4 {
		t.Errorf("%+v, %+v", lost, kept)
	}
}

// TestHalfDrained does so with a master that dies when half of its slots have been moved
// away, into which others write: what it had in the rest is lost, however many keys there
// are in all.
func TestHalfDrained(t *testing.T) {
	redisCLI(t)
	t.Parallel()
	lc, leaving, before := fewSlots(t)
	to := lc.Masters()[0]
	noError(t, moveSlots(t, leaving, to, drainedSlots/2))
	for slot := range drainedSlots / 2 {
		for i := range 4 * drainedKeys {
			must(t, to, "SET", fmt.Sprintf("{%s}other:%d", tagOf(slot), i), "x")
		}
	}
	leaving.Kill()
	await(t, "the master to be missed", func() bool {
		return strings.Contains(to.Client().ClusterNodes(t.Context()).Val(), "master,fail ")
	})
	noError(t, cluster(t, "fix", to.Addr, "--cluster-fix-with-unreachable-masters", "--cluster-yes"))
	if lost, kept := lostSince(t, lc, before); len(lost) != 1 || len(kept) != 3 || !strings.Contains(lost[0].Addr, leaving.ID) {
		t.Errorf("%+v, %+v", lost, kept)
	}
}

// fewSlots starts a cluster with a master more that has the slots 0 to drainedSlots-1, and
// imports keys into these; before is what the import has noted.
func fewSlots(t *testing.T) (lc *localcluster.Cluster, leaving *localcluster.Node, before []pipeline.Process) {
	t.Helper()
	lc = start(t, localcluster.Options{})
	leaving = join(t, lc)
	noError(t, moveSlots(t, lc.Masters()[0], leaving, drainedSlots))
	var dump bytes.Buffer
	w := dataset.NewWriter(&dump, "REDIS0010")
	w.SelectDB(0)
	for slot := range drainedSlots {
		for i := range drainedKeys {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "{%s}%d", tagOf(slot), i), dataset.AppendRawString(nil, []byte("value")))
		}
	}
	noError(t, w.Close())
	im, err := pipeline.New(t.Context(), connect(t, lc.URL()), all(pipeline.ConflictFail))
	noError(t, err)
	noError(t, im.NewFeeder().Feed(rdbparse.NewScanner(&dump, rdbparse.Options{})))
	_, err = im.Close()
	noError(t, err)
	before = im.Processes()
	for _, p := range before {
		if p.ID == leaving.ID && p.Keys == drainedSlots*drainedKeys && slotter.FormatRanges(p.Slots) == "0-7" {
			return lc, leaving, before
		}
	}
	t.Fatalf("%+v", before)
	return nil, nil, nil
}

// tagOf returns what a key of a slot can have between braces.
func tagOf(slot int) string {
	for i := 0; ; i++ {
		if tag := fmt.Sprint("tag", i); int(slotter.Slot([]byte(tag))) == slot {
			return tag
		}
	}
}

// moveSlots moves some slots from a master to another one, the first that it has first.
func moveSlots(t *testing.T, from, to *localcluster.Node, slots int) error {
	t.Helper()
	return cluster(t, "reshard", from.Addr, "--cluster-from", from.ID, "--cluster-to", to.ID, "--cluster-slots", fmt.Sprint(slots), "--cluster-yes")
}

// lostSince returns what an import finds to be lost when it goes on, once it finds all slots
// to have owners that are there.
func lostSince(t *testing.T, lc *localcluster.Cluster, before []pipeline.Process) (lost []pipeline.Loss, kept []pipeline.Process) {
	t.Helper()
	target, err := slotter.ParseTarget(lc.URL())
	noError(t, err)
	var im *pipeline.Importer
	await(t, "all slots to have an owner that is there, as every node knows", func() bool {
		c, err := slotter.Connect(t.Context(), target, slotter.Options{})
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = c.Close() })
		im, err = pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
		return err == nil
	})
	lost, kept = im.LostSince(before)
	_, err = im.Close()
	noError(t, err)
	return lost, kept
}
