package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/redis/go-redis/v9"
)

// reload has a master load its data again, with a rest of delay microseconds after each
// key, and returns when it has begun to; loaded returns when it is done.
func reload(t *testing.T, busy *localcluster.Node, delay int) (loaded func()) {
	t.Helper()
	must(t, busy, "CONFIG", "SET", "key-load-delay", delay, "loading-process-events-interval-bytes", 1024)
	var loading sync.WaitGroup
	loading.Go(func() {
		if err := busy.Client().Do(t.Context(), "DEBUG", "RELOAD").Err(); err != nil {
			t.Error(err)
		}
	})
	await(t, "the master to load", func() bool {
		err := busy.Client().DBSize(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "LOADING")
	})
	return loading.Wait
}

// TestLoading has a master load its data again in mid-run, for longer than the
// retry timeout: it is alive, so the import waits.
func TestLoading(t *testing.T) {
	t.Parallel()
	const n = 50_000
	lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
	dump := numbered(t, n)
	for _, policy := range policies {
		flush(t, lc)
		g := part(dump, 0.5)
		opts := all(policy)
		opts.RetryTimeout = time.Second
		r := begin(t, connect(t, lc.URL()), dump, opts, g)
		r.reach(n / 10 * 3)
		busy := lc.Masters()[1]
		// It looks after its clients after every KB, and takes about 3 s.
		loaded := reload(t, busy, 3_000_000/(n/10))
		close(g.open)
		loaded()
		res := r.complete(n)
		if res.Retries == 0 {
			t.Errorf("nothing met a master that was loading: %+v", res)
		}
		if absent := missing(t, lc, n); absent != 0 {
			t.Errorf("%s: %d keys are missing", policy, absent)
		}
	}
}

