package pipeline_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// replicated is three masters with a replica each, which takes over soon.
var replicated = localcluster.Options{Replicas: 1, NodeTimeout: 1500 * time.Millisecond}

// TestMasterKilled kills a master at ten different moments, half the times one
// whose replica has been cut off for a while. What the replica had not got may be
// missing, and must be reported then; the repair brings it.
func TestMasterKilled(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	const n = 100_000
	dump, total := numbered(t, n), 0
	for round, percent := range []int{1, 10, 20, 30, 40, 50, 60, 70, 80, 90} {
		masters, replicas := nodes(t, lc)
		flushNodes(t, masters)
		c, _, err := look(t.Context(), lc)
		if err != nil {
			t.Fatal(err)
		}
		victim, behind := round%len(masters), round%2 == 1
		r := begin(t, c, dump, all(policies[round%len(policies)]))
		if behind {
			r.reach(n / 200 * percent)
			cutOff(t, masters[victim], replicas[victim])
		}
		r.reach(n / 100 * percent)
		masters[victim].Kill()
		res := r.complete(n)
		takenOver(t, lc, masters[victim], replicas[victim])
		if behind {
			must(t, replicas[victim], "CONFIG", "SET", "masterauth", "")
		}
		back(t, lc, masters[victim])
		absent := missing(t, lc, n)
		total += absent
		if absent > lost(res) {
			t.Errorf("at %d%%: %d keys are missing, but only %d are reported: %+v", percent, absent, lost(res), res.Losses)
		}
		if percent >= 10 && (res.Failovers == 0 || len(res.Losses) == 0) {
			t.Errorf("at %d%%: a failover and a possible loss are not reported: %+v", percent, res)
		}
		repair(t, lc, dump, n, absent)
		_ = c.Close()
	}
	if total < n/20 {
		t.Errorf("%d keys were lost in all: the replicas were not behind", total)
	}
}

// cutOff keeps a replica from replicating: it cannot log in at its master.
func cutOff(t *testing.T, master, replica *localcluster.Node) {
	t.Helper()
	must(t, replica, "CONFIG", "SET", "masterauth", "wrong")
	must(t, master, "CLIENT", "KILL", "TYPE", "replica")
}

// TestMasterKilledTwice kills a master, and then the replica that has taken its
// place, in one import.
func TestMasterKilledTwice(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	const n = 100_000
	dump := numbered(t, n)
	c := connect(t, lc.URL())
	masters, replicas := nodes(t, lc)
	first, second := part(dump, 0.5), part(dump, 0.8)
	r := begin(t, c, dump, all(pipeline.ConflictFail), first, second)
	r.reach(n / 4)
	masters[0].Kill()
	takenOver(t, lc, masters[0], replicas[0])
	back(t, lc, masters[0])
	close(first.open)
	r.reach(n / 100 * 65)
	replicas[0].Kill()
	takenOver(t, lc, replicas[0], masters[0])
	close(second.open)
	res := r.complete(n)
	back(t, lc, replicas[0])
	absent := missing(t, lc, n)
	if absent > lost(res) {
		t.Errorf("%d keys are missing, but only %d are reported: %+v", absent, lost(res), res.Losses)
	}
	if res.Failovers != 2 || len(res.Losses) != 2 {
		t.Errorf("two failovers, and reported are %d, losses %+v", res.Failovers, res.Losses)
	}
	repair(t, lc, dump, n, absent)
}

// TestKilledAfterLastReply kills a master when everything was accepted and the
// import is about to end: what it had accepted counts as restored, and may be
// lost all the same.
func TestKilledAfterLastReply(t *testing.T) {
	t.Parallel()
	const n = 20_000
	t.Run("failover", func(t *testing.T) {
		lc := start(t, replicated)
		masters, replicas := nodes(t, lc)
		r := beginOpen(t, connect(t, lc.URL()), numbered(t, n), all(pipeline.ConflictFail))
		r.reach(n)
		masters[1].Kill()
		takenOver(t, lc, masters[1], replicas[1])
		close(r.last)
		res := r.complete(n)
		if absent := missing(t, lc, n); absent > lost(res) || len(res.Losses) != 1 {
			t.Errorf("%d keys are missing, and reported are %+v", absent, res.Losses)
		}
	})
	t.Run("restart", func(t *testing.T) {
		lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
		r := beginOpen(t, connect(t, lc.URL()), numbered(t, n), all(pipeline.ConflictFail))
		r.reach(n)
		back(t, lc, lc.Masters()[1])
		close(r.last)
		res := r.complete(n)
		if absent := missing(t, lc, n); absent == 0 || absent > lost(res) {
			t.Errorf("%d keys are missing, and reported are %+v", absent, res.Losses)
		}
	})
}

