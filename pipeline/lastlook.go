package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// Bounds of the last look.
const (
	// lastLookTime is how long each part of it may take.
	lastLookTime = 10 * time.Second
	// witnesses is how many nodes are asked which masters are thought to have failed.
	witnesses = 5
)

// lastLook finds out at the end of an import whether the masters still are those
// that have the keys.
func (im *Importer) lastLook() {
	if im.ctx.Err() != nil {
		return
	}
	if !im.cluster.Standalone() {
		ctx, cancel := context.WithTimeout(im.ctx, lastLookTime)
		im.lookAgain(ctx)
		cancel()
	}
	ctx, cancel := context.WithTimeout(im.ctx, lastLookTime)
	defer cancel()
	var heirs sync.WaitGroup
	if !im.cluster.Standalone() {
		heirs.Go(func() { im.awaitHeirs(ctx) })
	}
	m := im.slotMap.Load()
	_ = m.EachMaster(ctx, func(ctx context.Context, i int) error {
		addr := m.Masters[i].Addr
		if !im.hasKeys(addr) {
			return nil
		}
		if err := im.stillThere(ctx, addr); err != nil {
			im.mu.Lock()
			im.noteLoss(addr, "", fmt.Sprintf("it cannot be asked at the end of the import (%v)", err), im.mayLose(m.Masters[i].ID))
			im.mu.Unlock()
		}
		return nil
	})
	heirs.Wait()
	im.lookBehind()
}

// lookAgain installs the slot map as it is now.
func (im *Importer) lookAgain(ctx context.Context) {
	if m, err := im.cluster.Map(ctx); err == nil {
		im.replace(ctx, m)
	}
}

// hasKeys reports whether the master at addr has keys of the dump, as far as it has said so.
func (im *Importer) hasKeys(addr string) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.heldBy(addr) > 0
}

// stillThere checks the run of a master, and tries again if that fails. The error is that
// of the last time that was not cut short.
func (im *Importer) stillThere(ctx context.Context, addr string) (why error) {
	for {
		err := im.checkRun(ctx, addr)
		if err == nil {
			return nil
		}
		if why == nil || ctx.Err() == nil {
			why = err
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return why
		}
	}
}

// awaitHeirs waits while a master with keys may be about to lose its place to a replica:
// it may be cut off from the other nodes and still answer here. If that is not decided in
// time, the keys may be lost.
func (im *Importer) awaitHeirs(ctx context.Context) {
	var why map[doubt]string
	for {
		if now := im.doubted(ctx); ctx.Err() == nil {
			why = now // or there was no time left to ask
		}
		if len(why) == 0 {
			return
		}
		select {
		case <-time.After(askAgain):
			im.lookAgain(ctx)
			continue
		case <-ctx.Done():
		}
		im.mu.Lock()
		defer im.mu.Unlock()
		for d, reason := range why {
			im.noteLoss(d.addr, "", reason, im.mayLose(d.id))
		}
		return
	}
}

// A doubt is about a master.
type doubt struct{ id, addr string }

// doubted returns the masters that have keys and have had a replica, and which
// most of a few other nodes think to fail, or about which most of these cannot be asked;
// each with the reason why its keys may be lost.
func (im *Importer) doubted(ctx context.Context) map[doubt]string {
	why := make(map[doubt]string)
	m, heirs := im.slotMap.Load(), im.haveHeirs()
	var said []witness
	for _, n := range m.Masters {
		if !heirs[n.ID] || !im.hasKeys(n.Addr) {
			continue
		}
		if said == nil {
			said = im.hearWitnesses(ctx, m)
		}
		asked, silent, failing := 0, 0, 0
		var err error // of one that is silent
		for _, w := range said {
			switch {
			case w.addr == n.Addr: // of itself it knows nothing
				continue
			case w.silent != nil:
				silent++
				err = w.silent
			case w.nodes != "" && nodeStanding(w.nodes, n.ID) >= standingFailing:
				failing++
			}
			asked++
		}
		switch {
		case 2*silent > asked:
			why[doubt{n.ID, n.Addr}] = fmt.Sprintf("most of the other nodes cannot be asked (%v), and its replica may have taken over and not have had all of them", err)
		case 2*failing > asked-silent:
			why[doubt{n.ID, n.Addr}] = "the other nodes think that it has failed or is no master any more, and its replica may take over and not have had all of them"
		}
	}
	return why
}

// A witness is a node that was asked what it thinks of the others.
type witness struct {
	addr   string
	nodes  string // its answer to CLUSTER NODES; "" where the user may not ask that
	silent error  // why there is none
}

// hearWitnesses asks a few nodes from all over the cluster, at the same time.
func (im *Importer) hearWitnesses(ctx context.Context, m *slotter.Map) []witness {
	nodes := peers(m, -1)
	said := make([]witness, min(len(nodes), witnesses))
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i := range said {
		w := &said[i]
		w.addr = nodes[i*len(nodes)/len(said)]
		all.Go(func() {
			var err error
			w.nodes, err = im.cluster.Nodes(ctx, w.addr)
			if !errors.Is(err, slotter.ErrNoPermission) {
				w.silent = err
			}
		})
	}
	all.Wait()
	return said
}
