package state

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// readCommand returns the command that reads a value of a type. For those that no
// other command reads whole it is DUMP.
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
		return []any{"XINFO", "STREAM", key, "FULL", "COUNT", 0} // go-redis leaves out a COUNT of 0, which is all
	case "hash":
		return []any{"HGETALL", key}
	case "vectorset":
		return []any{"VRANDMEMBER", key, 1 << 30}
	}
	return []any{"DUMP", key}
}

func (s Scope) describeValue(ctx context.Context, c *redis.Client, typ, key string, answer *redis.Cmd) (string, error) {
	switch typ {
	case "string":
		s, err := answer.Text()
		return quote(s), err
	case "list":
		all, err := answer.StringSlice()
		return quoteAll(all), err
	case "set":
		all, err := answer.StringSlice()
		sort.Strings(all)
		return quoteAll(all), err
	case "zset":
		return describeSortedSet(answer)
	case "hash":
		all, err := answer.StringSlice()
		if err != nil {
			return "", err
		}
		return describeHash(ctx, c, key, all)
	case "stream":
		full, err := answer.Result()
		if err != nil {
			return "", err
		}
		return s.describeStream(full)
	case "vectorset":
		all, err := answer.StringSlice()
		if err != nil {
			return "", err
		}
		return describeVectorSet(ctx, c, key, all)
	}
	dump, err := answer.Text()
	return fmt.Sprintf("%x", dump), err
}

// longText is the length in bytes from which on a text is not rendered whole.
const longText = 500

// quote renders a text. Of a long one it renders the beginning and a checksum.
func quote(s string) string {
	if len(s) < longText {
		return strconv.Quote(s)
	}
	return fmt.Sprintf("%q… (%d bytes, sha256 %x)", s[:50], len(s), sha256.Sum256([]byte(s)))
}

func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, " ") + "]"
}

// describeSortedSet renders members in order. The same score is not the same text
// on all servers: 0.1 is 0.10000000000000001 before Redis 7.2; and 7.0 writes -0
// as 0.
func describeSortedSet(answer *redis.Cmd) (string, error) {
	all, err := answer.StringSlice()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i := 0; i+1 < len(all); i += 2 {
		score, err := strconv.ParseFloat(all[i+1], 64)
		if err != nil {
			return "", err
		}
		if score == 0 {
			score = 0 // minus zero too
		}
		fmt.Fprintf(&b, "%s:%s ", quote(all[i]), strconv.FormatFloat(score, 'g', -1, 64))
	}
	return b.String(), nil
}

// describeHash renders fields, values and the expiry of fields, given the answer
// to HGETALL.
func describeHash(ctx context.Context, c *redis.Client, key string, pairs []string) (string, error) {
	all := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	names := slices.Sorted(maps.Keys(all))
	expiry := make(map[string]int64)
	for some := range slices.Chunk(names, 1000) {
		args := []any{"HPEXPIRETIME", key, "FIELDS", len(some)}
		for _, f := range some {
			args = append(args, f)
		}
		times, err := c.Do(ctx, args...).Int64Slice()
		if unknownCommand(err) {
			break // a server without field expiry
		}
		if err != nil {
			return "", err
		}
		for i, f := range some {
			expiry[f] = times[i]
		}
	}
	var out []string
	for _, f := range names {
		line := quote(f) + "=" + quote(all[f])
		if at := expiry[f]; at > 0 {
			line += fmt.Sprintf("@%d", at)
		}
		out = append(out, line)
	}
	return strings.Join(out, " "), nil
}

// describeVectorSet renders the vector and the attributes of each element, not how
// they are linked.
func describeVectorSet(ctx context.Context, c *redis.Client, key string, elements []string) (string, error) {
	sort.Strings(elements)
	var b strings.Builder
	for _, el := range elements {
		vector, err := c.Do(ctx, "VEMB", key, el, "RAW").Slice()
		if err != nil {
			return "", err
		}
		attributes, err := c.Do(ctx, "VGETATTR", key, el).Text()
		if err != nil && !errors.Is(err, redis.Nil) {
			return "", err
		}
		fmt.Fprintf(&b, "%q:%q", el, attributes)
		render(&b, vector)
	}
	return b.String(), nil
}
