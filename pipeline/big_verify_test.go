package pipeline_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// bigVerifies compares a dump, about every value of which is too large to be held,
// with a target. It returns what was found, by key.
func bigVerifies(t *testing.T, c *slotter.Cluster, dump []byte, memory int64) (pipeline.VerifyResult, map[string]pipeline.KeyDifference) {
	t.Helper()
	opts := verifyOpts()
	opts.Memory = memory
	return verifiesScanned(t, c, dump, opts, rdbparse.Options{MaxValue: 64, Again: bytes.NewReader(dump)})
}

// TestVerifyBigCircle compares a large value whose slot two masters say that the other
// one has. That has to come to an end, and not to be asked without a pause.
func TestVerifyBigCircle(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := oneKey(t, dataset.TypeSet, "key", dataset.AppendStrings(nil, manyTexts("member", 1000)), 0)
	opts := verifyOpts()
	opts.RetryTimeout = 3 * time.Second
	v, err := pipeline.Verify(t.Context(), c, opts)
	noError(t, err)
	slot, nodes := slotter.Slot([]byte("key")), lc.Nodes()
	m, err := c.Map(t.Context())
	noError(t, err)
	at := slices.IndexFunc(nodes, func(n *localcluster.Node) bool { return n.Addr == m.Masters[m.Owner(slot)].Addr })
	a, b := nodes[at], nodes[(at+1)%3]
	connections := func() (n int64) {
		for _, node := range nodes {
			info, err := node.Client().Info(t.Context(), "stats").Result()
			noError(t, err)
			_, rest, _ := strings.Cut(info, "total_connections_received:")
			made, err := strconv.ParseInt(rest[:strings.IndexByte(rest, '\r')], 10, 64)
			noError(t, err)
			n += made
		}
		return n
	}
	before := connections()
	must(t, a, "CLUSTER", "SETSLOT", slot, "NODE", b.ID)
	must(t, b, "CLUSTER", "SETSLOT", slot, "NODE", a.ID)
	err = v.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{MaxValue: 64, Again: bytes.NewReader(dump)}))
	if err == nil || !strings.Contains(err.Error(), `key "key" cannot be compared`) {
		t.Error(err)
	}
	if _, err := v.Close(); err == nil {
		t.Error("no error")
	}
	if n := connections() - before; n > 300 {
		t.Errorf("%d connections were made", n)
	} else {
		t.Logf("%d connections", n)
	}
}

