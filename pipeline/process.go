package pipeline

import (
	"context"
	"slices"

	"github.com/rdbimport/rdbimport/slotter"
)

// checkRun notes a loss if the server behind addr is not the process that it was, or has
// not the data that it had.
func (im *Importer) checkRun(ctx context.Context, addr string) error {
	s, err := im.cluster.Server(ctx, addr)
	if err != nil {
		return err
	}
	im.mu.Lock()
	old := im.runIDs[addr]
	im.mu.Unlock()
	if old != "" && old != s.RunID && im.standing(ctx, addr) == standingReplaced {
		// One that came back as a replica has lost nothing that its successor has not. What
		// else it may be, the next map tells.
		return nil
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	switch {
	case old != "" && old != s.RunID && im.runIDs[addr] == old:
		im.noteLoss(addr, "", "the server was restarted", true)
	case im.hasFollowed(addr, s):
		kept := slices.ContainsFunc(im.slotMap.Load().Masters, func(n slotter.Master) bool { return n.Addr == addr && !im.mayLose(n.ID) })
		im.noteLoss(addr, "", "it has followed another master meanwhile, and may have that one's data in place of its own", !kept)
	}
	im.runIDs[addr] = s.RunID
	if s.Role != "slave" {
		im.history[addr] = s.History
	}
	return nil
}

// hasFollowed reports whether a server has become a replica since it was last looked at,
// and may be a master again: what it has then, it has from its master. In a cluster the
// next map tells what has become of one that is a replica now. im.mu is held.
func (im *Importer) hasFollowed(addr string, s slotter.Server) bool {
	before := im.history[addr]
	switch {
	case before == "" || s.History == before:
		return false
	case s.Role == "slave":
		return im.cluster.Standalone()
	}
	return followed(s, before)
}

// followed reports whether a master has been a replica since its data had the history
// before.
func followed(s slotter.Server, before string) bool {
	return s.History != before && s.Followed != "" && s.Followed != before
}

// forgetProcess forgets what is known of the server behind addr, whose loss has been noted.
// im.mu is held.
func (im *Importer) forgetProcess(addr string) {
	delete(im.runIDs, addr)
	delete(im.history, addr)
}
