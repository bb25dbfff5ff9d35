package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// leftTime is how long a master may take to get rid of keys of slots that have been moved
// away from it.
const leftTime = 3 * time.Second

// noteTaken notes that a master has lost slots.
func (im *Importer) noteTaken(v move) {
	im.mu.Lock()
	defer im.mu.Unlock()
	all := im.taken[v.from.Addr]
	if all == nil {
		all = make(map[uint16]bool)
		im.taken[v.from.Addr] = all
	}
	for _, slots := range v.to {
		for _, slot := range slots {
			all[slot] = true
		}
	}
}

// lookBehind notes the keys that masters still have of slots that others own by now, which
// somebody has given to these without the keys: nobody finds them there.
func (im *Importer) lookBehind() {
	ctx, cancel := context.WithTimeout(im.ctx, lastLookTime)
	defer cancel()
	for addr, slots := range im.takenNow() {
		if keys, of := im.keysLeft(ctx, addr, slots); keys > 0 {
			loss := Loss{Addr: addr, Slots: slotter.FormatRanges(of), Keys: keys, harm: true,
				Reason: "it does not own these slots any more, and their keys have stayed behind"}
			im.mu.Lock()
			im.left = append(im.left, loss)
			im.mu.Unlock()
			im.opts.Warn(fmt.Sprintf("%s of slots that %s does not own any more are still there, where nobody finds them: the slots were given to others without them", counted(keys, "key"), addr))
		}
	}
}

// takenNow returns the slots that masters have lost and not got back, in order.
func (im *Importer) takenNow() map[string][]uint16 {
	m, all := im.slotMap.Load(), make(map[string][]uint16)
	im.mu.Lock()
	defer im.mu.Unlock()
	for addr, taken := range im.taken {
		for _, slot := range slices.Sorted(maps.Keys(taken)) {
			if owner := m.Owner(slot); owner < 0 || m.Masters[owner].Addr != addr {
				all[addr] = append(all[addr], slot)
			}
		}
	}
	return all
}

// keysLeft returns how many keys a master has for some time in slots that are not its own,
// and in which of them, as far as it can be asked. One that has become a replica has those
// of its master.
func (im *Importer) keysLeft(ctx context.Context, addr string, slots []uint16) (keys int64, of []slotter.Range) {
	ctx, cancel := context.WithTimeout(ctx, leftTime)
	defer cancel()
	for len(slots) > 0 && ctx.Err() == nil {
		s, err := im.cluster.Server(ctx, addr)
		if err == nil && s.Role == "slave" {
			return 0, nil
		}
		var counts []int64
		if err == nil {
			counts, err = im.keysInSlots(ctx, addr, slots)
		}
		if err != nil { // the time may be over
			return keys, of
		}
		if sum(counts) == 0 {
			return 0, nil
		}
		keys, of = sum(counts), holding(slots, counts)
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	}
	return keys, of
}

// holding returns the slots that have keys, those between two of them included where all of
// a run are given.
func holding(slots []uint16, counts []int64) (ranges []slotter.Range) {
	within := false
	for i, slot := range slots {
		within = within && slots[i-1]+1 == slot
		switch {
		case counts[i] == 0:
		case within:
			ranges[len(ranges)-1].Last = slot
		default:
			ranges = append(ranges, slotter.Range{First: slot, Last: slot})
			within = true
		}
	}
	return ranges
}
