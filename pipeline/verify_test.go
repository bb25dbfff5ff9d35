package pipeline_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// verifyOpts compares all with the usual tolerance.
func verifyOpts() pipeline.VerifyOptions {
	return pipeline.VerifyOptions{Databases: pipeline.Databases{Only: pipeline.AllDatabases}, TTLTolerance: time.Second}
}

// verifies compares a dump with a target. It returns what was found, by key.
func verifies(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.VerifyOptions) (pipeline.VerifyResult, map[string]pipeline.KeyDifference) {
	t.Helper()
	return verifiesScanned(t, c, dump, opts, rdbparse.Options{})
}

// verifiesScanned is verifies with a Scanner of its own.
func verifiesScanned(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.VerifyOptions, scan rdbparse.Options) (pipeline.VerifyResult, map[string]pipeline.KeyDifference) {
	t.Helper()
	found := map[string]pipeline.KeyDifference{}
	opts.Found = func(d pipeline.KeyDifference) {
		key := string(d.Key)
		if _, twice := found[key]; twice {
			t.Errorf("key %q reported twice", key)
		}
		d.Key = bytes.Clone(d.Key)
		found[key] = d
	}
	v, err := pipeline.Verify(t.Context(), c, opts)
	noError(t, err)
	cerr := v.Check(rdbparse.NewScanner(bytes.NewReader(dump), scan))
	res, err := v.Close()
	noError(t, err)
	noError(t, cerr)
	sum := res.Same + res.Expired + res.Filtered + res.Skipped + res.Missing + res.Different + res.ExpiryOff + res.Unreadable
	if sum != res.Read || res.Unsettled != 0 {
		t.Errorf("%d keys read, but the counts add up to %d: %+v", res.Read, sum, res)
	}
	return res, found
}

// An alteration is a key as it is dumped, what is done to it then, and what must
// be reported; nothing if what is "".
type alteration struct {
	key   string
	made  [][]any // commands without the key, which stands at keyAt
	done  [][]any
	kind  pipeline.DifferenceKind
	what  string // a part of it
	needs func(matrixServer) bool
}

// cmd is a command: its name and arguments, with the key put in by run.
func cmd(args ...any) []any { return args }

func cmds(list ...[]any) [][]any { return list }

// repeated makes a command with n arguments, or pairs, made by f.
func repeated(name string, n int, f func(i int) []any) []any {
	c := []any{name}
	for i := range n {
		c = append(c, f(i)...)
	}
	return c
}

const future = int64(4_102_444_800_000) // ms: the year 2100