// TestClusterDown freezes a master without a replica until the others say that
// the cluster is down, and wakes it up: it still is the owner of its slots, and
// whatever it accepts then counts.
func TestClusterDown(t *testing.T) {
	t.Parallel()
	const n = 100_000
	lc := start(t, localcluster.Options{NodeTimeout: time.Second})
	dump := numbered(t, n)
	for round, policy := range policies {
		flush(t, lc)
		g := part(dump, 0.7)
		opts := all(policy)
		opts.Memory = 4 << 20
		r := begin(t, connect(t, lc.URL()), dump, opts, g)
		r.reach(n / 10 * 3)
		frozen, other := lc.Masters()[round], lc.Masters()[(round+1)%3]
		if err := frozen.Pause(); err != nil {
			t.Fatal(err)
		}
		await(t, "the cluster to be down", func() bool {
			return strings.Contains(other.Client().ClusterInfo(t.Context()).Val(), "cluster_state:fail")
		})
		close(g.open)
		before := r.im.Snapshot().Retries
		await(t, "the import to notice", func() bool { return r.im.Snapshot().Retries >= before+5 })
		if err := frozen.Resume(); err != nil {
			t.Fatal(err)
		}
		res := r.complete(n)
		if absent := missing(t, lc, n); absent != 0 {
			t.Errorf("%s: %d keys are missing", policy, absent)
		}
		if len(res.Losses) != 0 {
			t.Errorf("nothing was lost, but reported is %+v", res.Losses)
		}
		if err := lc.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoProgress expects an import to end when a master stays away for longer
// than the retry timeout: dead, frozen, or refusing connections.
func TestNoProgress(t *testing.T) {
	t.Parallel()
	const n = 50_000
	dump := numbered(t, n)
	tests := []struct {
		name  string
		leave func(t *testing.T, n *localcluster.Node, g *proxy.Group)
	}{
		{"killed", func(_ *testing.T, n *localcluster.Node, _ *proxy.Group) { n.Kill() }},
		{"frozen", func(t *testing.T, n *localcluster.Node, _ *proxy.Group) {
			if err := n.Pause(); err != nil {
				t.Fatal(err)
			}
		}},
		{"refusing", func(_ *testing.T, n *localcluster.Node, g *proxy.Group) {
			g.For(n.Addr).Set(proxy.Plan{Refuse: true})
			g.For(n.Addr).Cut()
		}},
		{"down", func(t *testing.T, n *localcluster.Node, _ *proxy.Group) {
			must(t, n, "CLUSTER", "DELSLOTSRANGE", 0, 0)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
			g, c := behind(t, lc, 1)
			half := part(dump, 0.5)
			opts := all(pipeline.ConflictFail)
			opts.RetryTimeout = 2 * time.Second
			r := begin(t, c, dump, opts, half)
			r.reach(n / 10 * 3)
			tt.leave(t, lc.Masters()[0], g)
			close(half.open)
			res, err := r.end()
			if !errors.Is(err, pipeline.ErrNoProgress) {
				t.Errorf("%v, %+v", err, res)
			}
			if res.Unsettled == 0 || res.Duration > 40*time.Second {
				t.Errorf("%+v", res)
			}
		})
	}
}

// lettered is a dump of n strings each whose names begin with a, b and c.
func lettered(t *testing.T, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	for i := range n {
		for _, letter := range "abc" {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "%c%d", letter, i), dataset.AppendString(nil, fmt.Sprintf("value %d", i)))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestForbiddenKeys imports as users who may write some keys only: the others are
// refused and listed, and those arrive.
func TestForbiddenKeys(t *testing.T) {
	t.Parallel()
	const n = 5_000
	dump := lettered(t, n)
	lc := start(t, localcluster.Options{})
	if !lc.Version().AtLeast(7, 0) {
		t.Skip("rights to read and rights to write came with Redis 7.0")
	}
	for _, pattern := range []string{"~a*", "%W~a*"} {
		for _, policy := range policies {
			t.Run(pattern+" "+policy.String(), func(t *testing.T) {
				flush(t, lc)
				for _, m := range lc.Masters() {
					must(t, m, "ACL", "SETUSER", "some", "reset", "on", ">secret", "+@all", pattern)
				}
				c := connect(t, strings.Replace(lc.URL(), "redis://", "redis://some:secret@", 1))
				var mu sync.Mutex
				refused := make(map[string]bool)
				opts := all(policy)
				opts.Refused = func(r pipeline.Refusal) {
					mu.Lock()
					defer mu.Unlock()
					if refused[string(r.Key)] || r.Offset == 0 || r.Reason == "" || r.Size == 0 {
						t.Errorf("refusal %+v", r)
					}
					refused[string(r.Key)] = true
				}
				res, err := begin(t, c, dump, opts).end()
				if err != nil || res.Restored != n || res.Failed != 2*n || len(res.Errors) != 1 || res.Errors[0].Count != 2*n || !strings.Contains(res.Errors[0].Reason, "NOPERM") {
					t.Errorf("%v, %+v", err, res)
				}
				if len(refused) != 2*n {
					t.Errorf("%d keys are listed as refused", len(refused))
				}
				keys := held(t, masters(lc)...)
				for i := range n {
					if key := fmt.Sprintf("a%d", i); !strings.Contains(keys[key], fmt.Sprintf("value %d", i)) || refused[key] || !refused[fmt.Sprintf("b%d", i)] {
						t.Fatalf("key %s: %q", key, keys[key])
					}
				}
				if len(keys) != n {
					t.Errorf("%d keys arrived", len(keys))
				}
			})
		}
	}
}

// limitMemory gives each master room for so many bytes more than it uses.
func limitMemory(t *testing.T, lc *localcluster.Cluster, room int64, policy string) {
	t.Helper()
	for _, m := range lc.Masters() {
		used, err := m.Client().InfoMap(t.Context(), "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		if _, err := fmt.Sscan(used["Memory"]["used_memory"], &n); err != nil {
			t.Fatal(err)
		}
		must(t, m, "CONFIG", "SET", "maxmemory", n+room, "maxmemory-policy", policy)
	}
}

// TestTargetFull imports more than the masters have room for.
func TestTargetFull(t *testing.T) {
	t.Parallel()
	const n = 100_000 // about 12 MB
	dump := numbered(t, n)
	lc := start(t, localcluster.Options{})
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			flush(t, lc)
			limitMemory(t, lc, 2<<20, "noeviction")
			res, err := begin(t, connect(t, lc.URL()), dump, all(policy)).end()
			if !errors.Is(err, pipeline.ErrTargetFull) || res.Restored == 0 || res.Unsettled == 0 {
				t.Errorf("%v, %+v", err, res)
			}
			if err != nil && !strings.Contains(err.Error(), "maxmemory") {
				t.Errorf("%q does not say how much memory there is", err)
			}
			size := int64(0)
			for _, m := range masters(lc) {
				size += m.DBSize(t.Context()).Val()
			}
			if size < res.Restored {
				t.Errorf("%d keys restored, but only %d are there", res.Restored, size)
			}
		})
	}
	t.Run("wait", func(t *testing.T) {
		flush(t, lc)
		limitMemory(t, lc, 2<<20, "noeviction")
		opts := all(pipeline.ConflictFail)
		opts.WaitOnOOM = true
		opts.RetryTimeout = time.Second // it is no such trouble
		r := begin(t, connect(t, lc.URL()), dump, opts)
		await(t, "the masters to refuse", func() bool { return r.im.Snapshot().Retries >= 50 })
		for _, m := range lc.Masters() {
			must(t, m, "CONFIG", "SET", "maxmemory", 0)
		}
		r.complete(n)
		if absent := missing(t, lc, n); absent != 0 {
			t.Errorf("%d keys are missing", absent)
		}
	})
}

