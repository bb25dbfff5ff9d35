package pipeline

import (
	"context"
	"fmt"
	"time"
)

// A detour is a run of redirections of a key that lead nowhere: the nodes that it is
// sent to disagree about who has its slot, the slot was left half moved, or an address
// stands for two nodes. Each of them is answered at once, so none is trouble of a lane.
type detour struct {
	since, latest time.Time // zero if there is none
	keys          int64     // of the slot, on the node that sent the key away, when it was last looked
}

// sentAway notes another redirection, of a key by the node at from to that at to, and
// returns an error if there has been nothing else for as long as a master may make no
// progress. It is progress where keys of the slot are being moved away meanwhile. Whoever
// has something else become of the key ends the detour.
func (im *Importer) sentAway(d *detour, key []byte, slot uint16, from, to string) error {
	now := time.Now()
	d.latest = now
	if d.since.IsZero() {
		d.since, d.keys = now, im.keysInSlot(from, slot)
		return nil
	}
	lasts := now.Sub(d.since)
	if lasts <= im.opts.RetryTimeout {
		return nil
	}
	if keys := im.keysInSlot(from, slot); keys != d.keys {
		d.since, d.keys = now, keys
		return nil
	}
	return fmt.Errorf("%w for %v: slot %d: %s sends key %q on to %s, again and again: redis-cli --cluster check %s shows whether the slot was left half moved",
		ErrNoProgress, lasts.Round(time.Second), slot, from, key, to, from)
}

// keysInSlot returns how many keys of a slot the node at addr has, -1 if it does not tell.
func (im *Importer) keysInSlot(addr string, slot uint16) int64 {
	if addr == nowhere {
		return -1
	}
	ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
	defer cancel()
	n, err := im.cluster.Client(addr).ClusterCountKeysInSlot(ctx, int(slot)).Result()
	if err != nil {
		return -1
	}
	return n
}
