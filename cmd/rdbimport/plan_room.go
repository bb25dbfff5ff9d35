package main

import (
	"fmt"

	"github.com/rdbimport/rdbimport/pipeline"
)

// A masterShare is what one master would get.
type masterShare struct{ Keys, Bytes, Memory int64 }

// gets sums up what each master would get; the last is what nobody would.
func (r *planRun) gets() []masterShare {
	m := r.facts.Map
	list := make([]masterShare, len(m.Masters)+1)
	slots := &r.survey.planner.Result().Slots
	for slot := range slots {
		owner := m.Owner(uint16(slot))
		if owner < 0 {
			owner = len(m.Masters)
		}
		g := &list[owner]
		g.Keys += slots[slot].Keys
		g.Bytes += slots[slot].Bytes
		if r.survey.room != nil {
			g.Memory += r.survey.room.bySlot[slot]
		}
	}
	return list
}

// rooms compares what each master has room for with what its keys take in the dump, or
// by the estimate. Keys that are there already need no more room: where there are any,
// some of the dump's have been looked for. It returns the masters that are too full, and
// what is to be said of those that are not, for the sake of such keys.
func (r *planRun) rooms() (full []obstacle, enough []string) {
	gets := r.gets()
	for i := range r.facts.Masters {
		f, g := &r.facts.Masters[i], &gets[i]
		free, limited := f.Free()
		need := max(g.Bytes, g.Memory)
		if f.Err != nil || !limited || need <= free {
			continue
		}
		what := formatBytes(g.Bytes) + " of the dump"
		if r.survey.room != nil {
			what = "about " + formatBytes(g.Memory)
		}
		text := fmt.Sprintf("%s has room for %s and would get %s", f.Addr, formatBytes(free), what)
		missing, of := missingThere(f, g, need, r.there[i])
		if missing > free || free == 0 { // a full master takes no RESTORE, of whatever key
			full = append(full, r.tooFull(f, text+of))
		} else {
			enough = append(enough, text+of+": the rest would fit")
		}
	}
	return full, enough
}

// missingThere returns how much of need is not on a master yet, at the least, and in words
// how that is known: nothing where it holds no keys.
func missingThere(f *pipeline.MasterFacts, g *masterShare, need int64, there pipeline.There) (missing int64, of string) {
	switch {
	case f.Keys == 0:
		return need, ""
	case there.Asked.Keys > 0:
		return there.Missing(need), fmt.Sprintf(" (of %s that were looked for it has %s already)",
			plural(there.Asked.Keys, "key"), formatCount(there.Found.Keys))
	}
	missing = int64(float64(need) * float64(g.Keys-min(f.Keys, g.Keys)) / float64(g.Keys))
	return missing, fmt.Sprintf(" (its %s could not be looked up, and may be among these)", plural(f.Keys, "key"))
}

// tooFull is the obstacle of a master that has too little room.
func (r *planRun) tooFull(f *pipeline.MasterFacts, text string) obstacle {
	o := obstacle{Text: text, Hint: "raise maxmemory or make room", ExitCode: exitStopped}
	switch {
	case f.Evicts():
		o.Text += fmt.Sprintf(": it would drop keys (maxmemory-policy %s)", f.Policy)
		o.ExitCode = exitRefused
	case r.settings.pipeline.WaitOnOOM:
		o.Text += ": the import would wait for memory"
	default:
		o.Text += ": the import would stop"
	}
	return o
}
