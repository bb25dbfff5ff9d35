package dataset

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hdt3213/rdb/model"
	"github.com/redis/go-redis/v9"
)

// content is a value in a form that does not depend on its encoding: elements as text, sorted where a server keeps no order.
type content struct {
	Kind     string
	Items    []string
	ExpireMs int64 // 0 for none
}

func item(parts ...string) string { return strings.Join(parts, "\x00|") }

func scoreText(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// contents decodes a dump, without the keys that a server drops because they have expired.
func contents(t *testing.T, dump []byte) map[string]content {
	t.Helper()
	all := map[string]content{}
	for _, o := range decode(t, dump) {
		c := contentOf(o)
		if at := o.GetExpiration(); at != nil {
			c.ExpireMs = at.UnixMilli()
		}
		if c.ExpireMs == 0 || c.ExpireMs > PastMs {
			all[o.GetKey()] = c
		}
	}
	return all
}

func contentOf(o model.RedisObject) content {
	c := content{Kind: o.GetType(), Items: []string{}}
	switch o := o.(type) {
	case *model.StringObject:
		c.Items = append(c.Items, string(o.Value))
	case *model.ListObject:
		c.Items = texts(o.Values)
	case *model.SetObject:
		c.Items = sortedTexts(o.Members)
	case *model.HashObject:
		for f, v := range o.Hash {
			c.Items = append(c.Items, item(f, string(v), strconv.FormatInt(max(o.FieldExpirations[f], 0), 10)))
		}
		slices.Sort(c.Items)
	case *model.ZSetObject:
		for _, e := range o.Entries {
			c.Items = append(c.Items, item(e.Member, scoreText(e.Score)))
		}
		slices.Sort(c.Items)
	case *model.StreamObject:
		c.Items = decodedStream(o)
	}
	return c
}

func idText(ms, seq uint64) string { return fmt.Sprintf("%d-%d", ms, seq) }

func decodedStream(o *model.StreamObject) []string {
	items := []string{item("last", idText(o.LastId.Ms, o.LastId.Sequence))}
	for _, node := range o.Entries {
		for _, m := range node.Msgs {
			if !m.Deleted {
				items = append(items, entryItem(idText(m.Id.Ms, m.Id.Sequence), m.Fields))
			}
		}
	}
	for _, g := range o.Groups {
		items = append(items, item("group", g.Name, idText(g.LastId.Ms, g.LastId.Sequence)))
		owner := map[model.StreamId]string{}
		for _, c := range g.Consumers {
			items = append(items, item("consumer", g.Name, c.Name, strconv.FormatUint(c.SeenTime, 10)))
			for _, id := range c.Pending {
				owner[*id] = c.Name
			}
		}
		for _, p := range g.Pending {
			items = append(items, pendingItem(g.Name, idText(p.Id.Ms, p.Id.Sequence), owner[*p.Id], int64(p.DeliveryTime), int64(p.DeliveryCount)))
		}
	}
	slices.Sort(items)
	return items
}

func entryItem(id string, fields map[string]string) string {
	parts := []string{}
	for name, value := range fields {
		parts = append(parts, item(name, value))
	}
	slices.Sort(parts)
	return item("entry", id, item(parts...))
}

func pendingItem(group, id, owner string, delivered, count int64) string {
	return item("pending", group, id, owner, strconv.FormatInt(delivered, 10), strconv.FormatInt(count, 10))
}

// fetch reads a key from a server.
func fetch(ctx context.Context, f Flavor, client *redis.Client, key string) (content, error) {
	c := content{Items: []string{}}
	var err error
	if c.Kind, err = client.Type(ctx, key).Result(); err != nil {
		return c, err
	}
	var ttl time.Duration
	if f.Name == "redis-6.0" {
		ttl, err = client.PTTL(ctx, key).Result()
	} else {
		ttl, err = client.PExpireTime(ctx, key).Result()
	}
	if err != nil {
		return c, err
	}
	c.ExpireMs = max(ttl.Milliseconds(), 0)
	switch c.Kind {
	case "string":
		value, err := client.Get(ctx, key).Result()
		c.Items = append(c.Items, value)
		return c, err
	case "list":
		c.Items, err = client.LRange(ctx, key, 0, -1).Result()
	case "set":
		c.Items, err = client.SMembers(ctx, key).Result()
		slices.Sort(c.Items)
	case "zset":
		members, err := client.ZRangeWithScores(ctx, key, 0, -1).Result()
		for _, m := range members {
			c.Items = append(c.Items, item(m.Member.(string), scoreText(m.Score)))
		}
		slices.Sort(c.Items)
		return c, err
	case "hash":
		c.Items, err = fetchHash(ctx, f, client, key)
	case "stream":
		c.Items, err = fetchStream(ctx, client, key)
	}
	return c, err
}

func fetchHash(ctx context.Context, f Flavor, client *redis.Client, key string) ([]string, error) {
	fields, err := client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	expiries := make([]int64, len(names))
	if slices.Contains(f.Types, TypeHashMetadata) || slices.Contains(f.Types, TypeHash2Valkey) {
		if expiries, err = client.HPExpireTime(ctx, key, names...).Result(); err != nil {
			return nil, err
		}
	}
	items := []string{}
	for i, name := range names {
		items = append(items, item(name, fields[name], strconv.FormatInt(max(expiries[i], 0), 10)))
	}
	slices.Sort(items)
	return items, nil
}

func fetchStream(ctx context.Context, client *redis.Client, key string) ([]string, error) {
	// COUNT 0 is "all"; the client's own method leaves it out, which means ten.
	cmd := redis.NewXInfoStreamFullCmd(ctx, "XINFO", "STREAM", key, "FULL", "COUNT", 0)
	if err := client.Process(ctx, cmd); err != nil {
		return nil, err
	}
	info, err := cmd.Result()
	if err != nil {
		return nil, err
	}
	items := []string{item("last", info.LastGeneratedID)}
	for _, m := range info.Entries {
		fields := map[string]string{}
		for name, value := range m.Values {
			fields[name] = value.(string)
		}
		items = append(items, entryItem(m.ID, fields))
	}
	for _, g := range info.Groups {
		items = append(items, item("group", g.Name, g.LastDeliveredID))
		for _, c := range g.Consumers {
			items = append(items, item("consumer", g.Name, c.Name, strconv.FormatInt(c.SeenTime.UnixMilli(), 10)))
		}
		for _, p := range g.Pending {
			items = append(items, pendingItem(g.Name, p.ID, p.Consumer, p.DeliveryTime.UnixMilli(), p.DeliveryCount))
		}
	}
	slices.Sort(items)
	return items, nil
}

// form is a value in one of its types and what it holds.
type form struct {
	magic string // the only kind of file it may be in, "" for any
	value []byte
	want  content
}

// randomForms writes the same random elements in each type that can hold them, streams excepted.
func randomForms(r *Rand, n int) map[Type]form {
	forms := map[Type]form{}
	add := func(kind string, items []string, values map[Type][]byte) {
		for typ, value := range values {
			forms[typ] = form{value: value, want: content{Kind: kind, Items: items}}
		}
	}
	elems := randomElems(r, n)
	half := elems[:n/2]
	nodes, packed := [][]byte{}, []Node{}
	for _, part := range [][][]byte{half, elems[n/2 : n-1]} {
		if len(part) > 0 {
			nodes = append(nodes, AppendZiplist(nil, part))
			packed = append(packed, Node{Data: AppendListpack(nil, part)})
		}
	}
	nodes = append(nodes, AppendZiplist(nil, elems[n-1:]))
	packed = append([]Node{{Plain: true, Data: []byte("first")}}, append(packed, Node{Plain: true, Data: append(elems[n-1], '.')})...)
	add("list", texts(elems), map[Type][]byte{
		TypeList: AppendStrings(nil, elems), TypeListZiplist: AppendRawString(nil, AppendZiplist(nil, elems)), TypeListQuicklist: AppendQuicklist(nil, nodes),
	})
	withPlain := append([]string{"first"}, texts(elems)...)
	withPlain[n] += "."
	add("list", withPlain, map[Type][]byte{TypeListQuicklist2: AppendQuicklist2(nil, packed)})

	members, ints := distinctElems(r, n), randomInts(r, n)
	add("set", sortedTexts(members), map[Type][]byte{TypeSet: AppendStrings(nil, members), TypeSetListpack: AppendRawString(nil, AppendListpack(nil, members))})
	digits := []string{}
	for _, v := range ints {
		digits = append(digits, strconv.FormatInt(v, 10))
	}
	slices.Sort(digits)
	add("set", digits, map[Type][]byte{TypeSetIntset: AppendRawString(nil, AppendIntset(nil, ints))})

	scored, items := RandomMembers(r, n), []string{}
	for _, m := range scored {
		items = append(items, item(string(m.Name), scoreText(m.Score)))
	}
	slices.Sort(items)
	add("zset", items, map[Type][]byte{
		TypeZset: AppendZset(nil, scored), TypeZset2: AppendZset2(nil, scored),
		TypeZsetZiplist: AppendRawString(nil, AppendZiplist(nil, ZsetElems(scored))), TypeZsetListpack: AppendLZFString(nil, AppendListpack(nil, ZsetElems(scored))),
	})
	addHashForms(r, n, forms, add)
	return forms
}

func addHashForms(r *Rand, n int, forms map[Type]form, add func(string, []string, map[Type][]byte)) {
	pairs, items := randomPairs(r, n), []string{}
	for i := 0; i < len(pairs); i += 2 {
		items = append(items, item(string(pairs[i]), string(pairs[i+1]), "0"))
	}
	slices.Sort(items)
	add("hash", items, map[Type][]byte{
		TypeHash: AppendHash(nil, pairs), TypeHashZipmap: AppendRawString(nil, AppendZipmap(nil, pairs)),
		TypeHashZiplist: AppendRawString(nil, AppendZiplist(nil, pairs)), TypeHashListpack: AppendLZFString(nil, AppendListpack(nil, pairs)),
	})
	fields, expiring := RandomFields(r, n), []string{}
	for _, f := range fields {
		expiring = append(expiring, item(string(f.Name), string(f.Value), strconv.FormatInt(f.ExpireMs, 10)))
	}
	slices.Sort(expiring)
	add("hash", expiring, map[Type][]byte{
		TypeHashMetadata: AppendHashMetadata(nil, fields), TypeHashListpackEx: AppendHashListpackEx(nil, fields), TypeHash2Valkey: AppendHash2Valkey(nil, fields),
	})
}
