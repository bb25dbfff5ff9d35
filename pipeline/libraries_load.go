package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/redis/go-redis/v9"
)

// A loading brings a library or script to every master.
type loading struct {
	f       *Feeder
	at      int64 // where it stands in the dump
	command string
	name    []byte
	load    func(ctx context.Context, addr string) error

	mu      sync.Mutex
	settled map[string]bool      // by address of the master
	since   map[string]time.Time // since when one could not
	open    bool                 // one has to be asked again
	failed  bool                 // one has refused it
}

// everywhere has load called for every master, and reports whether all of them have
// loaded what is called name, and stands at a place in the dump, by now. As with keys,
// one that cannot at the moment is asked again. Why one has refused it is counted, once; a
// conflict is returned.
func (f *Feeder) everywhere(at int64, command string, name []byte, load func(ctx context.Context, addr string) error) (all bool, err error) {
	g := loading{f: f, at: at, command: command, name: name, load: load, settled: make(map[string]bool), since: make(map[string]time.Time)}
	for try := 0; ; try++ {
		if err := g.round(); err != nil || !g.open {
			return err == nil && !g.failed, err
		}
		if err := f.im.pause(try); err != nil {
			return false, err
		}
	}
}

// round asks the masters that there are, but for those that have settled it.
func (g *loading) round() error {
	g.open = false
	m := g.f.im.slotMap.Load()
	return m.EachMaster(g.f.im.ctx, func(ctx context.Context, i int) error {
		addr := m.Masters[i].Addr
		g.mu.Lock()
		settled := g.settled[addr]
		g.mu.Unlock()
		if settled {
			return nil
		}
		err := g.load(ctx, addr)
		if err != nil && ctx.Err() != nil {
			return ctx.Err() // the import ends, or another master has a conflict
		}
		return g.judge(addr, err)
	})
}

// judge says what follows from the answer of a master.
func (g *loading) judge(addr string, err error) error {
	im, lane := g.f.im, g.f.im.laneTo(place{addr, g.f.db, 0})
	g.mu.Lock()
	defer g.mu.Unlock()
	var conflict *ConflictError
	if err == nil {
		g.settled[addr] = true
		lane.well()
		return nil
	}
	if errors.As(err, &conflict) {
		return err
	}
	act := actLater
	var reply redis.Error
	if errors.As(err, &reply) {
		act = classify([]byte(reply.Error()))
	}
	switch act {
	case actLater:
		return g.again(lane, err)
	case actLoading:
		delete(g.since, addr) // it is alive, so its time is not running out
		return g.again(lane, err)
	case actOOM:
		if !im.waitsOnOOM() {
			return im.full(addr, fmt.Sprintf("%s of %q", g.command, g.name))
		}
		im.warnFull(addr)
		delete(g.since, addr)
		return g.again(lane, ErrTargetFull)
	case actStopAuth:
		return fmt.Errorf("%w: %s: %w", slotter.ErrAuth, addr, err)
	}
	g.settled[addr] = true
	if !g.failed {
		g.failed = true
		im.libraryRefused(g.at, g.command+": "+err.Error(), g.name)
	}
	return nil
}

// again has the master of a lane asked once more, unless that has lasted too long.
func (g *loading) again(lane *lane, err error) error {
	addr := lane.place.addr
	lane.ails(err)
	g.open = true
	since, before := g.since[addr]
	if !before {
		g.since[addr] = time.Now()
	}
	if d := time.Since(since); before && d > g.f.im.opts.RetryTimeout {
		return fmt.Errorf("%w for %v: %s: %s of %q: %w", ErrNoProgress, d.Round(time.Second), addr, g.command, g.name, err)
	}
	return nil
}
