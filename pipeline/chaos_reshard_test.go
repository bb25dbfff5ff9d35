package pipeline_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// redisCLI returns what runs redis-cli.
func redisCLI(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-cli")
	needs.Have(t, err)
	return path
}

// cluster runs redis-cli --cluster with arguments.
func cluster(t *testing.T, args ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), redisCLI(t), append([]string{"--cluster"}, args...)...)
	cmd.Stdin = strings.NewReader("yes\n") // --cluster-yes does not answer all that is asked
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s\n%s", cmd, out[max(0, len(out)-2000):])
	}
	return err
}

// join adds an empty master to a cluster.
func join(t *testing.T, lc *localcluster.Cluster) *localcluster.Node {
	t.Helper()
	extra := start(t, localcluster.Options{Standalone: true,
		Config: []string{"cluster-enabled yes", "cluster-config-file nodes.conf"}}).Nodes()[0]
	id, err := extra.Client().Do(t.Context(), "CLUSTER", "MYID").Text()
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(extra.Addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range lc.Nodes() {
		must(t, n, "CLUSTER", "MEET", host, port)
	}
	all := append(lc.Nodes()[:len(lc.Nodes()):len(lc.Nodes())], extra)
	await(t, "the new master to be known", func() bool {
		for _, n := range all {
			text, err := n.Client().ClusterNodes(t.Context()).Result()
			if err != nil || strings.Count(text, " connected") != len(all) || strings.Contains(text, "handshake") || !strings.Contains(text, id) {
				return false
			}
			if info := n.Client().ClusterInfo(t.Context()).Val(); !strings.Contains(info, "cluster_state:ok") {
				return false
			}
		}
		return true
	})
	extra.ID = id
	return extra
}

// TestReshardLive moves thousands of slots with redis-cli while an import goes
// on, and then spreads all slots over a new master too.
func TestReshardLive(t *testing.T) {
	redisCLI(t)
	const n = 100_000
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			lc := start(t, localcluster.Options{})
			dump := numbered(t, n)
			extra := join(t, lc)
			moves := [][]string{
				{"reshard", lc.Addrs()[0], "--cluster-from", lc.Masters()[0].ID, "--cluster-to", lc.Masters()[2].ID, "--cluster-slots", "2000", "--cluster-yes"},
				{"rebalance", lc.Addrs()[0], "--cluster-use-empty-masters", "--cluster-threshold", "1", "--cluster-weight", extra.ID + "=0.5"},
			}
			gates := []gate{part(dump, 0.5), part(dump, 0.9)}
			opts := all(policy)
			opts.RateKeys = 15_000 // so that the moves have company
			r := begin(t, connect(t, lc.URL()), dump, opts, gates...)
			for i, args := range moves {
				r.reach(n / 100 * (5 + 45*i))
				if err := cluster(t, args...); err != nil {
					t.Fatal(err)
				}
				close(gates[i].open)
			}
			res := r.complete(n)
			if res.Redirects == 0 {
				t.Errorf("no redirection was met: %+v", res)
			}
			if len(res.Losses) != 0 {
				t.Errorf("nothing was lost, but reported is %+v", res.Losses)
			}
			if absent := missing(t, lc, n); absent != 0 {
				t.Errorf("%d keys are missing", absent)
			}
			if got := extra.Client().DBSize(t.Context()).Val(); got < n/20 {
				t.Errorf("the new master has only %d keys", got)
			}
			same(t, lc, dump, n)
		})
	}
}

// midway starts three masters and an import of a numbered dump into them, which has
// brought some keys and waits before the last two fifths of the dump.
func midway(t *testing.T, n, brought int) (*localcluster.Cluster, *run, gate) {
	t.Helper()
	lc := start(t, localcluster.Options{})
	dump := numbered(t, n)
	g := part(dump, 0.6)
	r := begin(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail), g)
	r.reach(brought)
	return lc, r, g
}

// TestMasterRemoved moves all slots of a master away, and ends it, in mid-run.
func TestMasterRemoved(t *testing.T) {
	redisCLI(t)
	t.Parallel()
	const n = 100_000
	lc, r, g := midway(t, n, n/10)
	gone, to := lc.Masters()[1], lc.Masters()[2]
	err := cluster(t, "reshard", lc.Addrs()[0], "--cluster-from", gone.ID, "--cluster-to", to.ID,
		"--cluster-slots", strconv.Itoa(slotter.Slots/3), "--cluster-yes")
	err = errors.Join(err, cluster(t, "del-node", lc.Addrs()[0], gone.ID))
	if err != nil {
		t.Fatal(err)
	}
	gone.Kill()
	close(g.open)
	if res := r.complete(n); len(res.Losses) != 0 {
		t.Errorf("nothing was lost, but reported is %+v", res.Losses)
	}
	if absent := missing(t, lc, n); absent != 0 {
		t.Errorf("%d keys are missing", absent)
	}
}

