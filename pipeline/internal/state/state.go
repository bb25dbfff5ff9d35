// Package state reads everything that servers hold, as text, so that tests can
// compare what an import has left with what a server that loaded the dump holds.
package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A State is what one or more servers hold: a description of the value by key,
// which is the same for equal values in whatever encoding, on whatever server.
type State map[string]string

// A Scope says what is left out of a State because not every server that takes
// part in a comparison has it. The zero value leaves nothing out.
type Scope struct {
	// RoughExpiry rounds the expiry of keys to 10 s: servers before Redis 7.0 tell
	// only the time that is left.
	RoughExpiry bool
	// NoOffsets leaves out of streams what came with Redis 7.0: first id, greatest
	// deleted id, entries added, entries read.
	NoOffsets bool
	// NoActiveTime leaves out when consumers were active, which came with 7.2.
	NoActiveTime bool
}

// Read describes all keys of the client's database that the servers hold, each
// with its type, value, expiry and, where the server has it, that of its fields.
func Read(ctx context.Context, clients ...*redis.Client) (State, error) {
	return Scope{}.Read(ctx, clients...)
}

// Read describes all keys as the function Read does, within the scope.
func (s Scope) Read(ctx context.Context, clients ...*redis.Client) (State, error) {
	all := State{}
	for _, c := range clients {
		err := scan(ctx, c, func(keys []string) error {
			texts, err := s.describe(ctx, c, keys)
			for i, text := range texts {
				if old, ok := all[keys[i]]; ok && old != text {
					return fmt.Errorf("key %q is on two servers", keys[i])
				}
				all[keys[i]] = text
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// scan calls f with all keys, some at a time. It does not count as their use.
func scan(ctx context.Context, c *redis.Client, f func(keys []string) error) error {
	var cursor uint64
	for {
		keys, next, err := c.Scan(ctx, cursor, "*", 1000).Result()
		if err != nil {
			return err
		}
		if err := f(keys); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Diff returns what differs between two states, at most ten lines.
func Diff(want, have State) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		switch text, ok := have[key]; {
		case !ok:
			lines = append(lines, fmt.Sprintf("key %.100q is missing", key))
		case text != want[key]:
			lines = append(lines, fmt.Sprintf("key %.100q:\n  want %s\n  have %s", key, cut(want[key], text), cut(text, want[key])))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[key]; !ok {
			lines = append(lines, fmt.Sprintf("key %.100q is too many", key))
		}
	}
	if n := len(lines); n > 10 {
		lines = append(lines[:10], fmt.Sprintf("and %d more", n-10))
	}
	return strings.Join(lines, "\n")
}

// cut returns what is worth showing of s: its beginning, and from where it is not
// the same as other.
func cut(s, other string) string {
	const most, before = 600, 40
	at := 0
	for at < min(len(s), len(other)) && s[at] == other[at] {
		at++
	}
	if at = max(0, at-before); at > most/3 {
		s = s[:most/3] + "…" + s[at:]
	}
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// describe returns the type, expiry and value of each key.
func (s Scope) describe(ctx context.Context, c *redis.Client, keys []string) ([]string, error) {
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
			values[i] = p.Do(ctx, readCommand(types[i].Val(), key)...)
		}
		return nil
	})
	out := make([]string, len(keys))
	for i, key := range keys {
		if types[i].Err() != nil {
			return nil, types[i].Err()
		}
		expiry, err := s.expireTime(ctx, c, key, times[i])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		value, err := s.describeValue(ctx, c, types[i].Val(), key, values[i])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		out[i] = types[i].Val() + " " + expiry + " " + value
	}
	return out, nil
}

// expireTime returns the time at which a key expires, in ms, given the answer to
// PEXPIRETIME. Before Redis 7.0 it can only be derived from the time that is
// left.
func (s Scope) expireTime(ctx context.Context, c *redis.Client, key string, answer *redis.Cmd) (string, error) {
	at, err := answer.Int64()
	if err != nil {
		if !unknownCommand(err) {
			return "", err
		}
		left, err := c.PTTL(ctx, key).Result()
		if err != nil {
			return "", err
		}
		now, err := c.Time(ctx).Result()
		if err != nil {
			return "", err
		}
		if at = -1; left >= 0 {
			at = now.Add(left).UnixMilli()
		}
	}
	if at < 0 || !s.RoughExpiry {
		return strconv.FormatInt(at, 10), nil
	}
	return "about " + strconv.FormatInt((at+5000)/10000, 10) + "0000", nil
}

// unknownCommand reports whether a server does not have the command.
func unknownCommand(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unknown command")
}

// Access returns, for each key that the servers hold, for how many seconds it has
// not been used or, where the server's maxmemory-policy is one of the LFU kind,
// how often. It must be called before anything else that reads the keys.
func Access(ctx context.Context, clients ...*redis.Client) (map[string]int64, error) {
	all := make(map[string]int64)
	for _, c := range clients {
		policy, err := c.ConfigGet(ctx, "maxmemory-policy").Result()
		if err != nil {
			return nil, err
		}
		word := "IDLETIME"
		if strings.HasSuffix(policy["maxmemory-policy"], "lfu") {
			word = "FREQ"
		}
		err = scan(ctx, c, func(keys []string) error {
			answers := make([]*redis.Cmd, len(keys))
			_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, key := range keys {
					answers[i] = p.Do(ctx, "OBJECT", word, key)
				}
				return nil
			})
			for i, key := range keys {
				n, err := answers[i].Int64()
				if err != nil {
					return fmt.Errorf("key %q: %w", key, err)
				}
				all[key] = n
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
