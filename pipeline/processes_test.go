package pipeline_test

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestLostSince looks at the masters that have a dump once more: as they were, with one
// restarted that keeps nothing, and with another whose replica has taken over.
func TestLostSince(t *testing.T) {
	t.Parallel()
	const n = 3000
	lc := start(t, replicated)
	dump := numbered(t, n)
	again := func(before []pipeline.Process, confirm int) (lost []pipeline.Loss, kept, now []pipeline.Process) {
		t.Helper()
		opts := all(pipeline.ConflictFail)
		opts.WaitReplicas = confirm
		c, _, err := look(t.Context(), lc)
		noError(t, err)
		defer c.Close() //nolint:errcheck // nothing is lost
		im, err := pipeline.New(t.Context(), c, opts)
		noError(t, err)
		lost, kept = im.LostSince(before)
		now = im.Processes()
		_, err = im.Close()
		noError(t, err)
		return lost, kept, now
	}
	c := connect(t, lc.URL())
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
	noError(t, err)
	noError(t, im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})))
	_, err = im.Close()
	noError(t, err)
	before := im.Processes()
	keys := int64(0)
	for _, p := range before {
		if keys += p.Keys; len(p.Replicas) != 1 || p.RunID == "" {
			t.Errorf("%+v", p)
		}
	}
	if keys != n {
		t.Errorf("the masters have %d keys", keys)
	}

	lost, kept, now := again(before, 0)
	if len(lost) != 0 || len(kept) != 3 {
		t.Errorf("%+v, %+v", lost, kept)
	}
	for _, p := range pipeline.After(before, now) {
		keys -= p.Keys
	}
	if keys != 0 {
		t.Errorf("%d keys too few", keys)
	}

	masters, replicas := nodes(t, lc)
	masters[1].Kill()
	takenOver(t, lc, masters[1], replicas[1])
	lost, kept, _ = again(before, 0)
	if len(lost) != 1 || len(kept) != 2 || lost[0].Addr != replicas[1].Addr || !strings.Contains(lost[0].Reason, "taken over") {
		t.Errorf("%+v, %+v", lost, kept)
	}
	back(t, lc, masters[1])
	// That replicas confirm what is sent from now on says nothing about what was sent.
	if lost, _, _ := again(before, 1); len(lost) != 1 {
		t.Errorf("%+v", lost)
	}
}

// TestAfter adds what an import does to what an earlier one has done.
func TestAfter(t *testing.T) {
	before := []pipeline.Process{
		{ID: "same", RunID: "1", Keys: 10, Replicas: []string{"b", "c"}, Confirm: 2},
		{ID: "restarted", RunID: "1", Keys: 10, Replicas: []string{"d"}},
		{ID: "gone", RunID: "1", Keys: 10},
	}
	now := []pipeline.Process{
		{ID: "same", RunID: "1", Keys: 5, Replicas: []string{"a", "b"}, Confirm: 1},
		{ID: "restarted", RunID: "2", Keys: 5, Confirm: 1},
	}
	want := []pipeline.Process{
		{ID: "same", RunID: "1", Keys: 15, Replicas: []string{"a", "b", "c"}, Confirm: 1},
		{ID: "restarted", RunID: "2", Keys: 5, Confirm: 1},
		{ID: "gone", RunID: "1", Keys: 10},
	}
	if got := pipeline.After(before, now); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// noted imports n keys, and returns what is noted of the masters then.
func noted(t *testing.T, c *slotter.Cluster, n int) []pipeline.Process {
	t.Helper()
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
	noError(t, err)
	noError(t, im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(numbered(t, n)), rdbparse.Options{})))
	_, err = im.Close()
	noError(t, err)
	return im.Processes()
}

