package slotter

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// seedPatience is how long seeds are waited for that are asked only whether they belong to the others. One of them may be dead.
const seedPatience = time.Second

// checkSeeds returns an error if one of the other seeds answers, and belongs to another cluster than the one that c was made from: data
// would go where the user may not mean it to. Those that do not tell are let pass. took is how long the seed of c took to answer.
func (c *Cluster) checkSeeds(ctx context.Context, others []string, took time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, seedPatience+2*took)
	defer cancel()
	strangers := make([]bool, len(others))
	var all sync.WaitGroup
	for i, addr := range others {
		all.Go(func() { strangers[i] = c.stranger(ctx, addr) })
	}
	all.Wait()
	for i, addr := range others {
		if strangers[i] {
			return &NodeError{Addr: addr, Kind: ErrOtherCluster, Msg: fmt.Sprintf("it has nothing to do with %s, which the target names too", c.seed.Addr)}
		}
	}
	return nil
}

// stranger reports whether the node at addr is known to belong to another cluster than c, or to be another standalone server.
func (c *Cluster) stranger(ctx context.Context, addr string) bool {
	s, err := c.server(ctx, addr)
	switch {
	case err != nil:
		return false
	case s.Cluster != c.seed.Cluster:
		return true
	case !s.Cluster: // a replica has its master's history, once it has its data
		return s.Role == "master" && s.RunID != c.seed.RunID && s.History != c.seed.History
	}
	m, err := c.askMap(ctx, addr)
	if err != nil || len(m.Masters) == 0 || len(c.newest.Masters) == 0 {
		return false
	}
	known := c.newest.ids()
	for id := range m.ids() {
		if known[id] {
			return false
		}
	}
	return true
}

// ids returns the ids of the masters and their replicas. Where a node is a replica is soon out of date, that it is a node is not.
func (m *Map) ids() map[string]bool {
	all := make(map[string]bool)
	for _, n := range m.Masters {
		all[n.ID] = true
		for _, r := range n.Replicas {
			all[r.ID] = true
		}
	}
	return all
}
