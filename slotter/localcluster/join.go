package localcluster

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/rdbimport/rdbimport/slotter"
)

// join makes the nodes a cluster: slots, epochs, meetings, replicas.
func (c *Cluster) join(ctx context.Context) error {
	for i, n := range c.nodes {
		id, err := n.client.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			return fmt.Errorf("%s: CLUSTER MYID: %w", n.Addr, err)
		}
		n.ID = id
		// Epochs of their own keep the masters from settling that among themselves later.
		if err := n.client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return fmt.Errorf("%s: CLUSTER SET-CONFIG-EPOCH: %w", n.Addr, err)
		}
	}
	for i, n := range c.Masters() {
		first, last := i*slotter.Slots/c.opt.Masters, (i+1)*slotter.Slots/c.opt.Masters-1
		if err := c.addSlots(ctx, n, first, last); err != nil {
			return fmt.Errorf("%s: %w", n.Addr, err)
		}
	}
	// Every pair meets at once: gossip alone would take seconds.
	for i, n := range c.nodes {
		for _, other := range c.nodes[i+1:] {
			if err := n.client.Do(ctx, "CLUSTER", "MEET", host, other.claim.port).Err(); err != nil {
				return fmt.Errorf("%s: CLUSTER MEET: %w", n.Addr, err)
			}
		}
	}
	for m, master := range c.Masters() {
		for _, r := range c.Replicas(m) {
			// It fails until the two have met.
			err := poll(ctx, func() error { return r.client.Do(ctx, "CLUSTER", "REPLICATE", master.ID).Err() })
			if err != nil {
				return fmt.Errorf("%s: CLUSTER REPLICATE: %w", r.Addr, err)
			}
		}
	}
	return nil
}

// addSlots gives the slots from first to last to n. CLUSTER ADDSLOTSRANGE came with 7.0.
func (c *Cluster) addSlots(ctx context.Context, n *Node, first, last int) error {
	if c.version.AtLeast(7, 0) {
		return n.client.ClusterAddSlotsRange(ctx, first, last).Err()
	}
	slots := make([]int, 0, last-first+1)
	for s := first; s <= last; s++ {
		slots = append(slots, s)
	}
	return n.client.ClusterAddSlots(ctx, slots...).Err()
}

// follow makes the replicas of a standalone server.
func (c *Cluster) follow(ctx context.Context) error {
	h, port, err := net.SplitHostPort(c.nodes[0].Addr)
	if err != nil {
		return err
	}
	for _, r := range c.Replicas(0) {
		if err := r.client.Do(ctx, "REPLICAOF", h, port).Err(); err != nil {
			return fmt.Errorf("%s: REPLICAOF: %w", r.Addr, err)
		}
	}
	return nil
}

// Wait waits until every node is ready, knows all others, sees all slots owned and says that the cluster works, and until every replica
// is in sync, whichever nodes are masters by now. A killed node that was not started again is waited for until ctx ends.
func (c *Cluster) Wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, n := range c.nodes {
		if err := poll(ctx, func() error { return c.healthy(ctx, n) }); err != nil {
			return fmt.Errorf("server %s: %w", n.Addr, err)
		}
	}
	return nil
}

// healthy returns nil if n sees the whole cluster as Wait wants it.
func (c *Cluster) healthy(ctx context.Context, n *Node) error {
	if err := n.ready(ctx); err != nil {
		return err
	}
	if err := c.inSync(ctx, n); err != nil {
		return err
	}
	if c.opt.Standalone {
		return nil
	}
	text, err := n.client.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	info := fields(text)
	if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != strconv.Itoa(slotter.Slots) || info["cluster_size"] != strconv.Itoa(c.opt.Masters) {
		return fmt.Errorf("cluster_state:%s, %s slots ok, %s masters with slots", info["cluster_state"], info["cluster_slots_ok"], info["cluster_size"])
	}
	return c.knowsAll(ctx, n)
}

// inSync returns nil if n is a master all of whose replicas, or a replica that, has all data.
func (c *Cluster) inSync(ctx context.Context, n *Node) error {
	if c.opt.Replicas == 0 {
		return nil
	}
	info, err := n.info(ctx)
	if err != nil {
		return err
	}
	if info["role"] == "slave" {
		if info["master_link_status"] != "up" {
			return fmt.Errorf("replica's link is %s", info["master_link_status"])
		}
		return nil
	}
	online := 0
	for name, value := range info {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
			online++
		}
	}
	if online != c.opt.Replicas {
		return fmt.Errorf("%d of %d replicas in sync", online, c.opt.Replicas)
	}
	return nil
}

// knowsAll returns nil if n lists every node, connected, with the right number of replicas.
func (c *Cluster) knowsAll(ctx context.Context, n *Node) error {
	text, err := n.client.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	nodes, replicas := 0, 0
	for line := range strings.Lines(text) {
		// id addr flags master ping-sent pong-recv epoch link-state slots...
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		flags := f[2]
		for _, bad := range []string{"handshake", "noaddr", "fail"} {
			if strings.Contains(flags, bad) {
				return fmt.Errorf("sees %s as %s", f[1], flags)
			}
		}
		if f[7] != "connected" && !strings.Contains(flags, "myself") {
			return fmt.Errorf("not connected to %s", f[1])
		}
		nodes++
		if strings.Contains(flags, "slave") {
			replicas++
		}
	}
	if nodes != len(c.nodes) || replicas != c.opt.Masters*c.opt.Replicas {
		return fmt.Errorf("knows %d nodes, %d of them replicas", nodes, replicas)
	}
	return c.listsAll(ctx, n)
}

// listsAll returns nil if n's CLUSTER SLOTS names every replica. It leaves out those of which it has not heard that they got any data.
func (c *Cluster) listsAll(ctx context.Context, n *Node) error {
	if c.opt.Replicas == 0 {
		return nil
	}
	entries, err := n.client.Do(ctx, "CLUSTER", "SLOTS").Slice()
	if err != nil {
		return err
	}
	for _, e := range entries {
		// first slot, last slot, master, replicas...
		if f, ok := e.([]any); !ok || len(f) != 3+c.opt.Replicas {
			return fmt.Errorf("does not list %d replicas for each master yet", c.opt.Replicas)
		}
	}
	return nil
}
