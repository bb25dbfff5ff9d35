package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/redis/go-redis/v9"
)

// A filler makes one of everything on a server, by commands.
type filler struct {
	t   *testing.T
	c   *redis.Client
	v   element.ServerVersion
	lfu bool // the server counts uses, not idle time

	queue [][]any // commands not sent yet
}

// Names of keys begin with these where not every server can hold the value.
const (
	fieldExpiryKeys = "fieldexpiry:"
	vectorSetKeys   = "vectorset:"
)

func hasFunctions(v element.ServerVersion) bool  { return v.Valkey || v.Version >= 700 }
func hasActiveTime(v element.ServerVersion) bool { return v.Valkey || v.Version >= 702 }
func hasVectorSets(v element.ServerVersion) bool { return !v.Valkey && v.Version >= 800 }
func hasFieldExpiry(v element.ServerVersion) bool {
	return v.Valkey && v.Version >= 900 || !v.Valkey && v.Version >= 704
}

// do queues a command.
func (f *filler) do(args ...any) {
	f.t.Helper()
	if f.queue = append(f.queue, args); len(f.queue) >= 500 {
		f.flush()
	}
}

// flush sends what is queued. Every command must be accepted.
func (f *filler) flush() {
	f.t.Helper()
	answers, _ := f.c.Pipelined(context.Background(), func(p redis.Pipeliner) error {
		for _, args := range f.queue {
			p.Do(context.Background(), args...)
		}
		return nil
	})
	for i, a := range answers {
		if a.Err() != nil && !errors.Is(a.Err(), redis.Nil) {
			f.t.Fatalf("%.200q: %v", fmt.Sprint(f.queue[i]...), a.Err())
		}
	}
	f.queue = nil
}

func (f *filler) set(name string, value any) { f.t.Helper(); f.do("CONFIG", "SET", name, value) }

// fill makes everything. Nothing that it makes depends on the clock but one key
// that has expired by the time the dump is imported.
func (f *filler) fill() {
	f.strings()
	f.lists()
	f.sets()
	f.sortedSets()
	f.hashes()
	f.edges()
	f.streams()
	if hasFieldExpiry(f.v) {
		f.fieldExpiry()
	}
	if hasVectorSets(f.v) {
		f.vectorSets()
	}
	f.access()
	f.expiry()
	if hasFunctions(f.v) {
		f.functions()
	}
	f.flush()
}

// noise returns n bytes that do not compress.
func noise(seed uint64, n int) string {
	b := make([]byte, n)
	dataset.NewRand(seed).Fill(b)
	return string(b)
}

// awkward are texts that encodings treat in different ways.
func awkward() []string {
	all := []string{
		"", "a", "007", "-0", "+1", "1e3", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "\x00\xff\r\n", "clé",
		strings.Repeat("ab", 200), strings.Repeat("x", 63), noise(1, 64), noise(2, 300), strings.Repeat("0123456789", 500),
	}
	for _, n := range []int64{0, 12, 13, 127, 128, -128, -129, 4095, 4096, 32767, -32769, 1 << 23, 1 << 31, -1 << 40} {
		all = append(all, strconv.FormatInt(n, 10))
	}
	return all
}

func args(first []any, rest ...string) []any {
	for _, s := range rest {
		first = append(first, s)
	}
	return first
}

func (f *filler) strings() {
	for i, s := range awkward() {
		f.do("SET", fmt.Sprintf("string:%d", i), s)
	}
	f.do("SET", "string:long", noise(3, 100_000))
	f.do("SET", "string:compressed", strings.Repeat("rdbimport ", 20_000))
	f.do("SETRANGE", "string:holes", 1000, "x")
	for _, key := range []string{
		"", "42", "-7", "100000", "\x00\xfe binary \r\n", "{user1000}.following", "foo{}{bar}", "foo{{bar}}zap", "{}", strings.Repeat("long key ", 500), "*3\r\n$3\r\n",
	} {
		f.do("SET", key, "value of "+strconv.Quote(key)[:min(12, len(key)+2)])
	}
}

func (f *filler) lists() {
	f.do(args([]any{"RPUSH", "list:awkward"}, awkward()...)...)
	for i := range 3000 {
		if i%500 == 0 {
			f.do("RPUSH", "list:long", noise(uint64(i), 50))
		}
		f.do("RPUSH", "list:long", i*i)
	}
	// Elements larger than a node: nodes of their own, in Redis 7.2 and newer
	// without a listpack.
	f.do("RPUSH", "list:plain", noise(4, 20_000), "small", strings.Repeat("compress ", 10_000), "5", noise(5, 70_000))
	f.set("list-compress-depth", 1)
	for i := range 200 {
		f.do("RPUSH", "list:compressed", strings.Repeat(strconv.Itoa(i), 300))
	}
	f.set("list-compress-depth", 0)
}

