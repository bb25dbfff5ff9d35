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
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A comparison goes on in a goroutine of its own.
type comparison struct {
	*pipeline.Verifier
	t      *testing.T
	ended  sync.WaitGroup
	err    error // of Check
	mu     sync.Mutex
	warned []string
	found  []string
}

// compareLarge begins to compare a dump, every value of which is too large to be held.
func compareLarge(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.VerifyOptions) *comparison {
	t.Helper()
	r := &comparison{t: t}
	note := func(to *[]string, text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*to = append(*to, text)
	}
	opts.Warn = func(text string) { note(&r.warned, text) }
	opts.Found = func(d pipeline.KeyDifference) { note(&r.found, fmt.Sprintf("%v: %s", d.Kind, d.What)) }
	var err error
	r.Verifier, err = pipeline.Verify(t.Context(), c, opts)
	noError(t, err)
	r.ended.Go(func() {
		r.err = r.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{MaxValue: 64, Again: bytes.NewReader(dump)}))
	})
	return r
}

// underWay waits until the value of key has been compared for some time.
func (r *comparison) underWay(key string) (addr string) {
	r.t.Helper()
	await(r.t, "the large value", func() bool {
		k, at, _, ok := r.Large()
		addr = at
		return ok && string(k) == key
	})
	return addr
}

// end waits for the end, and returns the first error.
func (r *comparison) end() (pipeline.VerifyResult, error) {
	r.ended.Wait()
	res, err := r.Close()
	if r.err != nil {
		err = r.err
	}
	return res, err
}

// slowly puts a large string on a cluster, and a line before it on which it takes minutes
// to be read.
func slowly(t *testing.T) (lc *localcluster.Cluster, g *proxy.Group, c *slotter.Cluster, dump []byte) {
	t.Helper()
	lc = start(t, localcluster.Options{Standalone: true})
	value := noise(1, 8<<20)
	noError(t, lc.Nodes()[0].Client().Set(t.Context(), "large", value, 0).Err())
	g, c = behind(t, lc, 1)
	return lc, g, c, oneKey(t, dataset.TypeString, "large", dataset.AppendString(nil, value), 0)
}

var slow = proxy.Plan{Rate: 64 << 10}

// TestVerifyLargeStopped stops while a large value is compared: it is not compared to its
// end, and that is said.
func TestVerifyLargeStopped(t *testing.T) {
	t.Parallel()
	_, g, c, dump := slowly(t)
	g.Set(slow)
	r := compareLarge(t, c, dump, verifyOpts())
	r.underWay("large")
	r.Stop()
	res, err := r.end()
	if !errors.Is(err, pipeline.ErrStopped) || res.Read != 1 || res.Unsettled != 1 || len(r.found) > 0 {
		t.Errorf("%v, %+v, %v", err, res, r.found)
	}
	if text := strings.Join(r.warned, "\n"); !strings.Contains(text, `key "large" is not compared: stopped`) {
		t.Errorf("warned of %q", text)
	}
	if _, _, _, ok := r.Large(); ok || len(r.Troubled()) > 0 {
		t.Errorf("it goes on: %+v", r.Troubled())
	}
}

