package pipeline

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rdbimport/rdbimport/slotter"
)

// A Process is a master as an import knows it, so that one that goes on later can tell
// whether it is still the same. It can be kept as JSON.
type Process struct {
	ID       string   `json:"id"`                 // of the node
	Addr     string   `json:"addr,omitempty"`     // that it had, "" if not known
	RunID    string   `json:"run_id"`             // of the process, "" if not known
	History  string   `json:"history,omitempty"`  // of its data, "" if not known
	Replicas []string `json:"replicas,omitempty"` // ids of the nodes that have been its replicas
	Keys     int64    `json:"keys"`               // of the dump that it has, as it has said
	// Confirm is how many replicas have confirmed each of the keys.
	Confirm int `json:"confirm,omitempty"`
}

// earlierKeys are the keys that a master has of an import that this one goes on with.
type earlierKeys struct {
	addr    string
	keys    int64
	confirm int // how many replicas have confirmed each of them
}

// Processes returns what the masters are now.
func (im *Importer) Processes() []Process {
	m := im.slotMap.Load()
	im.mu.Lock()
	defer im.mu.Unlock()
	all := make([]Process, 0, len(m.Masters))
	for _, n := range m.Masters {
		p := Process{ID: n.ID, Addr: n.Addr, RunID: im.runIDs[n.Addr], History: im.history[n.Addr], Keys: im.acceptedBy(n.Addr), Confirm: im.opts.WaitReplicas}
		for pair := range im.replicas {
			if pair[0] == n.ID {
				p.Replicas = append(p.Replicas, pair[1])
			}
		}
		slices.Sort(p.Replicas)
		all = append(all, p)
	}
	return all
}

// LostSince returns what masters may have lost since an earlier import has noted them, by
// a restart, because a replica has taken over, somebody has removed all keys or they are no
// nodes of the cluster any more, and which of them have lost nothing: what happens to these
// from now on concerns the keys of the earlier import, too. It is asked before anything is
// imported.
func (im *Importer) LostSince(before []Process) (lost []Loss, kept []Process) {
	m := im.slotMap.Load()
	empty, dead := im.emptied(m, before), im.givenUp(m, before)
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, p := range before {
		loss := im.lossOf(m, p, empty[p.ID], dead[p.ID])
		switch {
		case loss.Reason == "":
			kept = append(kept, p)
			im.entrust(m, p)
		case loss.Keys > 0:
			lost = append(lost, loss)
		}
	}
	return lost, kept
}

// entrust notes that a master has the keys of an earlier import: p, or the replica that has
// taken its place with all of them. im.mu is held.
func (im *Importer) entrust(m *slotter.Map, p Process) {
	for _, id := range slices.Concat([]string{p.ID}, p.Replicas) {
		i := slices.IndexFunc(m.Masters, func(n slotter.Master) bool { return n.ID == id })
		if i < 0 || p.Keys == 0 {
			continue
		}
		e := earlierKeys{keys: p.Keys, confirm: p.Confirm}
		if other, ok := im.earlier[id]; ok {
			e.keys, e.confirm = e.keys+other.keys, min(e.confirm, other.confirm)
		}
		e.addr = m.Masters[i].Addr
		im.earlier[id] = e
		return
	}
}

