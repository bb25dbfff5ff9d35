package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// cutOffFrom starts a master that is one of a cluster, by its id and its slots, and that
// the others do not reach, nor it them: it goes on as things were when it was started.
func cutOffFrom(t *testing.T, lc *localcluster.Cluster, n *localcluster.Node) *localcluster.Node {
	t.Helper()
	// What it shows of the cluster is what it keeps of it. No bus has port 1.
	text := n.Client().ClusterNodes(t.Context()).Val()
	text = regexp.MustCompile(`@\d+`).ReplaceAllString(text, "@1") + "vars currentEpoch 3 lastVoteEpoch 0\n"
	file := filepath.Join(t.TempDir(), "nodes.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := start(t, localcluster.Options{Standalone: true,
		Config: []string{"cluster-enabled yes", "cluster-config-file " + file, "cluster-node-timeout 3600000"}}).Nodes()[0]
	await(t, "the master that is cut off to serve its slots", func() bool {
		return strings.Contains(cut.Client().ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	return cut
}

// TestSplit imports into a cluster of which a master is cut off: it still is reached from
// here, and accepts keys, but its replica takes its place, or may at any time.
func TestSplit(t *testing.T) {
	t.Parallel()
	const n = 5_000
	for _, heir := range []string{"takes over", "is about to"} {
		t.Run(heir, func(t *testing.T) {
			t.Parallel()
			lc := start(t, replicated)
			masters, replicas := nodes(t, lc)
			cut := cutOffFrom(t, lc, masters[0])
			target, err := slotter.ParseTarget("redis://" + cut.Addr)
			if err != nil {
				t.Fatal(err)
			}
			c, err := slotter.Connect(t.Context(), target, slotter.Options{AddrMap: map[string]string{masters[0].Addr: cut.Addr}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // nothing is lost
			r := beginOpen(t, c, numbered(t, n), all(pipeline.ConflictFail))
			r.reach(n)
			if heir == "takes over" {
				failOver(t, lc, masters[0], replicas[0])
			} else {
				must(t, replicas[0], "CONFIG", "SET", "cluster-replica-no-failover", "yes")
				masters[0].Kill()
				await(t, "the others to think that it has failed", func() bool {
					nodes := masters[1].Client().ClusterNodes(t.Context()).Val()
					return regexp.MustCompile(masters[0].ID + `.* master,fail `).MatchString(nodes)
				})
			}
			close(r.last)
			res := r.complete(n)
			has := int(cut.Client().DBSize(t.Context()).Val())
			if has == 0 || lost(res) < has || len(res.Losses) != 1 || res.Losses[0].Addr != cut.Addr {
				t.Errorf("%d keys are on the master that is cut off, and reported are %s", has, fmt.Sprint(res.Losses))
			}
			if heir == "takes over" && res.Duration > 10*time.Second {
				t.Errorf("the end took %v", res.Duration)
			}
		})
	}
}