// TestMasterFrozen freezes a master that has nothing unreplicated until its
// replica has taken over. Whatever it says when it wakes up, full of commands and
// not knowing that it is no master any more, must not be believed: no key may be
// missing.
func TestMasterFrozen(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	const n = 150_000
	dump := numbered(t, n)
	for round, policy := range policies {
		for _, wakes := range []bool{true, false} {
			masters, replicas := nodes(t, lc)
			flushNodes(t, masters)
			c, _, err := look(t.Context(), lc)
			if err != nil {
				t.Fatal(err)
			}
			frozen, heir := masters[round], replicas[round]
			quiet := part(dump, 0.3)
			opts := all(policy)
			opts.Memory = 8 << 20 // much of it is on its way when the master wakes up
			r := begin(t, c, dump, opts, quiet)
			replicatedAll(t, r, n/5, masters, replicas)
			if err := frozen.Pause(); err != nil {
				t.Fatal(err)
			}
			close(quiet.open)
			takenOver(t, lc, frozen, heir)
			if wakes {
				if err := frozen.Resume(); err != nil {
					t.Fatal(err)
				}
			}
			res := r.complete(n)
			if !wakes { // the import must not have needed it
				if err := frozen.Resume(); err != nil {
					t.Fatal(err)
				}
			}
			if err := lc.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if absent := missing(t, lc, n); absent != 0 {
				t.Errorf("%s, wakes %v: %d keys are missing, reported are %+v", policy, wakes, absent, res.Losses)
			}
			_ = c.Close()
		}
	}
}

// flushNodes empties masters, and their replicas with them.
func flushNodes(t *testing.T, masters []*localcluster.Node) {
	t.Helper()
	for _, m := range masters {
		must(t, m, "FLUSHALL")
	}
}

// replicatedAll waits until at least n keys have arrived, nothing is on its way,
// and the replicas have everything.
func replicatedAll(t *testing.T, r *run, n int, masters, replicas []*localcluster.Node) {
	t.Helper()
	r.reach(n)
	before := int64(-1)
	await(t, "the replicas to have everything", func() bool {
		arrived := r.im.Snapshot().Restored
		sum := int64(0)
		for i := range masters {
			at, err := masters[i].Client().DBSize(t.Context()).Result()
			behind, err2 := replicas[i].Client().DBSize(t.Context()).Result()
			if errors.Join(err, err2) != nil || at != behind {
				return false
			}
			sum += at
		}
		settled := sum == arrived && sum == before
		before = sum
		return settled
	})
}

// TestMasterFrozenUnderLoad freezes a master in full flow; what it had accepted
// before and not replicated may be missing, and must be reported then.
func TestMasterFrozenUnderLoad(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	const n = 150_000
	dump := numbered(t, n)
	for round, percent := range []int{10, 40, 70} {
		masters, replicas := nodes(t, lc)
		flushNodes(t, masters)
		c, _, err := look(t.Context(), lc)
		if err != nil {
			t.Fatal(err)
		}
		opts := all(policies[round])
		opts.Memory = 2 << 20
		r := begin(t, c, dump, opts)
		r.reach(n / 100 * percent)
		if err := masters[round].Pause(); err != nil {
			t.Fatal(err)
		}
		takenOver(t, lc, masters[round], replicas[round])
		if err := masters[round].Resume(); err != nil {
			t.Fatal(err)
		}
		res := r.complete(n)
		if err := lc.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		absent := missing(t, lc, n)
		if absent > lost(res) {
			t.Errorf("%d keys are missing, but only %d are reported: %+v", absent, lost(res), res.Losses)
		}
		repair(t, lc, dump, n, absent)
		_ = c.Close()
	}
}

// TestMasterRestartedEmpty restarts a master without persistence so soon that
// nobody takes its place: its data is gone, and that must be said.
func TestMasterRestartedEmpty(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
	const n = 100_000
	dump := numbered(t, n)
	for round, policy := range policies {
		flush(t, lc)
		victim := lc.Masters()[round]
		g := part(dump, 0.7)
		r := begin(t, connect(t, lc.URL()), dump, all(policy), g)
		r.reach(n / 2)
		back(t, lc, victim)
		close(g.open)
		res := r.complete(n)
		absent := missing(t, lc, n)
		if absent < n/10 {
			t.Fatalf("only %d keys are missing: the master had hardly any", absent)
		}
		if absent > lost(res) {
			t.Errorf("%d keys are missing, but only %d are reported: %+v", absent, lost(res), res.Losses)
		}
		for _, l := range res.Losses {
			if l.Addr != victim.Addr || l.Reason == "" {
				t.Errorf("loss %+v, but %s was restarted", l, victim.Addr)
			}
		}
		repair(t, lc, dump, n, absent)
	}
}

