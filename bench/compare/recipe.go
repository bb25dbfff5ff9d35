package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A recipe is how dumps were put into clusters before: move all slots to one
// node, restart it with the dump, move the slots back.
type recipe struct {
	servers
	pipeline int
	cost     cost // of redis-cli, all calls together
}

// runRecipe follows it on a cluster of its own, from the first command to the
// last, with nobody waiting for a keyboard.
func (b *bench) runRecipe(ctx context.Context, s set) (_ cost, err error) {
	lc, err := localcluster.Start(ctx, localcluster.Options{
		Binary: b.server, Dir: b.dir,
		// Or else a master that has lost its last slot becomes a replica.
		Config: []string{"cluster-allow-replica-migration no"},
	})
	if err != nil {
		return cost{}, err
	}
	defer func() { err = errors.Join(err, lc.Stop()) }()
	r := &recipe{servers: servers{lc}, pipeline: b.pipeline}
	before, err := r.cpu(ctx)
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	gone, err := r.follow(ctx, s.file)
	if err != nil {
		return cost{}, err
	}
	r.cost.Wall = time.Since(start).Seconds()
	after, err := r.cpu(ctx)
	if err != nil {
		return cost{}, err
	}
	r.cost.Servers = gone + after - before
	r.cost.Keys, err = r.keys(ctx)
	return r.cost, complete(r.cost, s, err)
}

// follow does what the recipe says. It returns the processor time of the server
// that was restarted, whose counter begins anew.
func (r *recipe) follow(ctx context.Context, dump string) (gone float64, err error) {
	one, others := r.Masters()[0], r.Masters()[1:]
	for _, n := range others {
		if err := r.reshard(ctx, n, one, slotter.Slots); err != nil {
			return 0, err
		}
	}
	if gone, err = nodeCPU(ctx, one); err != nil {
		return 0, err
	}
	if err := os.Symlink(dump, filepath.Join(one.Dir, "dump.rdb")); err != nil {
		return 0, err
	}
	if err := one.Restart(ctx); err != nil {
		return 0, err
	}
	for _, n := range others {
		if err := r.reshard(ctx, one, n, slotter.Slots/len(r.Masters())); err != nil {
			return 0, err
		}
	}
	return gone, nil
}

// reshard moves as many slots, or all there are, with redis-cli.
func (r *recipe) reshard(ctx context.Context, from, to *localcluster.Node, most int) error {
	if err := r.agree(ctx); err != nil {
		return err
	}
	owned, err := owners(ctx, from)
	if err != nil {
		return err
	}
	slots, err := countSlots(owned[from.ID])
	if err != nil {
		return err
	}
	c, err := child{path: "redis-cli", args: []string{
		"--cluster", "reshard", to.Addr, "--cluster-from", from.ID, "--cluster-to", to.ID, "--cluster-yes",
		"--cluster-slots", strconv.Itoa(min(slots, most)),
		"--cluster-pipeline", strconv.Itoa(r.pipeline),
	}}.run(ctx)
	r.cost.User += c.User
	r.cost.System += c.System
	r.cost.PeakRSS = max(r.cost.PeakRSS, c.PeakRSS)
	return err
}

// agree waits until all nodes see the same owners and say that all is well:
// redis-cli refuses to go on before.
func (r *recipe) agree(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		agreed, err := r.agreed(ctx)
		if agreed || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the nodes do not agree about the slots: %w", ctx.Err())
		}
	}
}

func (r *recipe) agreed(ctx context.Context) (bool, error) {
	views := make([]map[string]string, len(r.Masters()))
	for i, n := range r.Masters() {
		info, err := n.Client().ClusterInfo(ctx).Result()
		if err != nil {
			return false, fmt.Errorf("%s: CLUSTER INFO: %w", n.Addr, err)
		}
		if !strings.Contains(info, "cluster_state:ok") {
			return false, nil
		}
		if views[i], err = owners(ctx, n); err != nil {
			return false, err
		}
	}
	return slices.EqualFunc(views[1:], views[:len(views)-1], maps.Equal), nil
}

// owners returns which slots each node has, by its id, as n sees it: "0-99 200".
func owners(ctx context.Context, n *localcluster.Node) (map[string]string, error) {
	text, err := n.Client().ClusterNodes(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("%s: CLUSTER NODES: %w", n.Addr, err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		// id addr flags master ping-sent pong-recv epoch link-state slots...
		if f := strings.Fields(line); len(f) >= 8 {
			all[f[0]] = strings.Join(f[8:], " ")
		}
	}
	return all, nil
}

// countSlots returns how many slots a text of owners names.
func countSlots(text string) (sum int, err error) {
	for _, r := range strings.Fields(text) {
		from, to, isRange := strings.Cut(r, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			return 0, fmt.Errorf("slots %q: %w", r, err)
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil {
				return 0, fmt.Errorf("slots %q: %w", r, err)
			}
		}
		sum += last - first + 1
	}
	return sum, nil
}

// split is net.SplitHostPort with an error that says what it is about.
func split(addr string) (host, port string, err error) {
	if host, port, err = net.SplitHostPort(addr); err != nil {
		err = fmt.Errorf("address of a server: %w", err)
	}
	return host, port, err
}
