package pipeline

import (
	"context"
	"fmt"
	"sync"

	"github.com/rdbimport/rdbimport/slotter"
)

// probeRights finds out whether the user may run the commands on a master that an
// import comes to need, so that it is told of before anything is sent: those that
// compare keys that exist, and those for when slots move or a master fails. Nothing is
// written. Warnings that are in told were given for another master.
func (im *Importer) probeRights(ctx context.Context, m *slotter.Map, master int, told *sync.Map) error {
	addr, key := m.Masters[master].Addr, probeKey(m, master)
	type need struct {
		command []string
		without string // what cannot be done then; "" if the import needs it
	}
	var needs []need
	if im.opts.Conflict == ConflictFail {
		needs = append(needs, need{[]string{"DUMP", key}, ""}, need{[]string{im.target.expiry.command, key}, ""})
	}
	if !im.cluster.Standalone() {
		needs = append(needs, need{[]string{"CLUSTER", "NODES"}, "it is not known when the other nodes think that a master has failed, and keys that are lost then may not be reported"},
			need{[]string{"ASKING"}, "keys of slots that are being moved wait until they have been"})
	}
	commands := make([][]string, len(needs))
	for i, n := range needs {
		commands[i] = n.command
	}
	for i, text := range denied(ctx, im.cluster, addr, commands) {
		switch n := &needs[i]; {
		case text == "":
		case n.without == "":
			return fmt.Errorf("%w: %s: %s is not allowed, which compares keys that exist: %s", slotter.ErrNoPermission, addr, n.command[0], text)
		default:
			if _, before := told.LoadOrStore(n.without, true); !before {
				im.opts.Warn(fmt.Sprintf("%s: %s, so %s", addr, text, n.without))
			}
		}
	}
	return nil
}

// probeRights finds out whether the user may run the commands that a comparison
// comes to need at its end, or for keys that are there.
func (v *Verifier) probeRights(ctx context.Context, m *slotter.Map) error {
	return m.EachMaster(ctx, func(ctx context.Context, i int) error {
		addr, needed := m.Masters[i].Addr, [][]string{{v.expiry.command, probeKey(m, i)}}
		if v.oneDatabase() {
			needed = append(needed, []string{"DBSIZE"})
		}
		if v.opts.Extra {
			needed = append(needed, []string{"SCAN", "0", "COUNT", "1"})
		}
		for i, text := range denied(ctx, v.cluster, addr, needed) {
			if text != "" {
				return fmt.Errorf("%w: %s: %s is not allowed: %s", slotter.ErrNoPermission, addr, needed[i][0], text)
			}
		}
		return nil
	})
}

// denied gives commands all at once, and returns for each the reply that forbids it, ""
// if it is allowed, or refused for another reason.
func denied(ctx context.Context, c *slotter.Cluster, addr string, commands [][]string) []string {
	p := c.Client(addr).Pipeline()
	for _, words := range commands {
		args := make([]any, len(words))
		for i, word := range words {
			args[i] = word
		}
		p.Do(ctx, args...)
	}
	replies, _ := p.Exec(ctx) // the first error is in its reply, too
	texts := make([]string, len(commands))
	for i, r := range replies {
		if err := r.Err(); err != nil && deniesCommand([]byte(err.Error())) {
			texts[i] = err.Error()
		}
	}
	return texts
}