// bigAlterations are the ways in which one part of a large value can differ.
func bigAlterations(s matrixServer) []alteration {
	different := pipeline.Different
	fields := func(s matrixServer) bool { return hasFieldExpiry(s.version) }
	members := repeated("SADD", 3000, func(i int) []any { return []any{fmt.Sprint("member", i)} })
	scored := repeated("ZADD", 3000, func(i int) []any { return []any{float64(i) / 3, fmt.Sprint("member", i)} })
	table := repeated("HSET", 3000, func(i int) []any { return []any{fmt.Sprint("field", i), i} })
	items := repeated("RPUSH", 3000, func(i int) []any { return []any{fmt.Sprint("item", i)} })
	var stream [][]any
	for i := range 300 {
		stream = append(stream, cmd("XADD", fmt.Sprintf("%d-1", i+1), "field", fmt.Sprint("value", i)))
	}
	stream = append(stream, cmd("XGROUP CREATE", "g", "0"), cmd("XGROUP CREATE", "h", "5-1"), cmd("XREADGROUP GROUP g ann COUNT 200 STREAMS", ">"),
		cmd("XREADGROUP GROUP g idle STREAMS", "0"))
	offsets := func(s matrixServer) bool { return hasFunctions(s.version) }
	counted := func(key, what string, done []any) alteration {
		return alteration{key: key, made: stream, done: cmds(done), kind: different, what: what, needs: offsets}
	}
	groups, consumers := stream[:300:300], append(stream[:300:300], cmd("XGROUP CREATE", "g", "0"))
	for i := range 600 { // more than are asked about at a time
		groups = append(groups, cmd("XGROUP CREATE", fmt.Sprint("group", i), "0"))
		consumers = append(consumers, cmd(fmt.Sprintf("XREADGROUP GROUP g consumer%d STREAMS", i), "0"))
	}
	text := cmds(cmd("SET", noise(1, 300_000)))
	long := cmds(cmd("HSET", "short", "x", "long", noise(2, 300_000)))
	one := func(key string, made [][]any, what string, done ...[]any) alteration {
		return alteration{key: key, made: made, done: done, kind: different, what: what}
	}
	all := []alteration{
		one("set:member", cmds(members), "member", cmd("SREM", "member1500"), cmd("SADD", "other")),
		one("set:more", cmds(members), "elements", cmd("SADD", "other")),
		one("set:less", cmds(members), `"member77" is missing`, cmd("SREM", "member77")),
		one("zset:bit", cmds(scored), `"member1000" has the score`, cmd("ZADD", math.Nextafter(1000.0/3, 0), "member1000")),
		one("zset:member", cmds(scored), `"member2999" is missing`, cmd("ZREM", "member2999"), cmd("ZADD", 1, "other")),
		one("list:order", cmds(items), "item 2000 is another", cmd("LSET", 2000, "item2001"), cmd("LSET", 2001, "item2000")),
		one("list:less", cmds(items), "shorter", cmd("RPOP")),
		one("list:more", cmds(items), "elements", cmd("RPUSH", "x")),
		one("hash:value", cmds(table), `"field2500" has another value`, cmd("HSET", "field2500", "x")),
		one("hash:field", cmds(table), `"field2500" is missing`, cmd("HDEL", "field2500"), cmd("HSET", "other", "x")),
		one("hash:long", long, `"long" has another value`, cmd("HSET", "long", noise(2, 299_999)+"!")),
		one("list:long", cmds(cmd("RPUSH", "a", noise(3, 300_000), "b")), "item 1 has another value", cmd("LSET", 1, noise(3, 200_000)+"!"+noise(4, 99_999))),
		one("string:byte", text, "it differs within", cmd("SETRANGE", 150_000, "!!")),
		one("string:longer", text, "bytes", cmd("APPEND", "!")),
		one("stream:entry", stream, "entries are missing", cmd("XDEL", "250-1")),
		one("stream:more", stream, "last id", cmd("XADD", "1000-1", "a", "b")),
		one("stream:pending", stream, "does not wait for", cmd("XACK", "g", "100-1")),
		one("stream:delivered", stream, "delivered up to", cmd("XGROUP SETID", "g", "250-1")),
		one("stream:count", stream, "was delivered", cmd("XCLAIM", "g", "ann", 0, "100-1", "RETRYCOUNT", 7, "JUSTID")),
		one("stream:owner", stream, "entry 100-1", cmd("XCLAIM", "g", "bob", 0, "100-1", "JUSTID")),
		one("stream:group", stream, `"h" is missing`, cmd("XGROUP DESTROY", "h")),
		one("stream:group more", stream, "is not in the dump", cmd("XGROUP CREATE", "i", "0")),
		one("stream:consumer", stream, `consumer "idle" of group "g" is missing`, cmd("XGROUP DELCONSUMER", "g", "idle"), cmd("XREADGROUP GROUP g other STREAMS", "0")),
		one("stream:consumer more", stream, `consumer "other" of group "g" is not in the dump`, cmd("XREADGROUP GROUP g other STREAMS", "0")),
		one("stream:consumers", stream, `group "h" has 1 consumer, 0 in the dump`, cmd("XREADGROUP GROUP h other STREAMS", "0")),
		one("groups:less", groups, `group "group77" is missing`, cmd("XGROUP DESTROY", "group77"), cmd("XGROUP CREATE", "other", "0")),
		one("groups:more", groups, "the stream has 601 groups, 600 in the dump", cmd("XGROUP CREATE", "other", "0")),
		one("groups:delivered", groups, `group "group599" was delivered up to`, cmd("XGROUP SETID", "group599", "250-1")),
		one("consumers:less", consumers, `consumer "consumer599" of group "g" is missing`, cmd("XGROUP DELCONSUMER", "g", "consumer599"), cmd("XREADGROUP GROUP g other STREAMS", "0")),
		one("consumers:more", consumers, `group "g" has 601 consumers, 600 in the dump`, cmd("XREADGROUP GROUP g other STREAMS", "0")),
		counted("stream:added", "its number of entries added is 301, 300 in the dump", cmd("XSETID", "300-1", "ENTRIESADDED", 301)),
		counted("stream:deleted", "its greatest deleted id is 7-7, 0-0 in the dump", cmd("XSETID", "300-1", "ENTRIESADDED", 300, "MAXDELETEDID", "7-7")),
		counted("stream:read", `group "g" has read 17 entries, 200 in the dump`, cmd("XGROUP SETID", "g", "200-1", "ENTRIESREAD", 17)),
		counted("stream:reads", `group "g" has read an unknown number of entries, 200 in the dump`, cmd("XGROUP SETID", "g", "200-1", "ENTRIESREAD", -1)),
		one("type", cmds(table), "in the dump a hash", cmd("DEL"), cmd("SADD", "x")),
		{key: "missing", made: cmds(scored), done: cmds(cmd("DEL")), kind: pipeline.Missing, what: "does not have it"},
		{key: "expiry:none", made: cmds(scored, cmd("PEXPIREAT", future)), done: cmds(cmd("PERSIST")), kind: pipeline.ExpiryOff, what: "no expiry"},
		{key: "expiry:new", made: cmds(table), done: cmds(cmd("PEXPIREAT", future)), kind: pipeline.ExpiryOff, what: "expiry"},
		{key: "expiry:other", made: append(text[:1:1], cmd("PEXPIREAT", future)), done: cmds(cmd("PEXPIREAT", future+5000)), kind: pipeline.ExpiryOff, what: " ms later than in the dump"},
		{key: "field:new", made: cmds(table), done: cmds(cmd("HPEXPIREAT", future, "FIELDS", 1, "field7")), kind: different, what: `"field7" has another expiry`, needs: fields},
		{key: "field:other", made: cmds(table, cmd("HPEXPIREAT", future, "FIELDS", 1, "field2")), done: cmds(cmd("HPEXPIREAT", future+1, "FIELDS", 1, "field2")), kind: different, what: `"field2" has another expiry`, needs: fields},
		{key: "field:none", made: cmds(table, cmd("HPEXPIREAT", future, "FIELDS", 1, "field2")), done: cmds(cmd("HPERSIST", "FIELDS", 1, "field2")), kind: different, what: `"field2" has another expiry`, needs: fields},
		{key: "field:long", made: append(long[:1:1], cmd("HPEXPIREAT", future, "FIELDS", 1, "long")), done: cmds(cmd("HPEXPIREAT", future+1, "FIELDS", 1, "long")), kind: different, what: `"long" has another expiry`, needs: fields},

		{key: "same:set", made: cmds(members), done: cmds(cmd("DEL"), members)},
		{key: "same:string", made: text},
		{key: "same:groups", made: groups},
		{key: "same:consumers", made: consumers},
		{key: "same:expiry", made: append(text[:1:1], cmd("PEXPIREAT", future)), done: cmds(cmd("PEXPIREAT", future+500))},
	}
	var can []alteration
	for _, a := range all {
		if a.needs == nil || a.needs(s) {
			can = append(can, a)
		}
	}
	return can
}

// TestBigVerify compares large values with what each server holds: first with what
// an import has left of them, then with one part of each altered.
func TestBigVerify(t *testing.T) {
	t.Parallel()
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			lc := s.run(t, true)
			c, target := connect(t, lc.URL()), altered{t, lc}
			all := bigAlterations(s)
			for _, a := range all {
				for _, command := range a.made {
					target.run(a.key, command)
				}
			}
			dump := save(t, lc.Nodes()[0], false)
			s.empty(t, lc, false)
			opts := pieces(pipeline.ConflictFail)
			opts.Memory = small // 64 KiB are held
			res, err := bigImports(t, c, dump, opts)
			if err != nil || int(res.Restored) != len(all) || int(res.Big) != len(all) {
				t.Fatalf("%v, %+v", err, res)
			}
			same, found := bigVerifies(t, c, dump, small)
			if len(found) > 0 || int(same.Same) != len(all) {
				t.Errorf("nothing is altered, but: %+v, %v", same, found)
			}
			for _, a := range all {
				for _, command := range a.done {
					target.run(a.key, command)
				}
			}
			_, found = bigVerifies(t, c, dump, small)
			compareFound(t, all, found)
		})
	}
}