// number returns a number in INFO.
func number(t *testing.T, c *redis.Client, section, name string) int64 {
	t.Helper()
	info, err := c.InfoMap(t.Context(), section).Result()
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscan(info[section][name], &n); err != nil {
		t.Fatalf("%s of %s: %v", name, section, err)
	}
	return n
}

// TestSlowReplica puts the replica of each master behind a slow line, with output
// buffers that the import would overrun many times: no replica may be cut off and
// start over.
func TestSlowReplica(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Replicas: 1, NodeTimeout: 30 * time.Second,
		Config: []string{"client-output-buffer-limit replica 8mb 4mb 10", "repl-backlog-size 1mb"}})
	// The nodes announce the proxies, so that the replicas go through them; the
	// import does not.
	direct := make(map[string]string)
	var proxies []*proxy.Proxy
	for i, m := range lc.Masters() {
		p, err := proxy.Listen(m.Addr, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		p.Set(proxy.Plan{Rate: 4 << 20})
		direct[p.Addr()] = m.Addr
		proxies = append(proxies, p)
		_, port, _ := strings.Cut(m.Addr, ":")
		bus := 0
		if _, err := fmt.Sscan(port, &bus); err != nil {
			t.Fatal(err)
		}
		_, port, _ = strings.Cut(p.Addr(), ":")
		must(t, m, "CONFIG", "SET", "cluster-announce-bus-port", bus+10000, "cluster-announce-port", port)
	}
	for i, m := range lc.Masters() {
		r := lc.Replicas(i)[0]
		await(t, "the replicas to know the proxies", func() bool {
			text := r.Client().ClusterNodes(t.Context()).Val()
			return strings.Contains(text, " "+proxies[i].Addr()+"@")
		})
		must(t, m, "CLIENT", "KILL", "TYPE", "replica")
		await(t, "the replicas to go through the proxies", func() bool {
			made, _ := proxies[i].Counts()
			return made > 0 && strings.Contains(m.Client().Info(t.Context(), "replication").Val(), "state=online")
		})
	}
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	value, rng := make([]byte, 8<<10), dataset.NewRand(1)
	const n = 9_000 // 24 MB for each master
	for i := range n {
		rng.Fill(value)
		w.Key(dataset.TypeString, appendKey(nil, i), dataset.AppendRawString(nil, value))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	syncs := func() (full, partial int64) {
		for _, m := range masters(lc) {
			full += number(t, m, "Stats", "sync_full")
			partial += number(t, m, "Stats", "sync_partial_ok")
		}
		return full, partial
	}
	full, partial := syncs()
	target, err := slotter.ParseTarget(lc.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), target, slotter.Options{AddrMap: direct})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	res := begin(t, c, buf.Bytes(), all(pipeline.ConflictFail)).complete(n)
	if f, p := syncs(); f != full || p != partial {
		t.Errorf("replicas were cut off: full syncs %d, then %d; partial ones %d, then %d", full, f, partial, p)
	}
	if res.Paced == 0 {
		t.Errorf("no master was held back: %+v", res)
	}
	for i, m := range lc.Masters() {
		r := lc.Replicas(i)[0]
		await(t, "the replicas to catch up", func() bool {
			return m.Client().DBSize(t.Context()).Val() == r.Client().DBSize(t.Context()).Val()
		})
	}
	if f, p := syncs(); f != full || p != partial {
		t.Errorf("replicas were cut off after the import: full syncs %d, then %d; partial ones %d, then %d", full, f, partial, p)
	}
}
