package pipeline_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestLaggardTakesOver kills a master whose keys one of two replicas has confirmed, and
// has the other take over, which has not got them: that must be said.
func TestLaggardTakesOver(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Replicas: 2, NodeTimeout: 1500 * time.Millisecond})
	const n = 50_000
	dump := numbered(t, n)
	master, laggard := lc.Masters()[0], lc.Replicas(0)[1]
	early, late := part(dump, 0.1), part(dump, 0.6)
	opts := all(pipeline.ConflictFail)
	opts.WaitReplicas = 1
	r := begin(t, connect(t, lc.URL()), dump, opts, early, late)
	r.reach(n / 20)
	cutOff(t, master, laggard)
	close(early.open)
	r.reach(n / 2)
	before := r.im.Processes()
	master.Kill()
	await(t, "the laggard to take over", func() bool {
		_ = laggard.Client().Do(t.Context(), "CLUSTER", "FAILOVER", "TAKEOVER").Err() // until it is known
		return see(t, lc, master).owns(laggard.ID)
	})
	close(late.open)
	res := r.complete(n)
	absent := missing(t, lc, n)
	if absent < n/10 || absent > lost(res) || res.Failovers == 0 {
		t.Errorf("%d keys are missing, and reported are %d failovers and %+v", absent, res.Failovers, res.Losses)
	}

	// An import that goes on later has to find that as well.
	must(t, laggard, "CONFIG", "SET", "masterauth", "")
	back(t, lc, master)
	c, _, err := look(t.Context(), lc)
	noError(t, err)
	defer c.Close() //nolint:errcheck // nothing is lost
	im, err := pipeline.New(t.Context(), c, opts)
	noError(t, err)
	if lost, _ := im.LostSince(before); len(lost) != 1 || lost[0].Addr != laggard.Addr {
		t.Errorf("lost between two imports: %+v", lost)
	}
	_, err = im.Close()
	noError(t, err)
}

// TestBrokenUnconfirmed breaks the connection to a master which has accepted all keys while
// its replica has none of them: nothing else goes through that connection any more, and
// the keys are to be sent again.
func TestBrokenUnconfirmed(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true, Replicas: 1, Config: []string{"repl-timeout 600"}})
	const n = 10 // in one batch
	g, c := behind(t, lc, 1)
	replica := lc.Nodes()[1]
	noError(t, replica.Pause())
	defer replica.Resume() //nolint:errcheck // it has been, or the test has failed
	opts := all(pipeline.ConflictFail)
	opts.WaitReplicas = 1
	r := begin(t, c, numbered(t, n), opts)
	await(t, "the replica to have been waited for in vain", func() bool {
		return r.im.Snapshot().Masters[0].State == pipeline.MasterWaiting
	})
	if g.Cut() == 0 {
		t.Error("there was no connection")
	}
	noError(t, replica.Resume())
	if res := r.complete(n); res.Reconnects == 0 {
		t.Errorf("the connection has not broken: %+v", res)
	}
}

// TestLateReplica has a replica take over that the master has got in the course of the
// import, and that has not got everything: that must be said. An operator orders it, so
// nothing makes anybody look at the cluster before it has happened.
func TestLateReplica(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	const n = 50_000
	dump := numbered(t, n)
	master, late := lc.Masters()[0], lc.Replicas(0)[0]
	follow := func(of *localcluster.Node) {
		must(t, late, "CLUSTER", "REPLICATE", of.ID)
		await(t, "the other nodes to know whose replica it is", func() bool {
			return !slices.ContainsFunc(lc.Nodes(), func(n *localcluster.Node) bool {
				text, err := n.Client().ClusterNodes(t.Context()).Result()
				return err != nil || !follows(text, late.ID, of.ID)
			})
		})
	}
	follow(lc.Masters()[1])
	early, rest := part(dump, 0.3), part(dump, 0.6)
	r := begin(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail), early, rest)
	r.reach(n / 4)
	follow(master)
	await(t, "the replica to be in sync", func() bool {
		size, err := late.Client().DBSize(t.Context()).Result()
		return err == nil && size == master.Client().DBSize(t.Context()).Val() && size > 0
	})
	await(t, "the import to know the replica", func() bool {
		return slices.ContainsFunc(r.im.Processes(), func(p pipeline.Process) bool {
			return p.ID == master.ID && slices.Contains(p.Replicas, late.ID)
		})
	})
	cutOff(t, master, late)
	close(early.open)
	r.reach(n / 2)
	must(t, late, "CLUSTER", "FAILOVER", "TAKEOVER")
	takenOver(t, lc, master, late)
	close(rest.open)
	res := r.complete(n)
	if absent := missing(t, lc, n); absent == 0 || absent > lost(res) || res.Failovers == 0 {
		t.Errorf("%d keys are missing, and reported are %d failovers and %+v", absent, res.Failovers, res.Losses)
	}
}

// follows reports whether an answer to CLUSTER NODES has a node as a master's replica.
func follows(nodes, id, master string) bool {
	for line := range strings.Lines(nodes) {
		if f := strings.Fields(line); len(f) >= 8 && f[0] == id {
			return f[3] == master
		}
	}
	return false
}