// TestLostMeanwhile goes on with an import of which nothing is lost yet, and has a master
// restarted, which keeps nothing, before it has been sent anything again.
func TestLostMeanwhile(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	before, victim := noted(t, connect(t, lc.URL()), 3000), lc.Masters()[1]

	im, err := pipeline.New(t.Context(), connect(t, lc.URL()), all(pipeline.ConflictFail))
	noError(t, err)
	if lost, kept := im.LostSince(before); len(lost) != 0 || len(kept) != 3 {
		t.Errorf("%+v, %+v", lost, kept)
	}
	for _, p := range im.Processes() {
		if p.Keys != 0 {
			t.Errorf("%+v", p)
		}
	}
	back(t, lc, victim)
	res, err := im.Close()
	noError(t, err)
	for _, p := range before {
		if p.ID == victim.ID && (len(res.Losses) != 1 || res.Losses[0].Addr != victim.Addr || res.Losses[0].Keys != p.Keys) {
			t.Errorf("%+v had %d keys: %+v", victim.Addr, p.Keys, res.Losses)
		}
	}
}

// TestLostSinceRestart does so with a master that was restarted and keeps nothing.
func TestLostSinceRestart(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	before, victim := noted(t, connect(t, lc.URL()), 3000), lc.Masters()[2]
	back(t, lc, victim)
	im, err := pipeline.New(t.Context(), connect(t, lc.URL()), all(pipeline.ConflictFail))
	noError(t, err)
	lost, kept := im.LostSince(before)
	if len(lost) != 1 || len(kept) != 2 || lost[0].Addr != victim.Addr || lost[0].Keys < 500 || !strings.Contains(lost[0].Reason, "restarted") {
		t.Errorf("%+v, %+v", lost, kept)
	}
	// What an import that goes on once more has to know: the restarted one has nothing.
	for _, p := range pipeline.After(kept, im.Processes()) {
		if p.ID == victim.ID && p.Keys != 0 {
			t.Errorf("%+v", p)
		}
	}
	_, err = im.Close()
	noError(t, err)
}

// TestLostSinceFlush does so with a master all keys of which somebody has removed, as one
// does who wants to begin anew and forgets the checkpoint.
func TestLostSinceFlush(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	before, victim := noted(t, c, 3000), lc.Masters()[1]
	must(t, victim, "FLUSHALL")
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
	noError(t, err)
	lost, kept := im.LostSince(before)
	if len(lost) != 1 || len(kept) != 2 || lost[0].Addr != victim.Addr || lost[0].Keys < 500 || !strings.Contains(lost[0].Reason, "is empty") {
		t.Errorf("%+v, %+v", lost, kept)
	}
	_, err = im.Close()
	noError(t, err)
}

// TestLostSinceGivenUp does so with a master that is gone, and whose slots others have, and
// with one whose slots and keys have been moved away.
func TestLostSinceGivenUp(t *testing.T) {
	redisCLI(t)
	t.Parallel()
	lc := start(t, localcluster.Options{Masters: 4})
	c := connect(t, lc.URL())
	before, moved, gone := noted(t, c, 4000), lc.Masters()[2], lc.Masters()[3]
	noError(t, cluster(t, "reshard", lc.Addrs()[0], "--cluster-from", moved.ID, "--cluster-to", lc.Masters()[1].ID,
		"--cluster-slots", strconv.Itoa(slotter.Slots/4), "--cluster-yes"))
	gone.Kill()
	await(t, "the master to be missed", func() bool {
		return strings.Contains(lc.Masters()[0].Client().ClusterNodes(t.Context()).Val(), "master,fail ")
	})
	noError(t, cluster(t, "fix", lc.Addrs()[0], "--cluster-fix-with-unreachable-masters", "--cluster-yes"))
	var im *pipeline.Importer
	await(t, "all slots to have an owner that is there, as every node knows", func() bool {
		again, err := slotter.Connect(t.Context(), c.Target(), slotter.Options{})
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = again.Close() })
		im, err = pipeline.New(t.Context(), again, all(pipeline.ConflictFail))
		return err == nil
	})
	lost, kept := im.LostSince(before)
	if len(lost) != 1 || len(kept) != 3 || lost[0].Addr != gone.Addr || lost[0].Keys < 500 {
		t.Errorf("%+v, %+v", lost, kept)
	}
	for i := range before { // as a checkpoint has them in which there are no addresses
		before[i].Addr = ""
	}
	if lost, _ := im.LostSince(before); len(lost) != 1 || lost[0].Addr != "node "+gone.ID {
		t.Errorf("%+v", lost)
	}
	_, err := im.Close()
	noError(t, err)
}
