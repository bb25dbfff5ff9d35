package pipeline_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// longText makes a string of so many bytes, faster than Lua does.
const longText = `redis.call("SETRANGE", "long", ARGV[1] - 1, "x") local long = redis.call("GET", "long") redis.call("DEL", "long") `

// hugeValues are commands that make values of so many bytes, in whole and in parts, of
// which the dump has small ones of the same type. KEYS[1] is the key, ARGV[1] the size.
var hugeValues = map[string]string{
	"string":    `redis.call("SETRANGE", KEYS[1], ARGV[1] - 1, "x")`,
	"long item": longText + `redis.call("RPUSH", KEYS[1], "a", long)`,
	"items":     `for i = 1, ARGV[1] / 100000 do redis.call("RPUSH", KEYS[1], string.rep("x", 100000)) end`,
	"members":   `for i = 1, ARGV[1] / 100000 do redis.call("SADD", KEYS[1], i .. string.rep("x", 100000)) end`,
	"field":     longText + `redis.call("HSET", KEYS[1], "a", long)`,
}

// smallValues is what a dump has under the same names.
func smallValues(t *testing.T) map[string][]byte {
	t.Helper()
	two := dataset.AppendStrings(nil, [][]byte{[]byte("a"), []byte("b")})
	all := make(map[string][]byte)
	for key, value := range map[string]struct {
		typ dataset.Type
		raw []byte
	}{
		"string": {dataset.TypeString, dataset.AppendString(nil, "small")}, "long item": {dataset.TypeList, two}, "items": {dataset.TypeList, two},
		"members": {dataset.TypeSet, two}, "field": {dataset.TypeHash, append([]byte{1}, dataset.AppendString(dataset.AppendString(nil, "a"), "b")...)},
	} {
		all[key] = oneKey(t, value.typ, key, value.raw, 0)
	}
	return all
}

// bounded runs f, and expects that the heap does not grow by more than a budget and what
// a process needs beside it.
func bounded(t *testing.T, what string, budget int64, f func()) {
	t.Helper()
	const slack = 24 << 20
	end := peakHeap()
	f()
	if peak := end(); peak > budget+slack {
		t.Errorf("%s: the heap has grown by %d MB, with a budget of %d MB", what, peak>>20, budget>>20)
	}
}

// TestReadBackHuge imports small values under names that the target has huge values for,
// with every policy, and compares them: nothing of the huge ones is held.
func TestReadBackHuge(t *testing.T) {
	const size, budget = 300 << 20, 16 << 20
	dumps := smallValues(t)
	for _, compressed := range []string{"no", "yes"} {
		lc := start(t, localcluster.Options{Standalone: true, Config: []string{"rdbcompression " + compressed}})
		c, server := connect(t, lc.URL()), lc.Nodes()[0]
		for key, script := range hugeValues {
			if compressed == "yes" && key != "string" && key != "long item" {
				continue // they take as much as the others
			}
			must(t, server, "EVAL", script+" return 1", "1", key, fmt.Sprint(size))
			name, dump := key+", compression "+compressed, dumps[key]
			for _, policy := range []pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictSkip, pipeline.ConflictReplace} {
				opts := all(policy)
				opts.Memory = budget
				bounded(t, fmt.Sprint(name, ", ", policy), budget, func() {
					res, err := begin(t, c, dump, opts).end()
					var conflict *pipeline.ConflictError
					switch {
					case policy == pipeline.ConflictFail && (!errors.As(err, &conflict) || string(conflict.Key) != key || res.Failed != 1):
						t.Errorf("%s: %v, %+v", name, err, res)
					case policy == pipeline.ConflictSkip && (err != nil || res.Existing != 1), policy == pipeline.ConflictReplace && (err != nil || res.Restored != 1):
						t.Errorf("%s, %s: %v, %+v", name, policy, err, res)
					}
					if res.PeakMemory > budget {
						t.Errorf("%s, %s: %d bytes are counted", name, policy, res.PeakMemory)
					}
				})
				if policy == pipeline.ConflictFail {
					bounded(t, name+", verify", budget, func() {
						check := verifyOpts()
						check.Memory = budget
						if _, found := verifies(t, c, dump, check); found[key].Kind != pipeline.Different || len(found) != 1 {
							t.Errorf("%s: %+v", name, found)
						}
					})
				}
			}
			if res, found := verifies(t, c, dump, verifyOpts()); res.Same != 1 {
				t.Errorf("%s: not replaced: %v", name, found)
			}
		}
	}
}

