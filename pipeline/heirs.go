package pipeline

import (
	"context"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// heirsEvery is how often the nodes are asked who is whose replica: one that comes late
// may take over as well, and when it has, nobody tells any more what it was.
const heirsEvery = 5 * time.Second

// watchHeirs notes new replicas until the import ends.
func (im *Importer) watchHeirs() {
	t := time.NewTicker(heirsEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			im.noteHeirs(im.ctx, im.slotMap.Load())
		case <-im.ctx.Done():
			return
		}
	}
}

// noteHeirs remembers who is whose replica, with those that a map leaves out because they
// have not got anything from their master yet. Where the user may not ask for these, a map
// is asked for.
func (im *Importer) noteHeirs(ctx context.Context, m *slotter.Map) {
	if im.cluster.Standalone() {
		return
	}
	told := false
	for _, w := range im.hearWitnesses(ctx, m) {
		told = told || w.nodes != ""
		im.mu.Lock()
		for line := range strings.Lines(w.nodes) {
			if f := strings.Fields(line); len(f) >= 8 && strings.Contains(f[2], "slave") {
				im.replicas[[2]string{f[3], f[0]}] = true
			}
		}
		im.mu.Unlock()
	}
	if !told {
		im.wantMap()
	}
}

// noteReplicas does so with those in a map, which leaves out those that are not well at
// the moment. im.mu is held.
func (im *Importer) noteReplicas(m *slotter.Map) {
	for _, n := range m.Masters {
		for _, r := range n.Replicas {
			im.replicas[[2]string{n.ID, r.ID}] = true
		}
	}
}

// replicaOf reports whether a node has been a replica of a master at any time.
// im.mu is held.
func (im *Importer) replicaOf(master, node string) bool {
	return im.replicas[[2]string{master, node}]
}

// haveHeirs returns the ids of the masters that have had a replica.
func (im *Importer) haveHeirs() map[string]bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	all := make(map[string]bool)
	for pair := range im.replicas {
		all[pair[0]] = true
	}
	return all
}

// mayLose reports whether a replica of the master with an id may not have what that has
// accepted: more nodes have been its replicas than confirm each key. im.mu is held.
func (im *Importer) mayLose(master string) bool {
	replicas := 0
	for pair := range im.replicas {
		if pair[0] == master {
			replicas++
		}
	}
	confirm := im.opts.WaitReplicas
	if e, ok := im.earlier[master]; ok {
		confirm = min(confirm, e.confirm)
	}
	return confirm == 0 || replicas > confirm
}