// alterations are the ways in which the test makes a target differ.
func alterations() []alteration {
	fields := func(s matrixServer) bool { return hasFieldExpiry(s.version) }
	vectors := func(s matrixServer) bool { return hasVectorSets(s.version) }
	members := repeated("SADD", 1000, func(i int) []any { return []any{fmt.Sprint("member", i)} })
	scored := repeated("ZADD", 300, func(i int) []any { return []any{i, fmt.Sprint("member", i)} })
	table := repeated("HSET", 1000, func(i int) []any { return []any{fmt.Sprint("field", i), i} })
	stream := cmds(cmd("XADD", "1-1", "a", "1"), cmd("XADD", "2-1", "b", "2"), cmd("XADD", "3-1", "c", "3"),
		cmd("XGROUP CREATE", "g", "0"), cmd("XREADGROUP GROUP g ann COUNT 2 STREAMS", ">"))
	set := func(v any) [][]any { return cmds(cmd("SET", v)) }
	return []alteration{
		{key: "string:text", made: set("a"), done: set("b"), kind: pipeline.Different, what: `"a"`},
		{key: "string:int", made: set(1), done: cmds(cmd("INCR")), kind: pipeline.Different, what: "2"},
		{key: "string:bit", made: set("abc"), done: cmds(cmd("SETBIT", 7, 0)), kind: pipeline.Different, what: "abc"},
		{key: "string:compressed", made: set(strings.Repeat("x", 2000)), done: cmds(cmd("SETRANGE", 1000, "y")), kind: pipeline.Different, what: "string: from byte"},
		{key: "string:large", made: set(strings.Repeat("0123456789abcdef", 1<<16)), done: cmds(cmd("SETRANGE", 1<<19, "y")), kind: pipeline.Different, what: "string: from byte"},
		{key: "string:empty", made: set(""), done: set("x"), kind: pipeline.Different, what: `""`},
		{key: "list:order", made: cmds(cmd("RPUSH", "a", "b", "c")), done: cmds(cmd("DEL"), cmd("RPUSH", "a", "c", "b")), kind: pipeline.Different, what: "element 1"},
		{key: "list:item", made: cmds(cmd("RPUSH", "a", "b", "c")), done: cmds(cmd("LSET", 2, "d")), kind: pipeline.Different, what: "element 2"},
		{key: "list:longer", made: cmds(cmd("RPUSH", "a", "b")), done: cmds(cmd("RPUSH", "c")), kind: pipeline.Different, what: "extra"},
		{key: "list:shorter", made: cmds(cmd("RPUSH", "a", "b")), done: cmds(cmd("RPOP")), kind: pipeline.Different, what: "missing"},
		{key: "set:more", made: cmds(cmd("SADD", "a", "b")), done: cmds(cmd("SADD", "c")), kind: pipeline.Different, what: `"c" is extra`},
		{key: "set:less", made: cmds(cmd("SADD", "a", "b")), done: cmds(cmd("SREM", "b")), kind: pipeline.Different, what: `"b" is missing`},
		{key: "set:int", made: cmds(cmd("SADD", 1, 2, 3)), done: cmds(cmd("SADD", 4)), kind: pipeline.Different, what: `"4" is extra`},
		{key: "set:table", made: cmds(members), done: cmds(cmd("SREM", "member500")), kind: pipeline.Different, what: `"member500" is missing`},
		{key: "zset:bit", made: cmds(cmd("ZADD", 1.1, "a", 2, "b")), done: cmds(cmd("ZADD", math.Nextafter(1.1, 2), "a")), kind: pipeline.Different, what: "1.1"},
		{key: "zset:less", made: cmds(cmd("ZADD", 1, "a", 2, "b")), done: cmds(cmd("ZREM", "b")), kind: pipeline.Different, what: `"b" is missing`},
		{key: "zset:table", made: cmds(scored), done: cmds(cmd("ZINCRBY", 1, "member99")), kind: pipeline.Different, what: "member99"},
		{key: "hash:value", made: cmds(cmd("HSET", "a", 1, "b", 2)), done: cmds(cmd("HSET", "b", 3)), kind: pipeline.Different, what: `"b"`},
		{key: "hash:less", made: cmds(cmd("HSET", "a", 1, "b", 2)), done: cmds(cmd("HDEL", "a")), kind: pipeline.Different, what: `"a" is missing`},
		{key: "hash:table", made: cmds(table), done: cmds(cmd("HSET", "field77", "x")), kind: pipeline.Different, what: "field77"},
		{key: "stream:entry", made: stream, done: cmds(cmd("XADD", "4-1", "d", "4")), kind: pipeline.Different, what: "4-1"},
		{key: "stream:deleted", made: stream, done: cmds(cmd("XDEL", "2-1")), kind: pipeline.Different, what: "2-1"},
		{key: "stream:pending", made: stream, done: cmds(cmd("XACK", "g", "1-1")), kind: pipeline.Different, what: "1-1"},
		{key: "stream:group", made: stream, done: cmds(cmd("XGROUP CREATE", "h", "0")), kind: pipeline.Different, what: `"h"`},
		{key: "stream:delivered", made: stream, done: cmds(cmd("XGROUP SETID", "g", "0")), kind: pipeline.Different, what: `"g"`},
		{key: "stream:owner", made: stream, done: cmds(cmd("XCLAIM", "g", "bob", 0, "1-1", "JUSTID")), kind: pipeline.Different, what: "1-1"},
		{key: "stream:count", made: stream, done: cmds(cmd("XCLAIM", "g", "ann", 0, "2-1", "RETRYCOUNT", 9)), kind: pipeline.Different, what: "2-1"},
		{key: "stream:last", made: stream, done: cmds(cmd("XSETID", "9-9")), kind: pipeline.Different, what: "9-9"},
		{key: "type", made: set("a"), done: cmds(cmd("DEL"), cmd("SADD", "a")), kind: pipeline.Different, what: "it is a string in the dump and a set on the target"},
		{key: "missing:string", made: set("a"), done: cmds(cmd("DEL")), kind: pipeline.Missing, what: "does not have it"},
		{key: "missing:list", made: cmds(cmd("RPUSH", "a")), done: cmds(cmd("LPOP")), kind: pipeline.Missing, what: "does not have it"},
		{key: "expiry:later", made: cmds(cmd("SET", "a"), cmd("PEXPIREAT", future)), done: cmds(cmd("PEXPIREAT", future+2000)), kind: pipeline.ExpiryOff, what: " ms later than in the dump"},
		{key: "expiry:earlier", made: cmds(cmd("SADD", "a"), cmd("PEXPIREAT", future)), done: cmds(cmd("PEXPIREAT", future-2000)), kind: pipeline.ExpiryOff, what: " ms sooner than in the dump"},
		{key: "expiry:none", made: cmds(cmd("SET", "a"), cmd("PEXPIREAT", future)), done: cmds(cmd("PERSIST")), kind: pipeline.ExpiryOff, what: "it has no expiry"},
		{key: "expiry:new", made: set("a"), done: cmds(cmd("PEXPIREAT", future)), kind: pipeline.ExpiryOff, what: "it has an expiry"},
		{key: "expiry:both", made: cmds(cmd("SET", "a"), cmd("PEXPIREAT", future)), done: set("b"), kind: pipeline.Different, what: "; it has no expiry"},
		{key: "expired:back", made: cmds(cmd("SET", "a", "PX", shortLife)), done: cmds(cmd("SET", "a")), kind: pipeline.Different, what: "it has expired in the dump"},
		{key: "extra:string", done: set("a"), kind: pipeline.Extra, what: "does not have it"},
		{key: "extra:set", done: cmds(cmd("SADD", "a")), kind: pipeline.Extra, what: "does not have it"},
		{key: "extra:\x00\xff", done: set("a"), kind: pipeline.Extra, what: "does not have it"},
		{key: "field:expiry", made: cmds(cmd("HSET", "a", 1, "b", 2), cmd("HPEXPIREAT", future, "FIELDS", 1, "a")),
			done: cmds(cmd("HPEXPIREAT", future+1, "FIELDS", 1, "a")), kind: pipeline.Different, what: `"a"`, needs: fields},
		{key: "field:none", made: cmds(cmd("HSET", "a", 1, "b", 2), cmd("HPEXPIREAT", future, "FIELDS", 1, "a")),
			done: cmds(cmd("HPERSIST", "FIELDS", 1, "a")), kind: pipeline.Different, what: `"a"`, needs: fields},
		{key: "vector", made: cmds(cmd("VADD", "VALUES", 2, 1, 2, "a")), done: cmds(cmd("VADD", "VALUES", 2, 3, 1, "b")), kind: pipeline.Different, what: "vector set", needs: vectors},

		// What is no difference.
		{key: "same:set", made: cmds(cmd("SADD", "a", "b", "c")), done: cmds(cmd("DEL"), cmd("SADD", "c", "b", "a"))},
		{key: "same:encoding", made: cmds(cmd("SADD", 1, 2, 3)), done: cmds(cmd("SADD", "x"), cmd("SREM", "x"))},
		{key: "same:hash", made: cmds(cmd("HSET", "a", 1, "b", 2)), done: cmds(cmd("DEL"), cmd("HSET", "b", 2), cmd("HSET", "a", 1))},
		{key: "same:expiry", made: cmds(cmd("SET", "a"), cmd("PEXPIREAT", future)), done: cmds(cmd("PEXPIREAT", future+500))},
		{key: "same:string", made: set("a"), done: set("a")},
		{key: "expired:gone", made: cmds(cmd("SET", "a", "PX", shortLife))},
		{key: "expired:fields", made: cmds(cmd("HSET", "a", 1), cmd("HPEXPIRE", shortLife, "FIELDS", 1, "a")), needs: fields},
	}
}

