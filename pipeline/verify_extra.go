package pipeline

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/rdbimport/rdbimport/slotter"
)

// keyHashes remembers keys by 64-bit hashes, seeded anew for each comparison. A
// key that is not among n of them seems to be with a probability of n/2^64.
type keyHashes struct {
	seed    maphash.Seed
	buckets [256][]uint64 // by the first byte, so that growing one copies little
	count   int64
	most    int64
	scratch []byte
}

// hashCost is the most memory in bytes that a hash takes, with the room that its
// bucket has left.
const hashCost = 12

// hashShare is the part of the budget that goes into hashes, one in hashShare.
const hashShare = 2

func newKeyHashes(memory int64) *keyHashes {
	return &keyHashes{seed: maphash.MakeSeed(), most: memory / hashCost}
}

func (h *keyHashes) hash(db uint32, prefix, key []byte) uint64 {
	h.scratch = binary.LittleEndian.AppendUint32(h.scratch[:0], db)
	h.scratch = append(h.scratch, prefix...)
	h.scratch = append(h.scratch, key...)
	return maphash.Bytes(h.seed, h.scratch)
}

// add remembers a key. Beyond the bound nothing is kept any more.
func (h *keyHashes) add(db uint32, prefix, key []byte) {
	if h.count++; h.count > h.most {
		h.buckets = [256][]uint64{}
		return
	}
	x := h.hash(db, prefix, key)
	h.buckets[x>>56] = append(h.buckets[x>>56], x)
}

// full reports whether there were more keys than there is memory for.
func (h *keyHashes) full() bool { return h.count > h.most }

// sort readies h for has.
func (h *keyHashes) sort() {
	for i := range h.buckets {
		slices.Sort(h.buckets[i])
	}
}

func (h *keyHashes) has(x uint64) bool {
	_, ok := slices.BinarySearch(h.buckets[x>>56], x)
	return ok
}

// extraKeys is what is known of the keys that only the target has.
type extraKeys struct {
	count         int64
	known, listed bool
}

// findExtra counts or lists the keys that the dump does not have.
func (v *Verifier) findExtra(ctx context.Context) (extraKeys, error) {
	if v.hashes != nil {
		if !v.hashes.full() {
			return v.listExtra(ctx)
		}
		v.opts.Warn(fmt.Sprintf("extra keys are not listed: %d keys are compared, and --memory has room for the hashes of %d; --memory %dMiB has room for all",
			v.hashes.count, v.hashes.most, hashShare*v.hashes.count*hashCost>>20+1))
	}
	if v.sample != slotter.Slots {
		return extraKeys{}, nil
	}
	var sum atomic.Int64
	err := v.everyMaster(ctx, func(ctx context.Context, addr string) error {
		dbs, err := v.databasesOf(ctx, addr)
		for _, keys := range dbs {
			sum.Add(keys)
		}
		return err
	})
	c := &v.counts
	held := c.same.Load() + c.kinds[Different].Load() + c.kinds[ExpiryOff].Load() + c.kinds[Unreadable].Load()
	return extraKeys{count: max(0, sum.Load()-held), known: err == nil}, err
}

// everyMaster calls f with the address of each master, for many at the same time.
func (v *Verifier) everyMaster(ctx context.Context, f func(ctx context.Context, addr string) error) error {
	m, err := v.cluster.Map(ctx)
	if err != nil {
		return err
	}
	return m.EachMaster(ctx, func(ctx context.Context, i int) error { return f(ctx, m.Masters[i].Addr) })
}

// oneDatabase reports whether all keys of the dump are in one database of the target.
func (v *Verifier) oneDatabase() bool {
	o := v.opts.Databases
	return !v.severalDatabases() || o.Only != AllDatabases || o.Merge || o.Prefix != ""
}

