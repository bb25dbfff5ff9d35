package element_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// TestGenerated makes random values on every server with its own commands, checks
// that what it dumps opens to what was written, and puts the dump on every other
// server, converted where needed.
func TestGenerated(t *testing.T) {
	names := slices.Sorted(maps.Keys(versions))
	clients := map[string]*redis.Client{}
	for _, name := range names {
		clients[name] = server(t, name)
	}
	seen := map[rdbparse.Type]int{}
	for i, name := range names {
		rnd := rand.New(rand.NewPCG(7, uint64(i)))
		for n := range 60 {
			v := generate(t, clients[name], rnd, n)
			seen[v.Type.Type]++
			s := sample{file: name, key: fmt.Sprint("value ", n), v: v}
			for _, to := range names {
				roundTrip(t, clients[to], versions[to], s, time.Now().UnixMilli())
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	t.Log(seen)
	for _, typ := range []rdbparse.Type{0, 2, 4, 5, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 24, 25, rdbparse.TypeHash2} {
		if seen[typ] == 0 {
			t.Errorf("no %v was made", typ)
		}
	}
}

// generate makes a value, of a kind that follows from n, and checks its dump.
func generate(t *testing.T, c *redis.Client, rnd *rand.Rand, n int) element.Value {
	t.Helper()
	ctx := context.Background()
	const key = "generated"
	limits := []string{"0", "8", "128", "100000"}
	for _, option := range []string{"hash-max-ziplist-entries", "hash-max-ziplist-value", "zset-max-ziplist-entries", "zset-max-ziplist-value", "list-max-ziplist-size"} {
		limit := limits[rnd.IntN(len(limits))]
		if n%12 < 6 { // half of them packed
			limit = "100000"
		}
		if option == "list-max-ziplist-size" {
			limit = strconv.Itoa(-1 - rnd.IntN(5))
		}
		if err := c.ConfigSet(ctx, option, limit).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do := func(args ...any) {
		t.Helper()
		if err := c.Do(ctx, args...).Err(); err != nil && err != redis.Nil {
			t.Fatalf("%.100v: %v", args, err)
		}
	}
	do("DEL", key)
	size := 1 + rnd.IntN([]int{3, 40, 300}[rnd.IntN(3)])
	var want any
	switch n % 6 {
	case 0:
		s := randomText(rnd)
		do("SET", key, s)
		want = []string{s}
	case 1:
		var list []string
		for range size {
			list = append(list, randomText(rnd))
			do("RPUSH", key, list[len(list)-1])
		}
		want = list
	case 2:
		set := map[string]string{}
		ints := rnd.IntN(2) == 0
		for range size {
			m := randomText(rnd)
			if ints {
				m = strconv.FormatInt(int64(rnd.Uint64())>>rnd.IntN(64), 10)
			}
			set[m] = ""
			do("SADD", key, m)
		}
		want = set
	case 3:
		zset := map[string]string{}
		for range size {
			m, score := randomText(rnd), randomScore(rnd)
			zset[m] = strconv.FormatUint(math.Float64bits(score+0), 16)
			do("ZADD", key, strconv.FormatFloat(score, 'g', 17, 64), m)
		}
		want = zset
	case 4:
		want = generateHash(t, c, rnd, key, size, do)
	case 5:
		generateStream(rnd, key, size, do)
	}
	dump, err := c.Dump(ctx, key).Result()
	if err != nil {
		t.Fatal(err)
	}
	v, err := element.ParsePayload([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	if got := modelOf(t, v); want != nil && fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: wrote\n%.300q\nread\n%.300q", v.Type.Name, want, got)
	}
	return v
}

func generateHash(t *testing.T, c *redis.Client, rnd *rand.Rand, key string, size int, do func(...any)) map[string]string {
	hash := map[string]string{}
	for range size {
		f, v := randomText(rnd), randomText(rnd)
		hash[f] = v + "@0"
		do("HSET", key, f, v)
	}
	if c.Do(context.Background(), "COMMAND", "INFO", "HPEXPIREAT").Val().([]any)[0] == nil {
		return hash
	}
	for f, v := range hash {
		if rnd.IntN(3) == 0 {
			at := time.Now().Add(time.Hour).UnixMilli() + rnd.Int64N(1e12)
			hash[f] = v[:len(v)-1] + strconv.FormatInt(at, 10)
			do("HPEXPIREAT", key, at, "FIELDS", 1, f)
		}
	}
	return hash
}

// generateStream makes a stream with groups, holes and pending entries. What is
// in it is compared between servers only.
func generateStream(rnd *rand.Rand, key string, size int, do func(...any)) {
	var ids []string
	ms := int64(0)
	for range size {
		ms += rnd.Int64N(1000) + 1
		id := fmt.Sprintf("%d-%d", ms, rnd.IntN(5))
		ids = append(ids, id)
		args := []any{"XADD", key, id}
		for range 1 + rnd.IntN(3) {
			args = append(args, []string{"f", "g", randomText(rnd)}[rnd.IntN(3)], randomText(rnd))
		}
		do(args...)
	}
	for g := range rnd.IntN(3) {
		group := fmt.Sprint("group", g)
		do("XGROUP", "CREATE", key, group, ids[rnd.IntN(len(ids))])
		for range rnd.IntN(4) {
			do("XREADGROUP", "GROUP", group, fmt.Sprint("consumer", rnd.IntN(3)), "COUNT", 1+rnd.IntN(10), "STREAMS", key, ">")
		}
		do("XACK", key, group, ids[rnd.IntN(len(ids))])
	}
	for range rnd.IntN(size) {
		do("XDEL", key, ids[rnd.IntN(len(ids))])
	}
	if rnd.IntN(3) == 0 {
		do("XTRIM", key, "MAXLEN", size/2)
	}
}

func randomScore(rnd *rand.Rand) float64 {
	switch rnd.IntN(5) {
	case 0:
		return math.Inf(1 - 2*rnd.IntN(2))
	case 1:
		return float64(rnd.IntN(1000) - 500)
	case 2:
		return math.Copysign(0, -1)
	}
	for {
		if x := math.Float64frombits(rnd.Uint64()); !math.IsNaN(x) {
			return x
		}
	}
}

// modelOf returns a value as the plain thing that it is, nil for a stream.
func modelOf(t *testing.T, v element.Value) any {
	t.Helper()
	var list []string
	m := map[string]string{}
	r := element.Open(v)
	for r.Next() {
		switch e := r.Element(); e.Kind {
		case element.Text, element.ListItem:
			list = append(list, string(e.Value))
		case element.Member:
			m[string(e.Key)] = ""
		case element.Scored:
			m[string(e.Key)] = strconv.FormatUint(math.Float64bits(e.Score+0), 16)
		case element.Field:
			m[string(e.Key)] = string(e.Value) + "@" + strconv.FormatInt(e.ExpireAt, 10)
		}
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	if list != nil {
		return list
	}
	return m
}

// TestMinusZero shows why a comparison cannot tell minus zero from zero.
func TestMinusZero(t *testing.T) {
	v := value(rdbparse.TypeZSet2, join(lens(1), str("a"), f64(math.Copysign(0, -1))))
	for name, kept := range map[string]bool{"redis-6.0": true, "redis-7.0": false, "redis-8.0": false, "valkey-9.1": false} {
		t.Run(name, func(t *testing.T) {
			got, err := restore(server(t, name), v.Type.Type, v.Raw)
			if err != nil {
				t.Fatal(err)
			}
			r := element.Open(got)
			if !r.Next() || math.Signbit(r.Element().Score) != kept {
				t.Errorf("score %v, %v", r.Element().Score, r.Err())
			}
			if same, err := element.Equal(v, got); err != nil || !same {
				t.Errorf("%v, %v", same, err)
			}
		})
	}
}