// shortLife is how many ms a key lives that is to be dumped, but to have expired
// when it is compared.
const shortLife = 1500

// An altered target runs commands where the keys belong.
type altered struct {
	t  *testing.T
	lc *localcluster.Cluster
}

// run runs a command. The key goes behind the words of the first argument.
func (a altered) run(key string, command []any) {
	a.t.Helper()
	words := strings.Fields(command[0].(string))
	var args []any
	for _, w := range words {
		args = append(args, w)
	}
	args = append(append(args, key), command[1:]...)
	var err error
	for _, m := range masters(a.lc) {
		if err = m.Do(a.t.Context(), args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
			break
		}
	}
	if err != nil {
		a.t.Fatalf("%.100v: %v", args, err)
	}
}

// gone waits until a key has expired.
func (a altered) gone(key string) {
	a.t.Helper()
	await(a.t, "the key to expire", func() bool {
		for _, m := range masters(a.lc) {
			if n, err := m.Exists(a.t.Context(), key).Result(); err == nil {
				return n == 0
			}
		}
		return false
	})
}

// TestVerify makes a dump, alters the keys on the target in all ways there are,
// and expects exactly these to be reported.
func TestVerify(t *testing.T) {
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) { testVerify(t, s, true) })
		if s.name == "redis-7.0" {
			t.Run(s.name+" cluster", func(t *testing.T) { testVerify(t, s, false) })
		}
	}
}

