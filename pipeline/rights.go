package pipeline

import (
	"context"
	"fmt"
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
					if text := im.denied(ctx, master.Addr, command, key); text != "" {
						return fmt.Errorf("%w: %s: %s is not allowed, which compares keys that exist: %s", slotter.ErrNoPermission, master.Addr, command, text)
					}
				}
			}
			if im.cluster.Standalone() {
				return nil
			}
			for _, w := range []struct{ command, arg, use string }{
				{"CLUSTER", "NODES", "a master that was silent for a moment cannot be trusted again"},
				{"ASKING", "", "keys of slots that are being moved cannot be sent"},
			} {
				text := im.denied(ctx, master.Addr, w.command, w.arg)
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

// denied returns the reply that forbids a command, "" if it is allowed, or refused
// for another reason.
func (im *Importer) denied(ctx context.Context, addr, command, arg string) string {
	args := []any{command}
	if arg != "" {
		args = append(args, arg)
	}
	if err := im.cluster.Client(addr).Do(ctx, args...).Err(); err != nil && deniesCommand([]byte(err.Error())) {
		return err.Error()
	}
	return ""
}
