package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/redis/go-redis/v9"
)

// deniesKey reports whether a reply forbids a command because of its key.
func deniesKey(err error) bool {
	if err == nil {
		return false
	}
	text := []byte(err.Error())
	return refusalReason(text) == deniedKey && !deniesCommand(text)
}

// probes is how many keys of any name are tried to find out whether the user may write
// all.
const probes = 4

// someKeysOnly reports whether the user may write keys of certain names only. Nothing is
// written: a payload of no bytes is refused by every server.
func (f *MasterFacts) someKeysOnly(ctx context.Context, t *TargetFacts) bool {
	replies := t.each(ctx, f.Addr, probes, func(int) (name, []any) {
		key := fmt.Sprintf("%016x\x00%c", rand.Uint64(), rune(rand.Int32N(0x10000)))
		return name{t.im.target.db, key}, []any{"RESTORE", key, 0, ""}
	})
	for _, r := range replies {
		if deniesKey(r.Err()) {
			return true
		}
	}
	return false
}

// An askedKey is a key of which the server is to say whether the user may write it, and
// what has been noted of it.
type askedKey struct {
	name
	refusal Refusal // but for the reason
	slot    uint16
	size    int64 // of the record
	fate    Fate
	change  Change
	undo    func()
}

// ask has the server of a key asked about it, if the user may write some keys only.
func (p *Planner) ask(e *rdbparse.Entry, slot uint16, size int64, fate Fate, change Change) {
	owner := p.target.Map.Owner(slot)
	if !p.Asks || owner < 0 || !p.target.Masters[owner].SomeKeysOnly {
		return
	}
	p.asked[owner] = append(p.asked[owner], askedKey{
		name: p.named(e), slot: slot, size: size, fate: fate, change: change,
		refusal: Refusal{DB: e.DB, Type: e.Type, Size: p.feeder.sizeOf(e), Offset: e.Offset},
	})
	p.latest = &p.asked[owner][len(p.asked[owner])-1]
}

// Asked reports whether a server will be asked about the key that was noted last.
func (p *Planner) Asked() bool { return p.latest != nil }

// IfRefused has undo called if it then turns out that this key would be refused.
func (p *Planner) IfRefused(undo func()) {
	p.latest.undo = undo
}

// Ask asks the servers which of the keys noted since it was last called the user may not
// write, as the import will: those would be refused.
func (p *Planner) Ask(ctx context.Context) error {
	for owner, keys := range p.asked {
		replies := p.target.each(ctx, p.target.Masters[owner].Addr, len(keys), func(i int) (name, []any) {
			return keys[i].name, []any{"RESTORE", keys[i].key, 0, ""}
		})
		for i, r := range replies {
			var answered redis.Error
			switch err := r.Err(); {
			case deniesKey(err):
				p.withdraw(&keys[i])
			case err != nil && !errors.As(err, &answered):
				return fmt.Errorf("%s does not say whether the user may write the keys: %w", p.target.Masters[owner].Addr, err)
			}
		}
		clear(keys)
		p.asked[owner] = keys[:0]
	}
	p.latest = nil
	return nil
}

// withdraw notes that a key would be refused.
func (p *Planner) withdraw(k *askedKey) {
	r := &p.result
	r.sum(k.fate).drop(k.size)
	r.Slots[k.slot].drop(k.size)
	r.Refused.add(k.size)
	if k.fate == FateConverted {
		n := r.Changes[k.change]
		if n.drop(k.size); n.Keys > 0 {
			r.Changes[k.change] = n
		} else {
			delete(r.Changes, k.change)
		}
	}
	k.refusal.Key, k.refusal.Reason = []byte(k.key), deniedKey
	p.target.im.refusal(k.refusal)
	if k.undo != nil {
		k.undo()
	}
}

func (s *Sum) drop(bytes int64) {
	s.Keys--
	s.Bytes -= bytes
}
