package pipeline_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// behind puts a proxy before each node of a cluster and connects through them.
func behind(t *testing.T, lc *localcluster.Cluster, seed uint64) (*proxy.Group, *slotter.Cluster) {
	t.Helper()
	var addrs []string
	for _, n := range lc.Nodes() {
		addrs = append(addrs, n.Addr)
	}
	g, err := proxy.ListenAll(addrs, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	target, err := slotter.ParseTarget(g.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), target, slotter.Options{AddrMap: g.AddrMap()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return g, c
}

// TestBadNetwork imports through proxies that cut connections at random bytes in
// both directions, close half of them, fall silent and delay: everything arrives,
// once.
func TestBadNetwork(t *testing.T) {
	t.Parallel()
	cuts := []proxy.Fault{proxy.Reset, proxy.Finish, proxy.HalfClose}
	plans := []struct {
		name   string
		plan   proxy.Plan
		fewest int // faults
	}{
		{"cuts", proxy.Plan{Faults: cuts, Up: 200 << 10, Down: 10 << 10, RTT: 2 * time.Millisecond}, 20},
		{"silence", proxy.Plan{Faults: []proxy.Fault{proxy.Silence}, Up: 2 << 20, Down: 100 << 10}, 1},
		{"delay", proxy.Plan{RTT: 100 * time.Millisecond}, 0},
		// So far and narrow that more lanes are tried, and these are cut as well.
		{"far", proxy.Plan{Faults: cuts, Up: 1 << 20, Down: 100 << 10, RTT: 30 * time.Millisecond, Window: 64 << 10}, 3},
	}
	const n = 100_000
	dump := numbered(t, n)
	lc := start(t, localcluster.Options{})
	for i, tt := range plans {
		for j, policy := range policies {
			t.Run(tt.name+" "+policy.String(), func(t *testing.T) {
				flush(t, lc)
				g, c := behind(t, lc, uint64(10*i+j))
				early := part(dump, 0)
				opts := all(policy)
				if tt.name == "silence" {
					opts.RetryTimeout = 12 * time.Second // a third of it may pass in silence
				}
				if tt.name == "far" {
					opts.Memory = 4 << 20 // less than the dump
				}
				r := begin(t, c, dump, opts, early)
				g.Set(tt.plan) // from here on
				close(early.open)
				res := r.complete(n)
				made, faulty := g.Counts()
				t.Logf("%d connections, %d of them with a fault, %d lanes in the end", made, faulty, res.Lanes)
				if faulty < tt.fewest {
					t.Errorf("%d faults in %d connections", faulty, made)
				}
				if absent := missing(t, lc, n); absent != 0 {
					t.Errorf("%d keys are missing", absent)
				}
				if len(res.Losses) != 0 {
					t.Errorf("nothing was lost, but reported is %+v", res.Losses)
				}
				if i == 0 {
					same(t, lc, dump, n)
				}
			})
		}
	}
}

// TestBadNetworkSample does so with one of everything, the largest value of which
// is about what a connection lets through, and compares every value.
func TestBadNetworkSample(t *testing.T) {
	t.Parallel()
	dump := sample(t, "redis-7.0")
	want := loaded(t, dump, "")
	lc := start(t, localcluster.Options{})
	faults := 0
	for seed := range uint64(9) {
		policy := policies[seed%3]
		flush(t, lc)
		g, c := behind(t, lc, seed)
		early := part(dump, 0)
		r := begin(t, c, dump, all(policy), early)
		g.Set(proxy.Plan{Faults: []proxy.Fault{proxy.Reset, proxy.Finish, proxy.HalfClose}, Up: 3 << 20, Down: 3 << 20})
		close(early.open)
		res, err := r.end()
		if err != nil || int(res.Restored+res.Existing) != len(want) {
			t.Fatalf("%s, seed %d: of %d keys: %v, %+v", policy, seed, len(want), err, res)
		}
		if d := state.Diff(want, held(t, masters(lc)...)); d != "" {
			t.Errorf("%s, seed %d: %s", policy, seed, d)
		}
		_, faulty := g.Counts()
		faults += faulty
	}
	if faults < 9 {
		t.Errorf("only %d faults", faults)
	}
}

// TestBadNetworkWaitReplicas does so while waiting for replicas.
func TestBadNetworkWaitReplicas(t *testing.T) {
	t.Parallel()
	const n = 50_000
	dump := numbered(t, n)
	lc := start(t, localcluster.Options{Replicas: 1, NodeTimeout: 30 * time.Second})
	for j, policy := range policies {
		flush(t, lc)
		g, c := behind(t, lc, uint64(100+j))
		early := part(dump, 0)
		opts := all(policy)
		opts.WaitReplicas = 1
		r := begin(t, c, dump, opts, early)
		g.Set(proxy.Plan{Faults: []proxy.Fault{proxy.Reset, proxy.Finish, proxy.HalfClose}, Up: 300 << 10, Down: 15 << 10})
		close(early.open)
		r.complete(n)
		if absent := missing(t, lc, n); absent != 0 {
			t.Errorf("%s: %d keys are missing", policy, absent)
		}
	}
}

// TestRefusedConnections has every connection refused for a while.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	const n = 50_000
	dump := numbered(t, n)
	lc := start(t, localcluster.Options{})
	g, c := behind(t, lc, 1)
	half := part(dump, 0.5)
	r := begin(t, c, dump, all(pipeline.ConflictFail), half)
	r.reach(n / 10 * 3)
	g.Set(proxy.Plan{Refuse: true})
	g.Cut()
	close(half.open)
	before, _ := g.Counts()
	await(t, "attempts to connect", func() bool {
		now, _ := g.Counts()
		return now >= before+20
	})
	g.Set(proxy.Plan{})
	r.complete(n)
	if absent := missing(t, lc, n); absent != 0 {
		t.Errorf("%d keys are missing", absent)
	}
}

// TestSlowLink sends a value that takes its link far longer than a master may be
// silent: it must not be given up.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	g, c := behind(t, lc, 1)
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	value := make([]byte, 8<<20)
	dataset.NewRand(1).Fill(value)
	w.Key(dataset.TypeString, []byte("big"), dataset.AppendRawString(nil, value))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	early := part(buf.Bytes(), 0)
	opts := all(pipeline.ConflictFail)
	opts.RetryTimeout = 30 * time.Second
	r := begin(t, c, buf.Bytes(), opts, early)
	g.Set(proxy.Plan{Rate: 1 << 20})
	close(early.open)
	if res := r.complete(1); res.Reconnects != 0 {
		t.Errorf("%+v", res)
	}
	if got, err := lc.Nodes()[0].Client().Get(context.Background(), "big").Bytes(); err != nil || !bytes.Equal(got, value) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
