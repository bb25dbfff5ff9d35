package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// runRedo compares the keys for which another master has to be asked, or the
// same once more: what belongs together at once, and then what is still open one
// after another.
func (v *Verifier) runRedo() {
	conns := make(map[place]*verifyConn)
	wait := v.waits.add(MasterWaiting)
	defer func() {
		for _, c := range conns {
			c.close()
		}
	}()
	for {
		select {
		case b := <-v.redo:
			wait.begin(v.ownerOf(b.key(0)))
			v.redoMany(conns, b)
			for i := range b.keys {
				if b.keys[i].settled {
					continue
				}
				wait.begin(v.ownerOf(b.key(i)))
				if err := v.redoKey(conns, wait, b, i); err != nil {
					v.fail(err)
					return
				}
			}
			wait.end()
			v.put(b)
		case <-v.ctx.Done():
			return
		}
	}
}

// ownerOf returns the address of the master that a key belongs to.
func (v *Verifier) ownerOf(key []byte) string {
	r := v.routes.Load()
	return r.masters[r.owner[slotter.Slot(key)]]
}

// redoMany compares what is open in b and belongs to one master, as far as that
// master lets it. What stays open is for redoKey.
func (v *Verifier) redoMany(conns map[place]*verifyConn, b *verifyBatch) {
	r, p := v.routes.Load(), place{nowhere, b.place.db, 0}
	var open []int
	var commands []byte
	for i := range b.keys {
		addr := r.masters[r.owner[slotter.Slot(b.key(i))]]
		if len(open) == 0 {
			p.addr = addr
		}
		if k := &b.keys[i]; !k.settled && !k.long && addr == p.addr {
			open = append(open, i)
			commands = v.appendRead(commands, b.key(i), false)
		}
	}
	if len(open) == 0 {
		return
	}
	c, err := v.redoConn(conns, p)
	if err != nil {
		v.refresh(p.addr) // another master may have taken its place
		return
	}
	defer c.replies.release()
	// The servers read on while their answers wait to be read.
	_, err = c.Write(commands)
	for _, i := range open {
		refused := ""
		if err == nil {
			refused, err = v.readKey(c.replies, b, i, false)
		}
		if err != nil {
			c.close()
			delete(conns, p)
			v.refresh(p.addr)
			return
		}
		if refused != "" {
			v.refused(p.addr, b, i, refused)
		}
	}
}

// redoConn returns the connection to a place, a new one if there is none.
func (v *Verifier) redoConn(conns map[place]*verifyConn, p place) (*verifyConn, error) {
	if c := conns[p]; c != nil {
		return c, nil
	}
	c, err := v.dial(v.ctx, p)
	if err != nil {
		return nil, err
	}
	conns[p] = c
	v.counts.reconnects.Add(1)
	return c, nil
}

// redoKey compares key i of b: it follows redirects, and tries again for some
// time when something is in the way.
func (v *Verifier) redoKey(conns map[place]*verifyConn, wait *verifyWait, b *verifyBatch, i int) error {
	if b.keys[i].long {
		return v.checkLong(wait, b, i)
	}
	slot, until := slotter.Slot(b.key(i)), time.Now().Add(v.opts.RetryTimeout)
	r := v.routes.Load()
	addr, ask, pause := r.masters[r.owner[slot]], false, firstPause
	for hops := 0; ; {
		act, next, err := v.askOne(conns, place{addr, b.place.db, 0}, b, i, ask)
		if act == actOK && b.keys[i].long {
			return v.checkLong(wait, b, i)
		}
		if act == actOK {
			return nil
		}
		if cause := context.Cause(v.ctx); cause != nil {
			return cause
		}
		if time.Now().After(until) {
			return fmt.Errorf("key %q cannot be compared: %w", b.key(i), err)
		}
		if hops++; act != actLater && hops%4 != 0 {
			addr, ask = next, act == actAsk
			continue
		}
		if err := v.pause(v.ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longPause)
		v.refresh(addr)
		r := v.routes.Load()
		addr, ask = r.masters[r.owner[slot]], false
	}
}

// ErrPutOff is the error of a comparison that a master does not let get on: it is loading,
// thinks that the cluster is down, or sends a key on and on.
var ErrPutOff = errors.New("the target puts it off")

// askOne asks one node for key i of b. actOK says that the key is settled, or long; next
// is where to go with actMoved and actAsk.
func (v *Verifier) askOne(conns map[place]*verifyConn, p place, b *verifyBatch, i int, ask bool) (act action, next string, err error) {
	c, err := v.redoConn(conns, p)
	if err != nil {
		return actLater, "", err
	}
	refused := ""
	if _, err = c.Write(v.appendRead(nil, b.key(i), ask)); err == nil {
		refused, err = v.readKey(c.replies, b, i, ask)
		c.replies.release()
	}
	if err != nil {
		c.close()
		delete(conns, p)
		return actLater, "", fmt.Errorf("%s: %w", p.addr, err)
	}
	if refused == "" {
		return actOK, "", nil
	}
	act, next = v.refused(p.addr, b, i, refused)
	return act, next, fmt.Errorf("%w: %s: %s", ErrPutOff, p.addr, refused)
}

// refresh asks for the slot map, another node than the one that does not get on
// if there is one.
func (v *Verifier) refresh(not string) {
	ctx, cancel := context.WithTimeout(v.ctx, mapTimeout)
	defer cancel()
	m, err := v.cluster.MapFrom(ctx, not)
	if err != nil {
		m, err = v.cluster.Map(ctx)
	}
	if err == nil {
		v.routeMu.Lock()
		v.routes.Store(newRoutes(m))
		v.routeMu.Unlock()
	}
}

// pause waits, until ctx ends at the longest.
func (v *Verifier) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