// TestMasterGivenUp kills a master that has no replica, and has others own its slots, as
// somebody does who wants the cluster to work again: the import comes to its end, and says
// what is gone.
func TestMasterGivenUp(t *testing.T) {
	redisCLI(t)
	t.Parallel()
	const n = 100_000
	lc, r, g := midway(t, n, n/2)
	gone := lc.Masters()[1]
	gone.Kill()
	await(t, "the master to be missed", func() bool {
		return strings.Contains(lc.Masters()[0].Client().ClusterNodes(t.Context()).Val(), "master,fail ")
	})
	if err := cluster(t, "fix", lc.Addrs()[0], "--cluster-fix-with-unreachable-masters", "--cluster-yes"); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	lostWith(t, lc, gone, n, r.complete(n))
}

// lostWith expects an import of a numbered dump to report what is gone with a master; of
// one that is at its address again, what it has by now is in question too.
func lostWith(t *testing.T, lc *localcluster.Cluster, gone *localcluster.Node, n int, res pipeline.Result) {
	t.Helper()
	absent := missing(t, lc, n)
	if absent < n/10 {
		t.Errorf("only %d keys are missing", absent)
	}
	if len(res.Losses) != 1 || lost(res) < absent || lost(res) > 3*absent || res.Losses[0].Addr != gone.Addr {
		t.Errorf("%d keys are missing, and reported is %+v", absent, res.Losses)
	}
}

// TestMasterAnew does so with a master that comes back at its address as another node,
// which knows nothing, and is given the same slots.
func TestMasterAnew(t *testing.T) {
	t.Parallel()
	const n = 100_000
	lc, r, g := midway(t, n, n/2)
	gone, others := lc.Masters()[1], []*localcluster.Node{lc.Masters()[0], lc.Masters()[2]}
	gone.Kill()
	noError(t, os.Remove(filepath.Join(gone.Dir, "nodes.conf")))
	noError(t, gone.Restart(t.Context()))
	for _, m := range others {
		must(t, m, "CLUSTER", "FORGET", gone.ID)
	}
	for slot := slotter.Slots / 3; slot <= 2*slotter.Slots/3+1; slot++ {
		_ = gone.Client().ClusterAddSlots(t.Context(), slot).Err() // those at the edges are others'
	}
	host, port, err := net.SplitHostPort(others[0].Addr)
	noError(t, err)
	must(t, gone, "CLUSTER", "MEET", host, port)
	await(t, "all slots to have an owner", func() bool {
		for _, m := range lc.Masters() {
			if !strings.Contains(m.Client().ClusterInfo(t.Context()).Val(), "cluster_state:ok") {
				return false
			}
		}
		return true
	})
	close(g.open)
	lostWith(t, lc, gone, n, r.complete(n))
}

// TestLeftBehind takes slots from a master and gives them to another one in mid-run, and does
// not move their keys: the import says how many are where nobody finds them.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	const n, slots = 100_000, 200
	lc, r, g := midway(t, n, n/2)
	from, to := lc.Masters()[0], lc.Masters()[2]
	for slot := range slots {
		for _, m := range lc.Masters() {
			must(t, m, "CLUSTER", "DELSLOTS", slot)
		}
		must(t, to, "CLUSTER", "ADDSLOTS", slot)
	}
	must(t, to, "CLUSTER", "BUMPEPOCH") // all believe it
	for _, m := range lc.Masters() {
		await(t, "the new owner to be known", func() bool {
			info := m.Client().ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384")
		})
	}
	close(g.open)
	res := r.complete(n)
	left := 0
	for slot := range slots {
		left += int(from.Client().ClusterCountKeysInSlot(t.Context(), slot).Val())
	}
	if left < slots || len(res.Losses) != 1 || res.Losses[0].Addr != from.Addr || !strings.Contains(res.Losses[0].Slots, "-19") || strings.Contains(res.Losses[0].Slots, ",") || lost(res) != left {
		t.Errorf("%d keys are left behind, and reported is %+v", left, res.Losses)
	}
}
