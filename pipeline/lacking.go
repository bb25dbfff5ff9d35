package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rdbimport/rdbimport/slotter"
)

// ErrNoDatabase says that the dump has keys in a database that a master does not have.
var ErrNoDatabase = errors.New("the target lacks a database of the dump")

// noDatabase is the error about database db, given that of a connection to it.
func noDatabase(db uint32, err error) error {
	return fmt.Errorf("%w: %d: %w", ErrNoDatabase, db, err)
}

// lacksDatabase returns an error if one of the masters does not have database db, or does
// not let the user have it. A master that cannot be reached says nothing about it.
func lacksDatabase(ctx context.Context, c *slotter.Cluster, r *routes, db uint32) error {
	if db == 0 {
		return nil
	}
	return r.eachMaster(ctx, func(ctx context.Context, addr string) error {
		conn, err := c.Dial(ctx, addr, int(db))
		switch {
		case err == nil:
			_ = conn.Close()
		case errors.Is(err, slotter.ErrDatabase):
			return noDatabase(db, err)
		case errors.Is(err, slotter.ErrNoPermission):
			return fmt.Errorf("database %d: %w", db, err)
		}
		return nil
	})
}

// knownDatabases are those that all masters are known to have.
type knownDatabases struct {
	mu  sync.Mutex // held while masters are asked: others want to know the same
	all map[uint32]bool
}

// find makes sure, once for each db, that the masters have it.
func (k *knownDatabases) find(ctx context.Context, c *slotter.Cluster, r *routes, db uint32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all[db] {
		return nil
	}
	if err := lacksDatabase(ctx, c, r, db); err != nil {
		return err
	}
	if k.all == nil {
		k.all = make(map[uint32]bool)
	}
	k.all[db] = true
	return nil
}

// LacksDatabase returns the error with which an import would stop that comes to keys of
// these databases of the dump, nil if the target has all of them. Of several that it lacks
// it names the highest.
func (t *TargetFacts) LacksDatabase(ctx context.Context, dbs []uint32) error {
	if o := t.im.opts.Databases; !t.im.target.several || o.Only != AllDatabases || o.Merge || o.Prefix != "" {
		return nil
	}
	r := newRoutes(t.Map)
	for _, db := range slices.Backward(slices.Sorted(slices.Values(dbs))) {
		if err := lacksDatabase(ctx, t.im.cluster, r, db); err != nil {
			return err
		}
	}
	return nil
}
