package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/rdbimport/rdbimport/slotter"
)

// A standing is what the other nodes of the cluster think of a node.
type standing uint8

const (
	standingUnknown  standing = iota // nobody could be asked
	standingMaster                   // it is a master, and well
	standingFailing                  // it is thought to fail, or may be
	standingReplaced                 // it is no master, or has no slots
)

// standing asks other nodes about the node at addr, a few at a time until any of them
// answers. They have to agree.
func (im *Importer) standing(ctx context.Context, addr string) standing {
	m := im.slotMap.Load()
	at := m.ByAddr(addr)
	if im.cluster.Standalone() {
		return standingMaster
	}
	if at < 0 {
		return standingReplaced
	}
	others := peers(m, at)
	if len(m.Masters) == 1 && len(others) == 0 {
		return standingMaster // there is nobody else
	}
	ctx, cancel := context.WithTimeout(ctx, standingTime)
	defer cancel()
	for some := range slices.Chunk(others, mostPeers) {
		if verdict := im.agreed(ctx, some, m.Masters[at].ID); verdict != standingUnknown {
			return verdict
		}
	}
	return standingUnknown
}

// agreed asks nodes at the same time about the node with an id. The worst that any of
// them thinks counts.
func (im *Importer) agreed(ctx context.Context, nodes []string, id string) standing {
	var all sync.WaitGroup
	said := make([]standing, len(nodes))
	for i, node := range nodes {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			said[i] = im.opinion(ctx, node, id)
		})
	}
	all.Wait()
	return slices.Max(said)
}

// opinion asks the node at addr about the one with an id. A user who may not see
// CLUSTER NODES is told by CLUSTER SLOTS whether that owns slots, and not whether it is
// thought to fail.
func (im *Importer) opinion(ctx context.Context, addr, id string) standing {
	nodes, err := im.cluster.Nodes(ctx, addr)
	switch {
	case err == nil:
		return nodeStanding(nodes, id)
	case !errors.Is(err, slotter.ErrNoPermission):
		return standingUnknown
	}
	view, err := im.cluster.View(ctx, addr)
	switch {
	case err != nil:
		return standingUnknown
	case slices.ContainsFunc(view.Masters, func(n slotter.Master) bool { return n.ID == id }):
		return standingMaster
	}
	return standingReplaced
}

// peers returns the other nodes of a cluster, masters first.
func peers(m *slotter.Map, not int) []string {
	var masters, replicas []string
	for i, n := range m.Masters {
		if i != not {
			masters = append(masters, n.Addr)
		}
		for _, r := range n.Replicas {
			replicas = append(replicas, r.Addr)
		}
	}
	return append(masters, replicas...)
}

// nodeStanding finds a node in the answer to CLUSTER NODES: "id addr flags
// master ping pong epoch link slots...".
func nodeStanding(nodes, id string) standing {
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] != id {
			continue
		}
		flags := "," + f[2] + ","
		switch {
		case !strings.Contains(flags, ",master,"), len(f) == 8:
			return standingReplaced
		case strings.Contains(flags, ",fail,"), strings.Contains(flags, ",fail?,"):
			return standingFailing
		}
		return standingMaster
	}
	return standingReplaced
}
