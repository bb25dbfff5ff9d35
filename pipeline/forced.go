package pipeline

import (
	"context"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/redis/go-redis/v9"
)

// A move is the slots of a master that have gone to nodes that are no replicas of it: with
// their keys, if they were moved, or without, if the master was gone and somebody had
// others own its slots, as redis-cli --cluster fix does.
type move struct {
	from  slotter.Master
	to    map[string][]uint16 // slots, by the address of their new owner, nowhere if none
	slots int                 // of them
	of    int                 // slots that the master had
	held  int64               // keys of the dump that it has, as it has said
}

// forced returns the masters that had keys and whose slots the map takes away without
// their keys.
func (im *Importer) forced(ctx context.Context, after *slotter.Map) (lost []slotter.Master) {
	for _, v := range im.moves(after) {
		if im.gone(ctx, v) && !im.arrived(ctx, v) && ctx.Err() == nil { // else the asking was cut short
			lost = append(lost, v.from)
			continue
		}
		im.noteTaken(v)
	}
	return lost
}

// moves compares the present map with the next.
func (im *Importer) moves(after *slotter.Map) (all []move) {
	before := im.slotMap.Load()
	im.mu.Lock()
	defer im.mu.Unlock()
	of, taken := make([]int, len(before.Masters)), make(map[int]*move)
	for slot := range uint16(slotter.Slots) {
		a, b := before.Owner(slot), after.Owner(slot)
		if a < 0 {
			continue
		}
		of[a]++
		to := nowhere
		if b >= 0 {
			if id := after.Masters[b].ID; id == before.Masters[a].ID || im.replicaOf(before.Masters[a].ID, id) {
				continue
			}
			to = after.Masters[b].Addr
		}
		v := taken[a]
		if v == nil {
			v = &move{from: before.Masters[a], to: make(map[string][]uint16)}
			taken[a] = v
		}
		v.slots++
		v.to[to] = append(v.to[to], slot)
	}
	for a, v := range taken {
		v.of, v.held = of[a], im.heldBy(v.from.Addr)
		if v.held > 0 {
			all = append(all, *v)
		}
	}
	return all
}

// gone reports whether the old owner is not there any more, or another process, or another
// node at the same address.
func (im *Importer) gone(ctx context.Context, v move) bool {
	if len(v.to[v.from.Addr]) > 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s, err := im.cluster.Server(ctx, v.from.Addr)
	if err != nil {
		return true
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	run := im.runIDs[v.from.Addr]
	return run != "" && run != s.RunID
}

// fewKeys is how many keys there should be, at the least, for their number to say anything.
const fewKeys = 10

// arrived reports whether the new owners have about as many keys in the slots as the old
// one should have had. Where that cannot be found out they have not.
func (im *Importer) arrived(ctx context.Context, v move) bool {
	expected := v.held * int64(v.slots) / int64(v.of)
	if expected < fewKeys && v.slots < v.of {
		return true // the rest will tell
	}
	have := int64(0)
	for addr, slots := range v.to {
		if addr == nowhere {
			continue
		}
		counts, err := im.keysInSlots(ctx, addr, slots)
		if err != nil {
			return false
		}
		have += sum(counts)
	}
	return 2*have >= expected
}

// keysInSlots returns how many keys the node at addr has in each of some slots.
func (im *Importer) keysInSlots(ctx context.Context, addr string, slots []uint16) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	asked := make([]*redis.IntCmd, len(slots))
	ask := im.cluster.Client(addr).Pipeline()
	for i, slot := range slots {
		asked[i] = ask.ClusterCountKeysInSlot(ctx, int(slot))
	}
	if _, err := ask.Exec(ctx); err != nil {
		return nil, err
	}
	counts := make([]int64, len(slots))
	for i, c := range asked {
		counts[i] = c.Val()
	}
	return counts, nil
}

// sum adds up counts.
func sum(counts []int64) (all int64) {
	for _, n := range counts {
		all += n
	}
	return all
}

// countTime is how long the counting of keys may take.
const countTime = 5 * time.Second

// noteForced notes what such masters had as lost. im.mu is held.
func (im *Importer) noteForced(lost []slotter.Master) {
	for _, n := range lost {
		im.forgetProcess(n.Addr)
		im.noteLoss(n.Addr, "", "other masters have its slots now, and not its keys", true)
	}
}
