package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/rdbimport/rdbimport/slotter"
	"golang.org/x/sync/errgroup"
)

// probeRights finds out whether the user may run the commands that an import
// comes to need, so that it is told of before anything is sent: those that compare
// keys that exist, and those for when slots move or a master fails. Nothing is
// written.
func (im *Importer) probeRights(ctx context.Context, m *slotter.Map) error {
	var told sync.Map // commands that have been warned of
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, master := range m.Masters {
		g.Go(func() error {
			key := probeKey(m, i)
			if im.opts.Conflict == ConflictFail {
				for _, command := range []string{"DUMP", im.target.ttlCommand} {
					if text := denied(ctx, im.cluster, master.Addr, command, key); text != "" {
						return fmt.Errorf("%w: %s: %s is not allowed, which compares keys that exist: %s", slotter.ErrNoPermission, master.Addr, command, text)
					}
				}
			}
			if im.cluster.Standalone() {
				return nil
			}
			for _, w := range []struct{ command, use string }{
				{"CLUSTER NODES", "a master that was silent for a moment cannot be trusted again"},
				{"ASKING", "keys of slots that are being moved cannot be sent"},
			} {
				text := denied(ctx, im.cluster, master.Addr, strings.Fields(w.command)...)
				if text == "" {
					continue
				}
				if _, before := told.LoadOrStore(w.command, true); !before {
					im.opts.Warn(fmt.Sprintf("%s: %s, so %s", master.Addr, text, w.use))
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// probeRights finds out whether the user may run the commands that a comparison
// comes to need at its end, or for keys that are there.
func (v *Verifier) probeRights(ctx context.Context, m *slotter.Map) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, master := range m.Masters {
		g.Go(func() error {
			needed := [][]string{{v.ttl, probeKey(m, i)}}
			if v.oneDatabase() {
				needed = append(needed, []string{"DBSIZE"})
			}
			if v.opts.Extra {
				needed = append(needed, []string{"SCAN", "0", "COUNT", "1"})
			}
			for _, command := range needed {
				if text := denied(ctx, v.cluster, master.Addr, command...); text != "" {
					return fmt.Errorf("%w: %s: %s is not allowed: %s", slotter.ErrNoPermission, master.Addr, command[0], text)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// denied returns the reply that forbids a command, "" if it is allowed, or refused
// for another reason.
func denied(ctx context.Context, c *slotter.Cluster, addr string, command ...string) string {
	args := make([]any, len(command))
	for i, word := range command {
		args[i] = word
	}
	if err := c.Client(addr).Do(ctx, args...).Err(); err != nil && deniesCommand([]byte(err.Error())) {
		return err.Error()
	}
	return ""
}