func testVerify(t *testing.T, s matrixServer, standalone bool) {
	lc := s.run(t, true)
	source := altered{t, lc}
	var all []alteration
	for _, a := range alterations() {
		if a.needs == nil || a.needs(s) {
			all = append(all, a)
		}
	}
	// What is to expire soon comes last.
	slices.SortStableFunc(all, func(a, b alteration) int {
		soon := func(a alteration) int { return strings.Count(a.key, "expired:") }
		return soon(a) - soon(b)
	})
	read := 0
	for _, a := range all {
		for _, c := range a.made {
			source.run(a.key, c)
		}
		read += min(1, len(a.made))
	}
	dump := save(t, lc.Nodes()[0], false)

	target := source
	c := connect(t, lc.URL())
	if !standalone {
		target.lc = start(t, localcluster.Options{Binary: s.binary})
		c = connect(t, target.lc.URL())
		_, err := imports(t, c, dump, allOptions())
		noError(t, err)
	}
	for _, list := range []bool{false, true} {
		opts := verifyOpts()
		opts.Extra = list
		res, found := verifies(t, c, dump, opts)
		if len(found) > 0 || int(res.Read) != read || res.Same+res.Expired != res.Read || res.Extra != 0 || !res.ExtraKnown {
			t.Errorf("nothing is altered, but: %+v, %v", res, found)
		}
	}

	for _, a := range all {
		if strings.HasPrefix(a.key, "expired:") {
			target.gone(a.key)
		}
		for _, c := range a.done {
			target.run(a.key, c)
		}
	}
	opts := verifyOpts()
	opts.Extra = true
	res, found := verifies(t, c, dump, opts)
	compareFound(t, all, found)
	if !res.ExtraListed || res.Extra != 3 {
		t.Errorf("extra keys: %+v", res)
	}
	if touches := s.version.Version < 702; res.Touched != touches {
		t.Errorf("reading leaves traces: %v", res.Touched)
	}
	opts.Extra = false
	counted, _ := verifies(t, c, dump, opts)
	if counted.Extra != 3 || !counted.ExtraKnown || counted.ExtraListed {
		t.Errorf("extra keys, counted: %+v", counted)
	}
}

// allOptions imports all keys, with no policy for those that exist.
func allOptions() pipeline.Options { return all(pipeline.ConflictFail) }

// compareFound compares what was reported with what was altered.
func compareFound(t *testing.T, all []alteration, found map[string]pipeline.KeyDifference) {
	t.Helper()
	rest := maps.Clone(found)
	for _, a := range all {
		d, ok := found[a.key]
		delete(rest, a.key)
		switch {
		case ok != (a.what != ""):
			t.Errorf("%q: reported %v: %s", a.key, ok, d.What)
		case !ok:
		case d.Kind != a.kind || !strings.Contains(d.What, a.what):
			t.Errorf("%q: reported as %v, %s; expected %v, %s", a.key, d.Kind, d.What, a.kind, a.what)
		case (d.Offset < 0) != (d.Kind == pipeline.Extra):
			t.Errorf("%q: offset %d", a.key, d.Offset)
		}
	}
	if len(rest) > 0 {
		t.Errorf("unexpected: %v", rest)
	}
}
