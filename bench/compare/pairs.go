package main

import (
	"context"
	"errors"
	"fmt"
)

// A pair is an import and the floor, run one after the other.
type pair struct {
	Import cost `json:"import"`
	Floor  cost `json:"floor"`
}

// measurePairs runs import and floor in turn, each on empty servers. A first
// run that does not count brings the machine to its working temperature.
func (b *bench) measurePairs(ctx context.Context, s set) (pairs []pair, err error) {
	fl, err := startFloor(ctx, s.file, b.masters.URL())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fl.stop()) }()
	sendFloor := func(context.Context) (cost, error) { return fl.run() }
	importSet := func(ctx context.Context) (cost, error) { return b.runImport(ctx, s) }
	if _, err := b.whole(ctx, s, sendFloor); err != nil {
		return nil, err
	}
	for i := range b.pairs {
		var p pair
		if p.Import, err = b.whole(ctx, s, importSet); err != nil {
			return nil, err
		}
		if p.Floor, err = b.whole(ctx, s, sendFloor); err != nil {
			return nil, err
		}
		b.note("%s: pair %d of %d: import %.2f s, floor %.2f s", s.name, i+1, b.pairs, p.Import.Wall, p.Floor.Wall)
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// whole runs f on empty masters, which must hold the whole set afterwards.
func (b *bench) whole(ctx context.Context, s set, f func(context.Context) (cost, error)) (cost, error) {
	if err := b.masters.reset(ctx); err != nil {
		return cost{}, err
	}
	c, err := b.masters.observe(ctx, func() (cost, error) { return f(ctx) })
	if err == nil && c.Keys != s.keys && !c.Stopped {
		err = fmt.Errorf("the masters hold %d keys, the dump %d", c.Keys, s.keys)
	}
	return c, err
}