// lossOf returns what has become of a master that had keys, without a reason if it has lost
// nothing. im.mu is held.
func (im *Importer) lossOf(m *slotter.Map, p Process, empty, dead bool) Loss {
	loss := Loss{Keys: p.Keys, harm: true}
	at := func(id string) int {
		return slices.IndexFunc(m.Masters, func(n slotter.Master) bool { return n.ID == id })
	}
	if i := at(p.ID); i >= 0 {
		loss.Addr = m.Masters[i].Addr
		if run := im.runIDs[loss.Addr]; run != "" && p.RunID != "" && run != p.RunID {
			loss.Reason = "the server has been restarted since the checkpoint was written"
		} else if im.followedSince(p, loss.Addr) {
			loss.Reason = "it has followed another master since the checkpoint was written, and may have that one's data in place of its own"
		} else if empty {
			loss.Reason = "it is empty: its keys have been removed since the checkpoint was written, or have expired"
		}
		return loss
	}
	heir := slices.IndexFunc(p.Replicas, func(id string) bool { return at(id) >= 0 })
	switch {
	case heir >= 0 && len(p.Replicas) <= p.Confirm: // it had all of them
	case heir >= 0:
		loss.Addr = m.Masters[at(p.Replicas[heir])].Addr
		loss.Reason = "it has taken over since the checkpoint was written, and may not have had all of them"
	case dead:
		loss.Addr, loss.Reason = cmp.Or(p.Addr, "node "+p.ID), "it has failed or is no node of the cluster any more, and others have its slots"
	}
	return loss
}

// followedSince reports whether the server at addr has been a replica since p was noted. im.mu
// is held.
func (im *Importer) followedSince(p Process, addr string) bool {
	i := slices.IndexFunc(im.target.servers, func(s slotter.Server) bool { return s.Addr == addr })
	return i >= 0 && p.History != "" && followed(im.target.servers[i], p.History)
}

// emptied returns which of the masters that had keys before have none at all now, or none
// in the database that the target names.
func (im *Importer) emptied(m *slotter.Map, before []Process) map[string]bool {
	empty := make([]bool, len(m.Masters))
	_ = m.EachMaster(im.ctx, func(ctx context.Context, i int) error {
		n := m.Masters[i]
		if !slices.ContainsFunc(before, func(p Process) bool { return p.ID == n.ID && p.Keys > 0 }) {
			return nil
		}
		info, err := im.cluster.Info(ctx, n.Addr, "keyspace")
		if err != nil {
			return nil // of a master that does not tell nothing is said
		}
		dbs := keyspace(info)
		if empty[i] = len(dbs) == 0; im.cluster.Target().DB > 0 {
			empty[i] = dbs[uint32(im.cluster.Target().DB)] == 0
		}
		return nil
	})
	ids := make(map[string]bool)
	for i, n := range m.Masters {
		ids[n.ID] = empty[i]
	}
	return ids
}

// givenUp returns which of the nodes that had keys before are no masters now, and neither
// well nor known to a node that tells of the others.
func (im *Importer) givenUp(m *slotter.Map, before []Process) map[string]bool {
	dead := make(map[string]bool)
	for _, p := range before {
		if p.Keys > 0 && !slices.ContainsFunc(m.Masters, func(n slotter.Master) bool { return n.ID == p.ID }) {
			dead[p.ID] = true
		}
	}
	if len(dead) == 0 || im.cluster.Standalone() {
		return nil
	}
	told := false
	for _, w := range im.hearWitnesses(im.ctx, m) {
		told = told || w.nodes != ""
		for line := range strings.Lines(w.nodes) {
			if f := strings.Fields(line); len(f) >= 8 && !strings.Contains(f[2], "fail") {
				delete(dead, f[0])
			}
		}
	}
	if !told {
		return nil
	}
	return dead
}

// After returns what is known of the masters in now if before is what an earlier import
// has noted of them: a process that is the same has the keys of both.
func After(before, now []Process) []Process {
	all := slices.Clone(now)
	for _, p := range before {
		i := slices.IndexFunc(all, func(n Process) bool { return n.ID == p.ID })
		switch {
		case i < 0:
			all = append(all, p) // it may have no slots at the moment
		case all[i].RunID == p.RunID:
			both := &all[i]
			both.Keys += p.Keys
			both.Confirm = min(both.Confirm, p.Confirm)
			both.Replicas = slices.Concat(both.Replicas, p.Replicas)
			slices.Sort(both.Replicas)
			both.Replicas = slices.Compact(both.Replicas)
		}
	}
	return all
}
