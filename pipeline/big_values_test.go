package pipeline_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/redis/go-redis/v9"
)

// A pieceKind is a kind of value that is written in a way of its own when it is
// large.
type pieceKind struct {
	name   string
	typ    dataset.Type
	value  func(n int) []byte // of n elements
	change []any              // a command that alters such a value, with nil for the key
}

// pieceKinds are all of them. A string is one RESTORE, streamed.
var pieceKinds = []pieceKind{
	{"string", dataset.TypeString, func(n int) []byte { return dataset.AppendRawString(nil, noise(uint64(n), 20*n)) }, []any{"SETRANGE", nil, 100, "other"}},
	{"list", dataset.TypeList, func(n int) []byte { return dataset.AppendStrings(nil, manyTexts("item", n)) }, []any{"LSET", nil, -1, "other"}},
	{"set", dataset.TypeSet, func(n int) []byte { return dataset.AppendStrings(nil, manyTexts("member", n)) }, []any{"SREM", nil, "member number 3"}},
	{"zset", dataset.TypeZset2, func(n int) []byte { return dataset.AppendZset2(nil, manyMembers(n)) }, []any{"ZADD", nil, 3.5, "member number 3"}},
	{"hash", dataset.TypeHash, func(n int) []byte { return dataset.AppendHash(nil, manyTexts("field", 2*n)) }, []any{"HSET", nil, "field number 2", "other"}},
	{"stream", dataset.TypeStream2, func(n int) []byte { return dataset.AppendStream(nil, dataset.TypeStream2, manyEntries(n)) }, []any{"XDEL", nil, "1003-0"}},
}

func manyTexts(what string, n int) (all [][]byte) {
	for i := range n {
		all = append(all, fmt.Appendf(nil, "%s number %d", what, i))
	}
	return all
}

func manyMembers(n int) (all []dataset.Member) {
	for i, name := range manyTexts("member", n) {
		all = append(all, dataset.Member{Name: name, Score: float64(i) / 3})
	}
	return all
}

// manyEntries is a stream with a group that waits for some of its entries, one of
// which has been deleted since, and one whose name is empty, which stands first.
func manyEntries(n int) *dataset.Stream {
	var entries []dataset.StreamEntry
	for i := range n {
		entries = append(entries, dataset.StreamEntry{ID: dataset.StreamID{Ms: uint64(1000 + i)}, Fields: manyTexts("word", 2), Deleted: i == 1})
	}
	s := dataset.NewStream(entries, 50)
	g := dataset.Group{Name: "group", LastID: dataset.StreamID{Ms: 1002}, EntriesRead: 3}
	c := dataset.Consumer{Name: "ann", SeenMs: 1_700_000_000_000, ActiveMs: 1_700_000_000_000}
	for i := range 3 {
		g.Pending = append(g.Pending, dataset.Pending{ID: dataset.StreamID{Ms: uint64(1000 + i)}, DeliveredMs: 1_700_000_000_000, Count: uint64(i + 1)})
		c.Pending = append(c.Pending, g.Pending[i].ID)
	}
	g.Consumers = []dataset.Consumer{c}
	nameless := dataset.Group{LastID: dataset.StreamID{Ms: 1000}, EntriesRead: 1, Pending: g.Pending[:1:1]}
	nameless.Consumers = []dataset.Consumer{{Name: "bob", SeenMs: 1_700_000_000_000, Pending: c.Pending[:1:1]}}
	s.Groups = []dataset.Group{nameless, g}
	return s
}

// on returns a command with the key in the place of nil.
func on(key string, command []any) []any {
	out := append([]any(nil), command...)
	for i := range out {
		if out[i] == nil {
			out[i] = key
		}
	}
	return out
}

// written makes a dump.
func written(t testing.TB, magic string, f func(w *dataset.Writer)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, magic)
	f(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// oneKey is a dump of one key, whose expiry is at unless that is 0.
func oneKey(t testing.TB, typ dataset.Type, key string, value []byte, at int64) []byte {
	t.Helper()
	return written(t, "REDIS0011", func(w *dataset.Writer) {
		w.SelectDB(0)
		if at != 0 {
			w.ExpireMs(at)
		}
		w.Key(typ, []byte(key), value)
	})
}

// pieces is the options by which about every value is too large to be held.
func pieces(c pipeline.Conflict) pipeline.Options {
	opts := all(c)
	opts.BigValue = 64
	return opts
}

// A content is what a key holds, and when it expires.
type content struct{ value, expiry string }

// contentOf reads a key; of one that is not there it is zero.
func contentOf(t *testing.T, c *redis.Client, key string) (is content) {
	t.Helper()
	at, err := c.Do(t.Context(), "PEXPIRETIME", key).Int64()
	noError(t, err)
	if at == -2 {
		return is
	}
	return content{held(t, c)[key], fmt.Sprint(at)}
}

// temporaryKeys returns the keys of a node that values are collected in.
func temporaryKeys(t *testing.T, n *localcluster.Node) (found []string) {
	t.Helper()
	keys, err := n.Client().Keys(t.Context(), "*").Result()
	if err != nil {
		return nil // it is not there at the moment
	}
	for _, key := range keys {
		if pipeline.IsTemporary([]byte(key)) {
			found = append(found, key)
		}
	}
	return found
}

// inPieces waits until a value is being written in pieces, and returns the node
// and its temporary key.
func inPieces(t *testing.T, lc *localcluster.Cluster) (node *localcluster.Node, temporary string) {
	t.Helper()
	await(t, "a temporary key", func() bool {
		for _, n := range lc.Nodes() {
			if strings.Contains(n.Client().Info(t.Context(), "replication").Val(), "role:slave") {
				continue
			}
			if keys := temporaryKeys(t, n); len(keys) > 0 {
				node, temporary = n, keys[0]
				return true
			}
		}
		return false
	})
	return node, temporary
}