// TestRestartedEmptyWithReplica restarts a master without persistence so soon that
// its replica copies its emptiness: then even what a replica had confirmed is
// gone, and that must be said.
func TestRestartedEmptyWithReplica(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Replicas: 1, NodeTimeout: 30 * time.Second})
	const n = 50_000
	dump := numbered(t, n)
	g := part(dump, 0.7)
	opts := all(pipeline.ConflictFail)
	opts.WaitReplicas = 1
	r := begin(t, connect(t, lc.URL()), dump, opts, g)
	r.reach(n / 2)
	back(t, lc, lc.Masters()[2])
	close(g.open)
	res := r.complete(n)
	absent := missing(t, lc, n)
	if absent < n/10 || absent > lost(res) {
		t.Errorf("%d keys are missing, and reported are %+v", absent, res.Losses)
	}
	repair(t, lc, dump, n, absent)
}

// TestManualFailover has the replicas take over in mid-run as an operator does
// it, which loses nothing.
func TestManualFailover(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	const n = 150_000
	dump := numbered(t, n)
	for _, policy := range policies {
		masters, replicas := nodes(t, lc)
		flushNodes(t, masters)
		c, _, err := look(t.Context(), lc)
		if err != nil {
			t.Fatal(err)
		}
		gates := []gate{part(dump, 0.3), part(dump, 0.6), part(dump, 0.9)}
		r := begin(t, c, dump, all(policy), gates...)
		for i := range masters {
			r.reach(n / 10 * (3*i + 1))
			failOver(t, lc, masters[i], replicas[i])
			close(gates[i].open)
		}
		r.complete(n)
		if absent := missing(t, lc, n); absent != 0 {
			t.Errorf("%s: %d keys are missing", policy, absent)
		}
		if err := lc.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

// TestFollowed makes a server the replica of another one for a moment, or for good, as a
// failover does behind an address that stays: it is the same process all the time, and has
// nothing of what it had.
func TestFollowed(t *testing.T) {
	t.Parallel()
	const n = 100_000
	for _, forGood := range []bool{false, true} {
		lc, other := start(t, localcluster.Options{Standalone: true}), start(t, localcluster.Options{Standalone: true})
		server, dump := lc.Nodes()[0], numbered(t, n)
		g := part(dump, 0.6)
		r := beginOpen(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail), g)
		r.reach(n / 2)
		follow := func() {
			host, port, err := net.SplitHostPort(other.Nodes()[0].Addr)
			noError(t, err)
			must(t, server, "REPLICAOF", host, port)
			await(t, "the replica to have all", func() bool {
				return strings.Contains(server.Client().Info(t.Context(), "replication").Val(), "master_link_status:up")
			})
		}
		if !forGood {
			follow()
			must(t, server, "REPLICAOF", "NO", "ONE")
		}
		close(g.open)
		r.reach(n)
		if forGood {
			follow()
		}
		close(r.last)
		res := r.complete(n)
		absent := n - int(server.Client().DBSize(t.Context()).Val())
		if absent < n/2 || lost(res) < absent || len(res.Losses) != 1 {
			t.Errorf("for good: %v: %d keys are missing, and reported is %+v", forGood, absent, res.Losses)
		}
		// An import that goes on later finds the same.
		before := r.im.Processes()
		must(t, server, "REPLICAOF", "NO", "ONE")
		must(t, server, "SET", "new", "key")
		im, err := pipeline.New(t.Context(), connect(t, lc.URL()), all(pipeline.ConflictFail))
		noError(t, err)
		if lost, _ := im.LostSince(before); len(lost) != 1 && forGood || len(lost) != 0 && !forGood {
			t.Errorf("for good: %v: %+v", forGood, lost)
		}
		_, err = im.Close()
		noError(t, err)
	}
}

// TestWaitReplicas kills masters again and again in imports that wait for a
// replica: not one key may be missing.
func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Replicas: 1, NodeTimeout: time.Second})
	const (
		n     = 50_000
		kills = 5
	)
	dump := numbered(t, n)
	for round := range 4 {
		masters, _ := nodes(t, lc)
		flushNodes(t, masters)
		c, _, err := look(t.Context(), lc)
		if err != nil {
			t.Fatal(err)
		}
		var gates []gate
		for k := range kills {
			gates = append(gates, part(dump, (float64(k)+0.9)/kills))
		}
		opts := all(policies[round%len(policies)])
		opts.WaitReplicas = 1
		r := begin(t, c, dump, opts, gates...)
		for k := range kills {
			masters, replicas := nodes(t, lc)
			victim := (round + k) % len(masters)
			r.reach(n / kills * (4*k + round) / 4)
			masters[victim].Kill()
			takenOver(t, lc, masters[victim], replicas[victim])
			back(t, lc, masters[victim])
			close(gates[k].open)
		}
		res := r.complete(n)
		if absent := missing(t, lc, n); absent != 0 {
			t.Errorf("round %d: %d keys are missing, reported are %+v", round, absent, res.Losses)
		}
		if len(res.Losses) != 0 {
			t.Errorf("round %d: nothing can be lost, but reported are %+v", round, res.Losses)
		}
		_ = c.Close()
	}
}