func (f *filler) sets() {
	f.do("SADD", "set:int16", 1, 2, -3, 32767)
	f.do("SADD", "set:int32", 1, 70000, -70000)
	f.do("SADD", "set:int64", 1, 1<<40, -1<<62)
	f.do("SADD", "set:packed", "a", "b", "1", "", "\x00")
	f.do(args([]any{"SADD", "set:awkward"}, awkward()...)...)
	for i := range 700 {
		f.do("SADD", "set:table", "member"+strconv.Itoa(i))
		f.do("SADD", "set:manyints", i*i*i)
	}
}

func (f *filler) sortedSets() {
	scores := []string{
		"0", "-0", "1", "-1", "0.1", "-0.1", "3.0e-5", "1e17", "1.7976931348623157e308", "5e-324", "+inf", "-inf", "9007199254740993", "123456789.125", "0.3333333333333333",
	}
	for i, s := range scores {
		f.do("ZADD", "zset:packed", s, "m"+strconv.Itoa(i))
		f.do("ZADD", "zset:table", s, "m"+strconv.Itoa(i))
	}
	for i, m := range awkward() {
		f.do("ZADD", "zset:awkward", i%3, m)
	}
	for i := range 500 {
		f.do("ZADD", "zset:table", float64(i)/7, "member"+strconv.Itoa(i))
	}
}

func (f *filler) hashes() {
	f.do("HSET", "hash:packed", "field", "value", "", "", "n", 5, "5", "n", "bin\x00", "\xff")
	for i, v := range awkward() {
		f.do("HSET", "hash:awkward", v, i, "v"+strconv.Itoa(i), v)
	}
	for i := range 800 {
		f.do("HSET", "hash:table", "field"+strconv.Itoa(i), i)
	}
}

// edges makes packed values with elements of the lengths of which servers read
// the packed forms of each other wrongly.
func (f *filler) edges() {
	for _, kind := range []string{"hash", "zset"} {
		f.set(kind+"-max-ziplist-value", 3_000_000)
	}
	f.set("list-max-ziplist-size", -5)
	if hasActiveTime(f.v) {
		f.set("set-max-listpack-value", 3_000_000)
	}
	for name, s := range map[string]string{"noise": noise(6, 16378), "compressed": strings.Repeat("e", 16378), "more": noise(7, 16379)} {
		f.do("RPUSH", "list:edge:"+name, "before", s, "behind")
		f.do("HSET", "hash:edge:"+name, "before", "1", "long", s, "behind", "2")
		f.do("ZADD", "zset:edge:"+name, 1, "before", 2, s, 3, "behind")
		f.do("SADD", "set:edge:"+name, "before", s, "behind")
		f.do("XADD", "stream:edge:"+name, "1-1", "long", s)
		f.do("XADD", "stream:edge:"+name, "2-1", "long", "short")
	}
	f.do("HSET", "hash:edge:2M", "long", strings.Repeat("2M", 2097146/2), "behind", "2")
}

func (f *filler) streams() {
	f.set("stream-node-max-entries", 10)
	const key = "stream:groups"
	id := func(i int) string { return fmt.Sprintf("%d-%d", 1_700_000_000_000+i/4, 1+i%4) }
	for i := range 60 {
		f.do("XADD", key, id(i), "sensor", "a1", "value", i)
	}
	f.do("XADD", key, id(60), "other", "", "", "fields", "bin\x00", "\xff", "other", "twice")
	f.do("XGROUP", "CREATE", key, "all", "0")
	f.do("XREADGROUP", "GROUP", "all", "ann", "COUNT", 30, "STREAMS", key, ">")
	f.do("XREADGROUP", "GROUP", "all", "bob\x00", "COUNT", 10, "STREAMS", key, ">")
	f.do("XACK", key, "all", id(0), id(5), id(35))
	f.do("XCLAIM", key, "all", "cy", 0, id(2), id(3), "TIME", 1_700_000_000_123, "RETRYCOUNT", 77)
	for i := 10; i < 20; i++ { // a whole node, of which all is pending
		f.do("XDEL", key, id(i))
	}
	f.do("XDEL", key, id(0), id(3), id(40), id(60))
	f.do("XGROUP", "CREATE", key, "tail", "$")
	f.do("XGROUP", "CREATE", key, "", id(7))
	if f.v.Valkey || f.v.Version >= 700 {
		f.do("XGROUP", "CREATE", key, "counted", id(9), "ENTRIESREAD", 10)
		f.do("XGROUP", "CREATECONSUMER", key, "all", "idle")
		f.do("XADD", "stream:setid", "5-5", "a", "b")
		f.do("XSETID", "stream:setid", "1800000000000-5", "ENTRIESADDED", 100, "MAXDELETEDID", "1700000000000-1")
	}
	f.do("XADD", "stream:empty", "7-7", "a", "b")
	f.do("XDEL", "stream:empty", "7-7")
	f.do("XGROUP", "CREATE", "stream:made", "g", "$", "MKSTREAM")
	f.do("XADD", "stream:trimmed", "1-1", "a", "b")
	for i := range 100 {
		f.do("XADD", "stream:trimmed", "MAXLEN", 33, fmt.Sprintf("2-%d", i), "n", i)
	}
	f.do("XADD", "stream:setid", "1800000000001-0", "a", "b")
	f.do("XSETID", "stream:setid", "1800000000002-0")
}