// sameUnpacked returns values that a server packs well, and their dump from a server that
// does so. The server then does not compress any more.
func sameUnpacked(t *testing.T, lc *localcluster.Cluster) (dump []byte, keys int) {
	t.Helper()
	server := lc.Nodes()[0]
	const size = "40000000"
	for key, script := range map[string]string{
		"string": hugeValues["string"],
		"list":   `for i = 1, 40 do redis.call("RPUSH", KEYS[1], i .. string.rep("x", ARGV[1] / 40)) end`,
		"set":    `for i = 1, 80 do redis.call("SADD", KEYS[1], i .. string.rep("x", ARGV[1] / 80)) end`,
		"hash":   `for i = 1, 40 do redis.call("HSET", KEYS[1], i, string.rep("x", ARGV[1] / 40)) end`,
		"field":  hugeValues["field"],
		"zset":   `for i = 1, 80 do redis.call("ZADD", KEYS[1], i, i .. string.rep("x", ARGV[1] / 80)) end`,
		"stream": `for i = 1, 80 do redis.call("XADD", KEYS[1], i .. "-1", "a", string.rep("x", ARGV[1] / 80)) end`,
	} {
		must(t, server, "EVAL", script+" return 1", "1", key, size)
		must(t, server, "PEXPIREAT", key, fmt.Sprint(future))
		keys++
	}
	dump = written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		for _, key := range server.Client().Keys(t.Context(), "*").Val() {
			payload := []byte(server.Client().Dump(t.Context(), key).Val())
			if len(payload) < 100<<10 || len(payload) > 1<<20 {
				t.Errorf("%s: a payload of %d bytes", key, len(payload))
			}
			w.ExpireMs(future)
			w.Key(dataset.Type(payload[0]), []byte(key), payload[1:len(payload)-rdbparse.FooterSize])
		}
	})
	must(t, server, "CONFIG", "SET", "rdbcompression", "no")
	return dump, keys
}

// TestReadBackUnpacked finds values that are those of the dump, though the server gives
// a hundred times as many bytes for them, and a replica has them too; and those that
// differ in one byte, or in their expiry. One that differs stops no other.
func TestReadBackUnpacked(t *testing.T) {
	const budget = 16 << 20
	lc := start(t, localcluster.Options{Standalone: true, Replicas: 1})
	dump, keys := sameUnpacked(t, lc)
	server := lc.Nodes()[0]
	opts, check := all(pipeline.ConflictFail), verifyOpts()
	opts.Memory, opts.WaitReplicas, check.Memory = budget, 1, budget
	c := connect(t, lc.URL())
	bounded(t, "import", budget, func() {
		if res, err := begin(t, c, dump, opts).end(); err != nil || res.Existing != int64(keys) || res.PeakMemory > budget {
			t.Errorf("%v, %+v", err, res)
		}
	})
	bounded(t, "verify", budget, func() {
		if res, found := verifies(t, c, dump, check); res.Same != int64(keys) {
			t.Errorf("%+v, %v", res, found)
		}
	})
	differs := func(key, what string, args ...any) {
		t.Helper()
		must(t, server, args...)
		bounded(t, key, budget, func() {
			res, err := begin(t, c, dump, opts).end()
			var conflict *pipeline.ConflictError
			if !errors.As(err, &conflict) || string(conflict.Key) != key || res.Failed != 1 || res.Existing != int64(keys)-1 || res.Unsettled != 0 {
				t.Errorf("%s: %v, %+v", key, err, res)
			}
			if _, found := verifies(t, c, dump, check); len(found) != 1 || !strings.Contains(found[key].What, what) {
				t.Errorf("%s: %+v", key, found)
			}
		})
	}
	differs("string", "offset 19", "SETRANGE", "string", "20000000", "x")
	must(t, server, "SETRANGE", "string", "20000000", "\x00")
	differs("hash", "5000 ms later", "PEXPIREAT", "hash", fmt.Sprint(future+5000))
	must(t, server, "PEXPIREAT", "hash", fmt.Sprint(future))
	differs("stream", "its last id is 81-1, 80-1 in the dump", "XADD", "stream", "81-1", "a", "b")
}

// TestReadBackLongBroken compares values in parts over connections that break again and
// again.
func TestReadBackLongBroken(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	dump, keys := sameUnpacked(t, lc)
	g, c := behind(t, lc, 5)
	opts := all(pipeline.ConflictFail)
	opts.Memory = 16 << 20
	g.Set(proxy.Plan{Faults: []proxy.Fault{proxy.Reset}, Down: 150 << 20})
	res, err := begin(t, c, dump, opts).end()
	if err != nil || res.Existing != int64(keys) || res.Reconnects == 0 {
		t.Errorf("%v, %+v", err, res)
	}
}
