package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/redis/go-redis/v9"
)

// An alterer alters keys of a server at random, by commands.
type alterer struct {
	*rand.Rand
	t   *testing.T
	ctx context.Context
	c   *redis.Client
	s   matrixServer
	log map[string][]string // what was done, by key
}

// do sends a command about a key. Servers may refuse it: what counts is what they hold then.
func (a *alterer) do(key string, args ...any) *redis.Cmd {
	cmd := a.c.Do(a.ctx, args...)
	a.log[key] = append(a.log[key], fmt.Sprintf("%.80q: %v", fmt.Sprint(args...), cmd.Err()))
	return cmd
}

// one returns one of list, "" if there is none.
func (a *alterer) one(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[a.IntN(len(list))]
}

// alter does something to a key, which may come to nothing.
func (a *alterer) alter(key string) {
	switch a.IntN(12) {
	case 0:
		a.do(key, "DEL", key)
		return
	case 1:
		a.do(key, "PERSIST", key)
		return
	case 2:
		a.do(key, "PEXPIREAT", key, future+a.Int64N(1<<40))
		return
	case 3: // the same value without an expiry
		if payload := a.c.Dump(a.ctx, key).Val(); payload != "" {
			a.do(key, "RESTORE", key, 0, payload, "REPLACE")
		}
		return
	case 4:
		a.do(key, "DEL", key)
		a.do(key, a.one([]string{"SADD", "RPUSH", "SET"}), key, "x")
		return
	}
	switch a.c.Type(a.ctx, key).Val() {
	case "string":
		n := int(a.c.StrLen(a.ctx, key).Val())
		switch a.IntN(4) {
		case 0:
			a.do(key, "APPEND", key, "!")
		case 1:
			a.do(key, "SETRANGE", key, a.IntN(n+1), "!")
		case 2:
			a.do(key, "INCR", key)
		case 3: // another encoding
			a.do(key, "APPEND", key, "")
		}
	case "list":
		a.list(key)
	case "set":
		a.set(key)
	case "zset":
		a.zset(key)
	case "hash":
		a.hash(key)
	case "stream":
		a.stream(key)
	}
}

func (a *alterer) list(key string) {
	items := a.c.LRange(a.ctx, key, 0, -1).Val()
	at := a.IntN(len(items))
	switch a.IntN(5) {
	case 0:
		a.do(key, "LSET", key, at, items[at]+"!")
	case 1:
		a.do(key, "LPUSH", key, "")
	case 2:
		a.do(key, "RPOP", key)
	case 3:
		other := a.IntN(len(items))
		a.do(key, "LSET", key, at, items[other])
		a.do(key, "LSET", key, other, items[at])
	case 4: // another encoding
		a.do(key, "RPUSH", key, strings.Repeat("x", 10000))
		a.do(key, "RPOP", key)
	}
}

func (a *alterer) set(key string) {
	member := a.one(a.c.SMembers(a.ctx, key).Val())
	switch a.IntN(4) {
	case 0:
		a.do(key, "SREM", key, member)
	case 1:
		a.do(key, "SADD", key, member+"!")
	case 2:
		a.do(key, "SREM", key, member)
		a.do(key, "SADD", key, member+" ")
	case 3: // another encoding
		a.do(key, "SADD", key, strings.Repeat("x", 100))
		a.do(key, "SREM", key, strings.Repeat("x", 100))
	}
}

func (a *alterer) zset(key string) {
	all := a.c.ZRangeWithScores(a.ctx, key, 0, -1).Val()
	m := all[a.IntN(len(all))]
	name := fmt.Sprint(m.Member)
	text := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	switch a.IntN(5) {
	case 0:
		a.do(key, "ZADD", key, text(math.Nextafter(m.Score, math.Inf(1))), name)
	case 1:
		a.do(key, "ZADD", key, text(math.Nextafter(m.Score, math.Inf(-1))), name)
	case 2:
		a.do(key, "ZREM", key, name)
	case 3:
		a.do(key, "ZREM", key, name)
		a.do(key, "ZADD", key, text(m.Score), name+"!")
	case 4: // another encoding
		a.do(key, "ZADD", key, 1, strings.Repeat("x", 100))
		a.do(key, "ZREM", key, strings.Repeat("x", 100))
	}
}

func (a *alterer) hash(key string) {
	fields := a.c.HGetAll(a.ctx, key).Val()
	name := a.one(slices.Sorted(maps.Keys(fields)))
	what := a.IntN(5)
	if hasFieldExpiry(a.s.version) {
		what = a.IntN(8)
	}
	switch what {
	case 0:
		a.do(key, "HDEL", key, name)
	case 1:
		a.do(key, "HSET", key, name+"!", "v")
	case 2:
		a.do(key, "HSET", key, name, fields[name]+"!")
	case 3: // the same, but for its expiry
		a.do(key, "HSET", key, name, fields[name])
	case 4: // another encoding
		a.do(key, "HSET", key, "long", strings.Repeat("x", 5000))
		a.do(key, "HDEL", key, "long")
	case 5:
		a.do(key, "HPEXPIREAT", key, future+a.Int64N(1000), "FIELDS", 1, name)
	case 6:
		a.do(key, "HPERSIST", key, "FIELDS", 1, name)
	case 7:
		at := a.do(key, "HPEXPIRETIME", key, "FIELDS", 1, name).Val()
		if list, ok := at.([]any); ok && len(list) == 1 && list[0].(int64) > 0 {
			a.do(key, "HPEXPIREAT", key, list[0].(int64)+1, "FIELDS", 1, name)
		}
	}
}

