// Package state reads everything that servers hold, as text, so that tests can
// compare what an import has left with what a server that loaded the dump holds.
package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A State is what one or more servers hold: a description of the value by key,
// which is the same for equal values in whatever encoding.
type State map[string]string

// Read describes all keys of the given database that the servers hold, each key
// with its type, value, expiry and, where the server has it, that of its fields.
func Read(ctx context.Context, clients ...*redis.Client) (State, error) {
	all := State{}
	for _, c := range clients {
		var cursor uint64
		for {
			keys, next, err := c.Scan(ctx, cursor, "*", 1000).Result()
			if err != nil {
				return nil, err
			}
			texts, err := describe(ctx, c, keys)
			if err != nil {
				return nil, err
			}
			for i, key := range keys {
				if old, ok := all[key]; ok && old != texts[i] {
					return nil, fmt.Errorf("key %q is on two servers", key)
				}
				all[key] = texts[i]
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return all, nil
}

// Diff returns what differs between two states, at most ten lines.
func Diff(want, have State) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		switch text, ok := have[key]; {
		case !ok:
			lines = append(lines, fmt.Sprintf("key %q is missing", key))
		case text != want[key]:
			lines = append(lines, fmt.Sprintf("key %q:\n  want %s\n  have %s", key, cut(want[key]), cut(text)))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[key]; !ok {
			lines = append(lines, fmt.Sprintf("key %q is too many", key))
		}
	}
	if n := len(lines); n > 10 {
		lines = append(lines[:10], fmt.Sprintf("and %d more", n-10))
	}
	return strings.Join(lines, "\n")
}

func cut(s string) string {
	if len(s) > 600 {
		return s[:600] + "…"
	}
	return s
}

// describe returns the type, expiry and value of each key.
func describe(ctx context.Context, c *redis.Client, keys []string) ([]string, error) {
	types, times := make([]*redis.StatusCmd, len(keys)), make([]*redis.Cmd, len(keys))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			types[i], times[i] = p.Type(ctx, key), p.Do(ctx, "PEXPIRETIME", key)
		}
		return nil
	})
	values := make([]*redis.Cmd, len(keys))
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			if args := readCommand(types[i].Val(), key); args != nil {
				values[i] = p.Do(ctx, args...)
			}
		}
		return nil
	})
	out := make([]string, len(keys))
	for i, key := range keys {
		if types[i].Err() != nil {
			return nil, types[i].Err()
		}
		expiry, err := expireTime(ctx, c, key, times[i])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		value, err := describeValue(ctx, c, types[i].Val(), key, values[i])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		out[i] = types[i].Val() + " " + expiry + " " + value
	}
	return out, nil
}

// expireTime returns the time at which a key expires, in ms, given the answer to
// PEXPIRETIME. Before Redis 7.0 it can only be derived from the time that is
// left, and is rounded to 10 s.
func expireTime(ctx context.Context, c *redis.Client, key string, answer *redis.Cmd) (string, error) {
	at, err := answer.Int64()
	if err == nil {
		return strconv.FormatInt(at, 10), nil
	}
	if !strings.Contains(err.Error(), "unknown command") {
		return "", err
	}
	left, err := c.PTTL(ctx, key).Result()
	if err != nil {
		return "", err
	}
	if left < 0 {
		return "-1", nil
	}
	now, err := c.Time(ctx).Result()
	if err != nil {
		return "", err
	}
	return "about " + strconv.FormatInt(now.Add(left).UnixMilli()/10000, 10), nil
}

// readCommand returns the command that reads a value of a type, nil for a hash,
// which takes more than one.
func readCommand(typ, key string) []any {
	switch typ {
	case "string":
		return []any{"GET", key}
	case "list":
		return []any{"LRANGE", key, 0, -1}
	case "set":
		return []any{"SMEMBERS", key}
	case "zset":
		return []any{"ZRANGE", key, 0, -1, "WITHSCORES"}
	case "stream":
		return []any{"XINFO", "STREAM", key, "FULL", "COUNT", 0}
	case "hash":
		return nil
	}
	return []any{"DUMP", key}
}

func describeValue(ctx context.Context, c *redis.Client, typ, key string, answer *redis.Cmd) (string, error) {
	switch typ {
	case "string":
		s, err := answer.Text()
		return strconv.Quote(s), err
	case "list", "zset":
		all, err := answer.StringSlice()
		return fmt.Sprintf("%q", all), err
	case "set":
		all, err := answer.StringSlice()
		sort.Strings(all)
		return fmt.Sprintf("%q", all), err
	case "hash":
		return describeHash(ctx, c, key)
	case "stream":
		full, err := answer.Result()
		if err != nil {
			return "", err
		}
		var b strings.Builder
		render(&b, full)
		return b.String(), nil
	}
	dump, err := answer.Text()
	return fmt.Sprintf("%x", dump), err
}

func describeHash(ctx context.Context, c *redis.Client, key string) (string, error) {
	all, err := c.HGetAll(ctx, key).Result()
	if err != nil {
		return "", err
	}
	var out []string
	names := slices.Sorted(maps.Keys(all))
	expiry := make(map[string]int64)
	for some := range slices.Chunk(names, 1000) {
		args := []any{"HPEXPIRETIME", key, "FIELDS", len(some)}
		for _, f := range some {
			args = append(args, f)
		}
		times, err := c.Do(ctx, args...).Int64Slice()
		if err != nil {
			break // a server without field expiry
		}
		for i, f := range some {
			expiry[f] = times[i]
		}
	}
	for _, f := range names {
		line := fmt.Sprintf("%q=%q", f, all[f])
		if at := expiry[f]; at > 0 {
			line += fmt.Sprintf("@%d", at)
		}
		out = append(out, line)
	}
	return strings.Join(out, " "), nil
}

// notOfStreams are fields of XINFO that say how a stream is kept, not what it
// is, or that older encodings do not carry.
var notOfStreams = map[string]bool{
	"radix-tree-keys": true, "radix-tree-nodes": true, "idle": true,
	"seen-time": true, "active-time": true, "lag": true, "inactive": true,
	"entries-added": true, "entries-read": true, "max-deleted-entry-id": true, "recorded-first-entry-id": true,
}

// render writes a nested reply, leaving out notOfStreams.
func render(b *strings.Builder, v any) {
	switch v := v.(type) {
	case map[any]any:
		names := make(map[string]any, len(v))
		for k, x := range v {
			names[fmt.Sprint(k)] = x
		}
		for _, k := range slices.Sorted(maps.Keys(names)) {
			if !notOfStreams[k] {
				fmt.Fprintf(b, "%s:", k)
				render(b, names[k])
			}
		}
	case []any:
		b.WriteByte('[')
		for i := 0; i < len(v); i++ {
			if name, ok := v[i].(string); ok && notOfStreams[name] {
				i++
				continue
			}
			render(b, v[i])
		}
		b.WriteByte(']')
	default:
		fmt.Fprintf(b, "%q ", fmt.Sprint(v))
	}
}