// fieldExpiry makes hashes whose fields expire.
func (f *filler) fieldExpiry() {
	const at = dataset.FutureMs
	f.do("HSET", fieldExpiryKeys+"some", "a", 1, "b", 2, "", "")
	f.do("HPEXPIREAT", fieldExpiryKeys+"some", at+1, "FIELDS", 2, "a", "")
	f.do("HSET", fieldExpiryKeys+"all", "a", 1, "b", "two")
	f.do("HPEXPIREAT", fieldExpiryKeys+"all", at, "FIELDS", 1, "a")
	f.do("HPEXPIREAT", fieldExpiryKeys+"all", at+1<<40, "FIELDS", 1, "b")
	f.do("HSETEX", fieldExpiryKeys+"hsetex", "PXAT", at+2, "FIELDS", 2, "f", "v", "bin\x00", "\xff")
	for i := range 700 {
		name := "field" + strconv.Itoa(i)
		f.do("HSET", fieldExpiryKeys+"table", name, i)
		if i%3 == 0 {
			f.do("HPEXPIREAT", fieldExpiryKeys+"table", at+int64(i*7919%1000), "FIELDS", 1, name)
		}
	}
	f.do("HSET", fieldExpiryKeys+"edge", "long", noise(8, 16378), "behind", "1")
	f.do("HPEXPIREAT", fieldExpiryKeys+"edge", at, "FIELDS", 1, "behind")
	// No field of this one expires any more: every server can hold it.
	f.do("HSET", "hash:persisted", "a", 1, "b", 2)
	f.do("HPEXPIREAT", "hash:persisted", at, "FIELDS", 1, "a")
	f.do("HPERSIST", "hash:persisted", "FIELDS", 1, "a")
}

func (f *filler) vectorSets() {
	r := dataset.NewRand(9)
	for i := range 40 {
		f.do("VADD", vectorSetKeys+"small", "VALUES", 3, r.Float64(), r.Float64(), r.Float64(), "element"+strconv.Itoa(i))
	}
	f.do("VADD", vectorSetKeys+"one", "VALUES", 2, 1, -1, "bin\x00", "NOQUANT", "SETATTR", `{"year":1950}`)
}

// access gives some keys an idle time or a number of uses, as RESTORE can.
func (f *filler) access() {
	f.flush()
	ctx := context.Background()
	keys := []string{
		"string:1", "string:2", "string:compressed", "list:awkward", "set:int32", "set:packed", "zset:packed", "zset:table", "hash:packed", "hash:table",
		"stream:groups", "stream:made", "list:edge:noise", "", fieldExpiryKeys + "some", vectorSetKeys + "small",
	}
	for i, key := range keys {
		dump, err := f.c.Dump(ctx, key).Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			f.t.Fatal(err)
		}
		if f.lfu {
			f.do("RESTORE", key, 0, dump, "REPLACE", "FREQ", 255-16*i)
		} else {
			f.do("RESTORE", key, 0, dump, "REPLACE", "IDLETIME", 1000*(i+1)*(i+1))
		}
	}
}

func (f *filler) expiry() {
	const at = dataset.FutureMs
	for i, key := range []string{"string:2", "list:awkward", "set:packed", "zset:table", "hash:packed", "stream:setid", "stream:made"} {
		f.do("PEXPIREAT", key, at+int64(i))
	}
	if hasFieldExpiry(f.v) {
		f.do("PEXPIREAT", fieldExpiryKeys+"hsetex", at+99)
	}
	f.do("DEBUG", "SET-ACTIVE-EXPIRE", 0)
	f.do("SET", "expired", "by the time it is imported", "PX", 1)
}

func (f *filler) functions() {
	for i, body := range []string{"return args[1]", "return redis.call('GET', keys[1])"} {
		f.do("FUNCTION", "LOAD", fmt.Sprintf("#!lua name=lib%d\nredis.register_function('f%d', function(keys, args) %s end)", i, i, body))
	}
}

// isDump reports whether b begins as a dump does.
func isDump(b []byte) bool {
	return bytes.HasPrefix(b, []byte("REDIS0")) || bytes.HasPrefix(b, []byte("VALKEY"))
}