func (a *alterer) stream(key string) {
	var groups, consumers, entries []string
	group := ""
	for _, g := range a.c.XInfoGroups(a.ctx, key).Val() {
		groups = append(groups, g.Name)
	}
	if group = a.one(groups); len(groups) > 0 {
		for _, c := range a.c.XInfoConsumers(a.ctx, key, group).Val() {
			consumers = append(consumers, c.Name)
		}
	}
	for _, e := range a.c.XRange(a.ctx, key, "-", "+").Val() {
		entries = append(entries, e.ID)
	}
	var pending []string
	for _, p := range a.c.XPendingExt(a.ctx, &redis.XPendingExtArgs{Stream: key, Group: group, Start: "-", End: "+", Count: 1000}).Val() {
		pending = append(pending, p.ID)
	}
	id := a.one(entries)
	if id == "" {
		id = "0-1"
	}
	wait := a.one(pending)
	switch a.IntN(14) {
	case 0:
		a.do(key, "XADD", key, "*", "a", "b")
	case 1:
		a.do(key, "XDEL", key, id)
	case 2:
		a.do(key, "XTRIM", key, "MAXLEN", a.IntN(len(entries)+1))
	case 3:
		a.do(key, "XGROUP", "CREATE", key, "another", "0")
	case 4:
		a.do(key, "XGROUP", "DESTROY", key, group)
	case 5:
		a.do(key, "XGROUP", "SETID", key, group, id)
	case 6:
		a.do(key, "XREADGROUP", "GROUP", group, "another", "STREAMS", key, "0")
	case 7:
		a.do(key, "XGROUP", "DELCONSUMER", key, group, a.one(consumers))
	case 8:
		a.do(key, "XREADGROUP", "GROUP", group, a.one(consumers), "COUNT", 1, "STREAMS", key, ">")
	case 9:
		a.do(key, "XACK", key, group, wait)
	case 10:
		a.do(key, "XCLAIM", key, group, a.one(consumers), 0, wait, "JUSTID")
	case 11:
		a.do(key, "XCLAIM", key, group, a.one(consumers), 0, wait, "RETRYCOUNT", a.IntN(100), "JUSTID")
	case 12:
		a.do(key, "XSETID", key, "2000000000000-0")
	case 13:
		a.do(key, "XSETID", key, "2000000000000-0", "ENTRIESADDED", 1000+a.IntN(100), "MAXDELETEDID", "5-5")
	}
}

// seen is when consumers were seen and active, which does not count.
var seen = regexp.MustCompile(` (seen|active)-time:"?[-0-9]+"? ?`)

// stands is what a server holds, as it counts.
func stands(t *testing.T, s matrixServer, c *redis.Client) state.State {
	t.Helper()
	have, err := state.Scope{RoughExpiry: !hasFunctions(s.version)}.Read(t.Context(), c)
	noError(t, err)
	for key, text := range have {
		have[key] = seen.ReplaceAllString(text, "")
	}
	return have
}

// kindOf says how a key differs whose state was one and is another, "" if it does not.
func kindOf(before, after state.State, key string) string {
	was, is := before[key], after[key]
	split := func(text string) (typ, expiry, value string) {
		typ, text, _ = strings.Cut(text, " ")
		if rest, ok := strings.CutPrefix(text, "about "); ok {
			text = rest
		}
		expiry, value, _ = strings.Cut(text, " ")
		return typ, expiry, value
	}
	wasType, wasExpiry, wasValue := split(was)
	isType, isExpiry, isValue := split(is)
	switch {
	case was == is:
		return ""
	case was == "":
		return "extra"
	case is == "":
		return "missing"
	case wasType != isType, wasValue != isValue:
		return "different"
	case wasExpiry != isExpiry:
		return "expiry"
	}
	return ""
}

// TestVerifyRandom alters what a server holds at random, and expects what another way of
// reading sees: no more, and no less. Values are held, and compared in ranges.
func TestVerifyRandom(t *testing.T) {
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			lc := s.run(t, true)
			c, client := connect(t, lc.URL()), lc.Nodes()[0].Client()
			f := &filler{t: t, c: client, v: s.version}
			f.fill()
			dump := save(t, lc.Nodes()[0], false)
			before := stands(t, s, client)
			delete(before, "expired")
			for round := range uint64(6) {
				a := &alterer{rand.New(rand.NewPCG(1, round)), t, t.Context(), client, s, map[string][]string{}}
				for _, key := range slices.Sorted(maps.Keys(before)) {
					if a.IntN(3) == 0 {
						a.alter(key)
					}
				}
				after := stands(t, s, client)
				delete(after, "expired")
				for name, scan := range map[string]rdbparse.Options{"held": {}, "in ranges": {MaxValue: 1, Again: bytes.NewReader(dump)}} {
					opts := verifyOpts()
					opts.Extra = true
					_, found := verifiesScanned(t, c, dump, opts, scan)
					for key := range maps.Keys(before) {
						kind := ""
						d, ok := found[key]
						if ok {
							kind = d.Kind.String()
						}
						if want := kindOf(before, after, key); kind != want {
							t.Errorf("round %d, %s: %q is reported as %q (%s), expected %q: %q\n%.3000s\n%.3000s", round, name, key, kind, d.What, want, a.log[key], before[key], after[key])
						}
						delete(found, key)
					}
					if len(found) > 0 {
						t.Errorf("round %d, %s: %v", round, name, found)
					}
				}
				s.empty(t, lc, false)
				_, err := imports(t, c, dump, all(pipeline.ConflictReplace))
				noError(t, err)
				if t.Failed() {
					return
				}
			}
		})
	}
}
