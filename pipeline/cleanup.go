package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// FindTemporary gives f the keys on the target that have the names of keys in
// which large values are collected, with the master that has each. An import that
// is running has such keys, too. All keys are gone through by SCAN, on many masters at
// the same time; f is called for one key after another.
func FindTemporary(ctx context.Context, c *slotter.Cluster, f func(addr string, t TemporaryKey) error) error {
	m, err := c.Map(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return m.EachMaster(ctx, func(ctx context.Context, i int) error {
		addr := m.Masters[i].Addr
		dbs, err := databasesOf(ctx, c, addr)
		if err != nil {
			return err
		}
		for _, db := range dbs {
			it := c.ClientDB(addr, int(db)).Scan(ctx, 0, "*"+temporaryMark+"*", scanCount).Iterator()
			for it.Next(ctx) {
				if !IsTemporary([]byte(it.Val())) {
					continue
				}
				mu.Lock()
				err := f(addr, TemporaryKey{DB: db, Key: []byte(it.Val())})
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			if err := it.Err(); err != nil {
				return fmt.Errorf("%s: %w", addr, err)
			}
		}
		return nil
	})
}

// databasesOf returns the databases of a server that have keys, or the one that
// the target names.
func databasesOf(ctx context.Context, c *slotter.Cluster, addr string) ([]uint32, error) {
	if db := c.Target().DB; db > 0 {
		return []uint32{uint32(db)}, nil
	}
	info, err := c.Info(ctx, addr, "keyspace")
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(keyspace(info))), nil
}

// RemoveTemporary removes a key that FindTemporary has found at addr.
func RemoveTemporary(ctx context.Context, c *slotter.Cluster, addr string, t TemporaryKey) error {
	client := c.ClientDB(addr, int(t.DB))
	if err := client.Unlink(ctx, string(t.Key)).Err(); err == nil || !strings.HasPrefix(err.Error(), "ERR unknown command") {
		return err
	}
	return client.Del(ctx, string(t.Key)).Err()
}

// removeLeftovers removes the temporary keys of an earlier import. One that
// cannot be removed is tried again at the end.
func (im *Importer) removeLeftovers() {
	for _, t := range im.opts.Leftovers {
		if !IsTemporary(t.Key) {
			continue // whoever wrote this, it is none of ours
		}
		ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
		err := im.remove(ctx, t)
		cancel()
		if err == nil {
			continue
		}
		im.mu.Lock()
		im.temporary = append(im.temporary, t)
		im.discarded = append(im.discarded, t)
		im.mu.Unlock()
	}
}

// removeTemporary removes the temporary key of an attempt that came to nothing.
func (b *bigValue) removeTemporary() {
	if b.temp == nil {
		return
	}
	b.im.discard(TemporaryKey{b.f.db, b.temp})
	b.temp, b.whole = nil, false
}

// sweep removes what the attempts that came to nothing may have left behind.
func (im *Importer) sweep() {
	im.mu.Lock()
	discarded := im.discarded
	im.mu.Unlock()
	if len(discarded) == 0 {
		return
	}
	limit := lastLookTime
	if im.caller.Err() != nil {
		limit = lastMoment
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(im.ctx), limit)
	defer cancel()
	for _, t := range discarded {
		if err := im.remove(ctx, t); err != nil {
			im.opts.Warn(fmt.Sprintf("key %q, in which a value was collected, could not be removed (%v): rdbimport --cleanup lists such keys", t.Key, err))
			continue
		}
		im.forgetTemporary(t.Key)
	}
}

// discard removes a temporary key, now if its master can be reached, and at the
// end of the import in any case: what a connection has left behind may still
// write to it.
func (im *Importer) discard(t TemporaryKey) {
	im.mu.Lock()
	im.discarded = append(im.discarded, t)
	im.mu.Unlock()
	limit := probeTimeout
	if im.stopping.Load() {
		limit = lastMoment // sweep tries again
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(im.ctx), limit)
	defer cancel()
	_ = im.remove(ctx, t)
}

// lastMoment bounds the removing of temporary keys where the user wants everything to
// stop at once.
const lastMoment = 700 * time.Millisecond

// remove removes a key wherever it is.
func (im *Importer) remove(ctx context.Context, t TemporaryKey) error {
	r := im.routes.Load()
	addr := r.masters[r.owner[slotter.Slot(t.Key)]]
	for range mostRedirects {
		if addr == nowhere {
			return errNowhere
		}
		c := im.cluster.ClientDB(addr, int(t.DB))
		err := c.Do(ctx, im.target.unlink, t.Key).Err()
		if err == nil {
			return nil
		}
		switch act := classify([]byte(err.Error())); act {
		case actMoved, actAsk:
			announced, ok := redirect([]byte(err.Error()))
			if !ok {
				return err
			}
			addr = im.cluster.Resolve(announced, addr)
			if act == actAsk {
				pipe := im.cluster.ClientDB(addr, int(t.DB)).Pipeline()
				pipe.Do(ctx, "ASKING")
				pipe.Do(ctx, im.target.unlink, t.Key)
				if _, err := pipe.Exec(ctx); err == nil {
					return nil
				}
			}
		default:
			return err
		}
	}
	return fmt.Errorf("too many redirections of %q", t.Key)
}
