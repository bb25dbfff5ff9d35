package pipeline_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestEvicted imports into masters that make room by evicting keys: that is said.
func TestEvicted(t *testing.T) {
	t.Parallel()
	const n = 100_000
	dump := numbered(t, n)
	lc := start(t, localcluster.Options{})
	limitMemory(t, lc, 2<<20, "allkeys-lru")
	res := begin(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail)).complete(n)
	size, evicted := int64(0), int64(0)
	for _, m := range masters(lc) {
		size += m.DBSize(t.Context()).Val()
		evicted += number(t, m, "Stats", "evicted_keys")
	}
	if res.Evicted == 0 || res.Evicted != evicted || size+evicted != n {
		t.Errorf("%d keys evicted according to the import, %d according to the masters, who hold %d", res.Evicted, evicted, size)
	}
}

// TestEvictedAndFull imports into a master that evicts keys and one that is full, which
// ends the import: what was evicted before that counts.
func TestEvictedAndFull(t *testing.T) {
	t.Parallel()
	const n = 100_000
	lc := start(t, localcluster.Options{})
	limitMemory(t, lc, 2<<20, "noeviction")
	evicts := lc.Masters()[0]
	must(t, evicts, "CONFIG", "SET", "maxmemory", number(t, evicts.Client(), "Memory", "used_memory")+512<<10, "maxmemory-policy", "allkeys-lru")
	res, err := begin(t, connect(t, lc.URL()), numbered(t, n), all(pipeline.ConflictFail)).end()
	if !errors.Is(err, pipeline.ErrTargetFull) {
		t.Fatal(err)
	}
	if evicted := number(t, evicts.Client(), "Stats", "evicted_keys"); res.Evicted == 0 || res.Evicted > evicted { // it may have gone on with what it had been sent
		t.Errorf("%d keys evicted according to the import, %d according to the master", res.Evicted, evicted)
	}
}

// TestEvictedAndReset imports into masters whose counts begin anew meanwhile, as they do
// where a server is restarted: what was evicted since is not outweighed by what was before.
func TestEvictedAndReset(t *testing.T) {
	t.Parallel()
	const n = 100_000
	dump := numbered(t, n)
	lc := start(t, localcluster.Options{})
	limitMemory(t, lc, 1<<20, "allkeys-lru")
	c := connect(t, lc.URL())
	if res := begin(t, c, dump, all(pipeline.ConflictReplace)).complete(n); res.Evicted < n/2 {
		t.Fatalf("only %d keys evicted", res.Evicted)
	}
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictReplace))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range lc.Masters() {
		must(t, m, "CONFIG", "RESETSTAT")
	}
	ferr := im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(numbered(t, n/2)), rdbparse.Options{}))
	res, err := im.Close()
	if ferr != nil || err != nil {
		t.Fatal(ferr, err)
	}
	evicted := int64(0)
	for _, m := range masters(lc) {
		evicted += number(t, m, "Stats", "evicted_keys")
	}
	if evicted == 0 || res.Evicted != evicted {
		t.Errorf("%d keys evicted according to the import, %d according to the masters", res.Evicted, evicted)
	}
}

// TestEvictedAndTakenOver has a replica take over, which has been a master before, from a
// master that has evicted keys: these count, and not those of that time.
func TestEvictedAndTakenOver(t *testing.T) {
	t.Parallel()
	const (
		n    = 200_000
		room = 4 << 20
	)
	dump := numbered(t, n)
	lc := start(t, replicated)
	limitMemory(t, lc, room, "allkeys-lru")
	c := connect(t, lc.URL())
	begin(t, c, dump, all(pipeline.ConflictReplace)).complete(n)
	swap := func() {
		masters, replicas := nodes(t, lc)
		for i := range masters {
			failOver(t, lc, masters[i], replicas[i])
		}
		if err := lc.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	swap()
	sum := func() (evicted int64) {
		for _, node := range lc.Nodes() {
			evicted += number(t, node.Client(), "Stats", "evicted_keys")
		}
		return evicted
	}
	before := sum()
	for _, node := range lc.Nodes() {
		must(t, node, "CONFIG", "SET", "maxmemory", number(t, node.Client(), "Memory", "used_memory")+room, "maxmemory-policy", "allkeys-lru")
	}
	half := part(dump, 0.7)
	r := begin(t, c, dump, all(pipeline.ConflictReplace), half)
	r.reach(n / 2)
	swap()
	close(half.open)
	res := r.complete(n)
	if now := sum(); before == 0 || now == before || res.Evicted != now-before {
		t.Errorf("%d keys evicted according to the import, %d according to the nodes, after %d", res.Evicted, now-before, before)
	}
}