// databasesOf returns the databases of a server that the dump could fill, with
// their numbers of keys.
func (v *Verifier) databasesOf(ctx context.Context, addr string) (map[uint32]int64, error) {
	if v.oneDatabase() {
		n, err := v.cluster.ClientDB(addr, int(v.db)).DBSize(ctx).Result()
		return map[uint32]int64{v.db: n}, err
	}
	info, err := v.cluster.Info(ctx, addr, "keyspace")
	if err != nil {
		return nil, err
	}
	return keyspace(info), nil
}

// scanCount is how many keys one SCAN asks for.
const scanCount = 1000

// listExtra walks the keys of the target and reports those that the dump does
// not have.
func (v *Verifier) listExtra(ctx context.Context) (extraKeys, error) {
	v.hashes.sort()
	seen := seenKeys{hashes: make(map[uint64]struct{})}
	err := v.everyMaster(ctx, func(ctx context.Context, addr string) error {
		dbs, err := v.databasesOf(ctx, addr)
		if err != nil {
			return err
		}
		for db := range dbs {
			if err := v.scan(ctx, addr, db, &seen); err != nil {
				return err
			}
		}
		return nil
	})
	return extraKeys{known: err == nil, listed: true}, err
}

// seenKeys are the hashes of keys that have been reported: SCAN may give a key twice.
type seenKeys struct {
	mu     sync.Mutex
	hashes map[uint64]struct{}
}

// maxSeen bounds how many extra keys are remembered as reported.
const maxSeen = 1 << 20

// first reports whether a key of this hash has not been met.
func (s *seenKeys) first(hash uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.hashes[hash]; again {
		return false
	}
	if len(s.hashes) < maxSeen {
		s.hashes[hash] = struct{}{}
	}
	return true
}

func (v *Verifier) scan(ctx context.Context, addr string, db uint32, seen *seenKeys) error {
	client, cursor := v.cluster.ClientDB(addr, int(db)), uint64(0)
	own := keyHashes{seed: v.hashes.seed} // to hash with, since others do so at the same time
	places := misplaced{v: v, addr: addr, db: db, sent: make(map[uint16]struct{})}
	for {
		keys, next, err := client.Scan(ctx, cursor, "", scanCount).Result()
		if err != nil {
			return fmt.Errorf("%s: SCAN: %w", addr, err)
		}
		for _, key := range keys {
			x, slot, what := own.hash(db, nil, []byte(key)), slotter.Slot([]byte(key)), "the dump does not have it"
			if !v.sampled(slot) {
				continue
			}
			if v.hashes.has(x) {
				if !places.stray(ctx, key, slot) {
					continue
				}
				what = fmt.Sprintf("it is on %s, which does not own its slot", addr)
			}
			if seen.first(x) {
				v.found(KeyDifference{Kind: Extra, Key: []byte(key), DB: db, What: what, Offset: -1})
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// misplaced tells which keys of a master nobody finds there.
type misplaced struct {
	v    *Verifier
	addr string
	db   uint32
	sent map[uint16]struct{} // slots for which their owner sends elsewhere
}

// stray reports whether the slot of a key that the master has is another's, who does not
// send those who ask for the key elsewhere, as it does while the slot is migrated.
func (m *misplaced) stray(ctx context.Context, key string, slot uint16) bool {
	owner := m.v.ownerOf([]byte(key))
	if _, known := m.sent[slot]; known || owner == m.addr || owner == nowhere {
		return false
	}
	if m.v.cluster.ClientDB(owner, int(m.db)).Exists(ctx, key).Err() != nil {
		m.sent[slot] = struct{}{}
		return false
	}
	return true
}

// writes is how many changes all masters have counted since their last save.
func (v *Verifier) writes(ctx context.Context) (int64, error) {
	var sum atomic.Int64
	err := v.everyMaster(ctx, func(ctx context.Context, addr string) error {
		info, err := v.cluster.Info(ctx, addr, "persistence")
		if err != nil {
			return err
		}
		n, _ := strconv.ParseInt(info["rdb_changes_since_last_save"], 10, 64)
		sum.Add(n)
		return nil
	})
	return sum.Load(), err
}
