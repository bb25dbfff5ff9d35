package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// must runs commands on a node and fails the test when one is refused.
func must(t *testing.T, n *localcluster.Node, args ...any) {
	t.Helper()
	if err := n.Client().Do(context.Background(), args...).Err(); err != nil {
		t.Fatalf("%v on %s: %v", args, n.Addr, err)
	}
}

// manyStrings is a dump of n small strings.
func manyStrings(t *testing.T, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	for i := range n {
		w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, fmt.Sprintf("value %d", i)))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// owner returns the node that c says owns a slot.
func owner(t *testing.T, lc *localcluster.Cluster, m *slotter.Map, slot uint16) *localcluster.Node {
	t.Helper()
	for _, n := range lc.Nodes() {
		if n.Addr == m.Masters[m.Owner(slot)].Addr {
			return n
		}
	}
	t.Fatalf("no node owns slot %d", slot)
	return nil
}

// migrate begins to move a slot from one node to another.
func migrate(t *testing.T, slot uint16, from, to *localcluster.Node) {
	t.Helper()
	must(t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID)
	must(t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID)
}

// neighbours returns the master that has a slot, and another one.
func neighbours(t *testing.T, lc *localcluster.Cluster, c *slotter.Cluster, slot uint16) (from, to *localcluster.Node) {
	t.Helper()
	m, err := c.Map(t.Context())
	noError(t, err)
	from, to = owner(t, lc, m, slot), lc.Masters()[0]
	if to == from {
		to = lc.Masters()[1]
	}
	return from, to
}

// assign tells nodes, one after another, that a slot is that of the node to.
func assign(t *testing.T, slot uint16, to *localcluster.Node, nodes ...*localcluster.Node) {
	t.Helper()
	for _, n := range nodes {
		must(t, n, "CLUSTER", "SETSLOT", slot, "NODE", to.ID)
	}
}

// TestMoved moves slots, keys and all, after the importer has read the slot map:
// it must obey MOVED.
func TestMoved(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 5000)
	want := loaded(t, dump, "")
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
	if err != nil {
		t.Fatal(err)
	}
	b := lc.Masters()[1]
	for slot := range uint16(200) {
		assign(t, slot, b, lc.Masters()...)
	}
	if err := im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
		t.Error(err)
	}
	res, err := im.Close()
	if err != nil || int(res.Restored) != len(want) || res.Redirects == 0 {
		t.Errorf("%v, %+v", err, res)
	}
	if d := state.Diff(want, held(t, masters(lc)...)); d != "" {
		t.Error(d)
	}
}

// TestAsk imports while slots are being migrated: keys that are not there any
// more are asked for at the new owner, and some are still at the old one.
func TestAsk(t *testing.T) {
	for _, policy := range []pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictReplace, pipeline.ConflictSkip} {
		t.Run(policy.String(), func(t *testing.T) {
			lc := start(t, localcluster.Options{})
			c := connect(t, lc.URL())
			dump := manyStrings(t, 5000)
			want := loaded(t, dump, "")
			m, err := c.Map(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			to := lc.Masters()[2]
			for slot := range uint16(100) {
				from := owner(t, lc, m, slot)
				migrate(t, slot, from, to)
			}
			for range 2 { // the second time all keys exist, behind ASK
				res, err := imports(t, c, dump, all(policy))
				if err != nil || int(res.Restored+res.Existing) != len(want) || res.Redirects == 0 {
					t.Fatalf("%v, %+v", err, res)
				}
			}
			for slot := range uint16(100) {
				assign(t, slot, to, lc.Masters()...)
			}
			if d := state.Diff(want, held(t, masters(lc)...)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestUnnamed moves slots in a cluster whose nodes are to announce host names and have none:
// a redirection names no host then, which the import says where it does not come to its end,
// and waits for the slot to be moved where it does.
func TestUnnamed(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 5000)
	m, err := c.Map(t.Context())
	noError(t, err)
	to := lc.Masters()[2]
	for _, n := range lc.Masters() {
		must(t, n, "CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
	}
	from := owner(t, lc, m, 0)
	for slot := range uint16(100) {
		migrate(t, slot, from, to)
	}
	opts := allOptions()
	opts.RetryTimeout = time.Second
	_, err = imports(t, c, dump, opts)
	if !errors.Is(err, pipeline.ErrNoProgress) || !strings.Contains(err.Error(), from.Addr+": ASK ") || !strings.Contains(err.Error(), "cluster-announce-hostname") {
		t.Errorf("it ends with %v", err)
	}
	opts.RetryTimeout = time.Minute
	r := begin(t, c, dump, opts)
	r.reach(4500)
	for slot := range uint16(100) {
		assign(t, slot, to, to, from)
	}
	r.complete(5000)
}
