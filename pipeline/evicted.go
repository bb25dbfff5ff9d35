package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/rdbimport/rdbimport/slotter"
	"golang.org/x/sync/errgroup"
)

// warnEviction says so when the masters would make room by dropping keys.
func (im *Importer) warnEviction(ctx context.Context, m *slotter.Map) {
	memory := make([]map[string]string, len(m.Masters))
	if m.EachMaster(ctx, func(ctx context.Context, i int) (err error) {
		memory[i], err = im.cluster.Info(ctx, m.Masters[i].Addr, "memory")
		return err
	}) != nil {
		return
	}
	var free, full int64
	policy := ""
	for _, info := range memory {
		limit, _ := strconv.ParseInt(info["maxmemory"], 10, 64)
		used, _ := strconv.ParseInt(info["used_memory"], 10, 64)
		if p := info["maxmemory_policy"]; limit > 0 && p != "" && p != "noeviction" {
			policy = p
			full++
			free += max(0, limit-used)
		}
	}
	if full > 0 && (im.opts.Expect == 0 || free < im.opts.Expect) {
		im.opts.Warn(fmt.Sprintf("masters that drop keys when they are full (maxmemory-policy %s): %d of %d, with room for %d MB: "+
			"an import that does not fit loses keys", policy, full, len(m.Masters), free>>20))
	}
}

// An evictCount is how many keys a server has evicted, as it says.
type evictCount struct {
	run  string // of the process
	keys int64
}

// since returns how many of the keys were evicted after before was said. A process that
// has begun since, or has had its counts reset, counts from 0.
func (e evictCount) since(before evictCount) int64 {
	if e.run != before.run || e.keys < before.keys {
		return e.keys
	}
	return e.keys - before.keys
}

// askEvicted returns what servers have evicted, by address. Those that do not tell are
// left out.
func (im *Importer) askEvicted(ctx context.Context, addrs []string) map[string]evictCount {
	said := make([]map[string]string, len(addrs))
	var all errgroup.Group
	all.SetLimit(mostAsked)
	for i, addr := range addrs {
		all.Go(func() error {
			said[i], _ = im.cluster.Info(ctx, addr, "")
			return nil
		})
	}
	_ = all.Wait()
	counts := make(map[string]evictCount)
	for i, addr := range addrs {
		if n, err := strconv.ParseInt(said[i]["evicted_keys"], 10, 64); err == nil {
			counts[addr] = evictCount{said[i]["run_id"], n}
		}
	}
	return counts
}

// noteEvicted notes what masters have evicted before the import, and has the replicas
// asked, which may take their places, and have been masters before.
func (im *Importer) noteEvicted(ctx context.Context, m *slotter.Map) {
	var masters, replicas []string
	for _, n := range m.Masters {
		masters = append(masters, n.Addr)
		for _, r := range n.Replicas {
			replicas = append(replicas, r.Addr)
		}
	}
	im.evictedBefore = im.askEvicted(ctx, masters)
	im.work.Go(func() {
		ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
		defer cancel()
		counts := im.askEvicted(ctx, replicas)
		im.mu.Lock()
		defer im.mu.Unlock()
		for addr, n := range counts {
			im.evictedBefore[addr] = n
		}
	})
}

// countEvicted counts the keys that all servers have evicted that have been masters in
// this import, which may have been ended by an error.
func (im *Importer) countEvicted() {
	ctx, cancel := context.WithTimeout(im.caller, probeTimeout)
	defer cancel()
	var addrs []string
	for _, n := range im.slotMap.Load().Masters {
		addrs = append(addrs, n.Addr)
	}
	im.mu.Lock()
	for _, l := range im.lanes {
		if l.place.addr != nowhere && !slices.Contains(addrs, l.place.addr) {
			addrs = append(addrs, l.place.addr)
		}
	}
	im.mu.Unlock()
	counts := im.askEvicted(ctx, addrs)
	im.mu.Lock()
	defer im.mu.Unlock()
	for addr, n := range counts {
		im.stats.evicted.Add(n.since(im.evictedBefore[addr]))
	}
}