// TestVerifyLargeSilent names the master that leaves a large value waiting, and the key.
func TestVerifyLargeSilent(t *testing.T) {
	t.Parallel()
	lc, g, c, dump := slowly(t)
	g.Set(slow)
	r := compareLarge(t, c, dump, verifyOpts())
	proxied := g.For(lc.Addrs()[0]).Addr()
	if at := r.underWay("large"); at != proxied {
		t.Errorf("on %s, expected %s", at, proxied)
	}
	server := lc.Nodes()[0]
	noError(t, server.Pause())
	resume := sync.OnceValue(server.Resume)
	t.Cleanup(func() { _ = resume() })
	await(t, "its name", func() bool {
		list := r.Troubled()
		return len(list) == 1 && list[0].Addr == proxied && list[0].State == pipeline.MasterSilent
	})
	g.Set(proxy.Plan{})
	noError(t, resume())
	g.Cut()
	if res, err := r.end(); err != nil || res.Same != 1 || len(r.Troubled()) > 0 {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestVerifyLargeLost loses the connection when a large value has been compared for
// longer than is tried again.
func TestVerifyLargeLost(t *testing.T) {
	t.Parallel()
	_, g, c, dump := slowly(t)
	g.Set(slow)
	opts := verifyOpts()
	opts.RetryTimeout = time.Second // less than underWay waits for
	r := compareLarge(t, c, dump, opts)
	r.underWay("large")
	g.Set(proxy.Plan{})
	g.Cut()
	if res, err := r.end(); err != nil || res.Same != 1 || res.Reconnects == 0 {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestVerifyFrozen freezes a master whose replica then takes its place, with large values
// and with others.
func TestVerifyFrozen(t *testing.T) {
	t.Parallel()
	for _, large := range []bool{false, true} {
		lc := start(t, replicated)
		c := connect(t, lc.URL())
		dump := manyStrings(t, 300)
		whole := all(pipeline.ConflictFail)
		whole.WaitReplicas = 1
		_, err := imports(t, c, dump, whole)
		noError(t, err)
		masters, replicas := nodes(t, lc)
		opts := verifyOpts()
		opts.RetryTimeout = 5 * time.Second
		v, err := pipeline.Verify(t.Context(), c, opts)
		noError(t, err)
		noError(t, masters[0].Pause())
		resume := sync.OnceValue(masters[0].Resume)
		t.Cleanup(func() { _ = resume() })
		takenOver(t, lc, masters[0], replicas[0])
		scan := rdbparse.Options{}
		if large {
			scan = rdbparse.Options{MaxValue: 1, Again: bytes.NewReader(dump)}
		}
		cerr := v.Check(rdbparse.NewScanner(bytes.NewReader(dump), scan))
		res, err := v.Close()
		if cerr != nil || err != nil || res.Same != 300 {
			t.Errorf("large %v: %v, %v, %+v", large, cerr, err, res)
		}
		noError(t, resume())
	}
}

// TestVerifyLargeGone deletes a stream, and puts something else in its place, while it is
// compared: what is asked next has an error for an answer.
func TestVerifyLargeGone(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	server, target := lc.Nodes()[0], altered{t, lc}
	for i := range 60 {
		target.run("stream", cmd("XADD", fmt.Sprintf("%d-1", i+1), "f", noise(uint64(i), 1000)))
	}
	target.run("stream", cmd("XGROUP CREATE", "group", "0"))
	dump := save(t, server, false)
	g, c := behind(t, lc, 1)
	for _, step := range []struct {
		put  []any
		kind pipeline.DifferenceKind
		what string
	}{
		{cmd("DEL"), pipeline.Missing, "the target does not have it"},
		{cmd("SADD", "member"), pipeline.Different, "it is a set, in the dump a stream"},
	} {
		_, err := imports(t, c, dump, all(pipeline.ConflictReplace))
		noError(t, err)
		must(t, server, "CONFIG", "RESETSTAT")
		g.Set(proxy.Plan{Rate: 16 << 10}) // its entries take 4 s
		r := compareLarge(t, c, dump, verifyOpts())
		await(t, "its entries to be asked for", func() bool {
			info, err := server.Client().Info(t.Context(), "commandstats").Result()
			return err == nil && strings.Contains(info, "cmdstat_xrange:")
		})
		target.run("stream", cmd("DEL"))
		target.run("stream", step.put)
		g.Set(proxy.Plan{})
		res, err := r.end()
		if err != nil || res.Differences() != 1 || len(r.found) != 1 || r.found[0] != fmt.Sprintf("%v: %s", step.kind, step.what) {
			t.Errorf("%v, %+v, found %q", err, res, r.found)
		}
	}
}

// TestVerifyLargeHalfMoved: where a slot was left half moved, the comparison of a large
// value in it ends with the error that says so.
func TestVerifyLargeHalfMoved(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	slot := slotter.Slot([]byte("large"))
	from, to := neighbours(t, lc, c, slot)
	migrate(t, slot, from, to)
	opts := verifyOpts()
	opts.RetryTimeout = time.Second
	dump := oneKey(t, dataset.TypeString, "large", dataset.AppendString(nil, noise(1, 1<<20)), 0)
	if res, err := compareLarge(t, c, dump, opts).end(); !errors.Is(err, pipeline.ErrPutOff) || !strings.Contains(err.Error(), `"large"`) {
		t.Errorf("%v, %+v", err, res)
	}
}
