package pipeline

import (
	"slices"

	"github.com/rdbimport/rdbimport/slotter"
)

// A Process is a master as an import knows it, so that one that goes on later can tell
// whether it is still the same. It can be kept as JSON.
type Process struct {
	ID       string   `json:"id"`                 // of the node
	RunID    string   `json:"run_id"`             // of the process, "" if not known
	Replicas []string `json:"replicas,omitempty"` // ids of the nodes that have been its replicas
	Keys     int64    `json:"keys"`               // of the dump that it has, as it has said
	// Confirm is how many replicas have confirmed each of the keys.
	Confirm int `json:"confirm,omitempty"`
}

// Processes returns what the masters are now.
func (im *Importer) Processes() []Process {
	m := im.slotMap.Load()
	im.mu.Lock()
	defer im.mu.Unlock()
	all := make([]Process, 0, len(m.Masters))
	for _, n := range m.Masters {
		p := Process{ID: n.ID, RunID: im.runIDs[n.Addr], Keys: im.heldBy(n.Addr), Confirm: im.opts.WaitReplicas}
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
// a restart or because a replica has taken over, and which of them have lost nothing. It
// is asked before anything is imported.
func (im *Importer) LostSince(before []Process) (lost []Loss, kept []Process) {
	m := im.slotMap.Load()
	im.mu.Lock()
	defer im.mu.Unlock()
	at := func(id string) int {
		return slices.IndexFunc(m.Masters, func(n slotter.Master) bool { return n.ID == id })
	}
	for _, p := range before {
		loss := Loss{Keys: p.Keys, harm: true}
		if i := at(p.ID); i >= 0 {
			loss.Addr = m.Masters[i].Addr
			if run := im.runIDs[loss.Addr]; run != "" && p.RunID != "" && run != p.RunID {
				loss.Reason = "the server has been restarted since the checkpoint was written"
			}
		} else if i := slices.IndexFunc(p.Replicas, func(id string) bool { return at(id) >= 0 }); i >= 0 && len(p.Replicas) > p.Confirm {
			loss.Addr = m.Masters[at(p.Replicas[i])].Addr
			loss.Reason = "it has taken over since the checkpoint was written, and may not have had all of them"
		}
		switch {
		case loss.Reason == "":
			kept = append(kept, p)
		case loss.Keys > 0:
			lost = append(lost, loss)
		}
	}
	return lost, kept
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
