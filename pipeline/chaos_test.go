package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// policies are all policies, in the order in which tests try them.
var policies = [...]pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictReplace, pipeline.ConflictSkip}

// patience bounds how long a test waits for any one state.
const patience = 60 * time.Second

// appendKey appends the name of key i of a numbered dump.
func appendKey(dst []byte, i int) []byte {
	return strconv.AppendInt(append(dst, "key:"...), int64(i), 10)
}

// appendValue appends the value of key i of a numbered dump.
func appendValue(dst []byte, i int) []byte {
	dst = strconv.AppendInt(append(dst, "value "...), int64(i), 10)
	return append(dst, " of a numbered dump"...)
}

// numbered is a dump of n small strings. One in 50 expires, in the year 2100.
func numbered(t *testing.T, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	var key, value, plain []byte
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	for i := range n {
		if i%50 == 0 {
			w.ExpireMs(4102444800000)
		}
		key, plain = appendKey(key[:0], i), appendValue(plain[:0], i)
		value = dataset.AppendRawString(value[:0], plain)
		w.Key(dataset.TypeString, key, value)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A gate is a place in a dump beyond which nothing is given out until it opens.
type gate struct {
	at   int
	open chan struct{}
}

// part returns a gate behind a part of a dump.
func part(dump []byte, of float64) gate {
	return gate{int(of * float64(len(dump))), make(chan struct{})}
}

// A gated source gives out a dump up to the next gate that is closed.
type gated struct {
	dump  []byte
	at    int
	gates []gate
	quit  <-chan struct{}
}

func (g *gated) Read(p []byte) (int, error) {
	end := len(g.dump)
	if len(g.gates) > 0 {
		if g.at == g.gates[0].at {
			select {
			case <-g.gates[0].open:
			case <-g.quit:
				return 0, errors.New("the import has stopped")
			}
			g.gates = g.gates[1:]
			return g.Read(p)
		}
		end = g.gates[0].at
	}
	if g.at == end {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 32<<10)], g.dump[g.at:end])
	g.at += n
	return n, nil
}

// A run is an import that goes on while a test does something to the cluster.
type run struct {
	t    *testing.T
	im   *pipeline.Importer
	stop func()        // ends everything at once
	fed  chan struct{} // closed when all is on its way
	last chan struct{} // to be closed before the importer is
	done chan struct{}
	res  pipeline.Result
	err  error
}

// small is a memory budget of which most dumps of these tests need many times as
// much, so that their progress is that of the masters.
const small = 1 << 20

// begin starts the import of a dump. The run waits at the gates.
func begin(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options, gates ...gate) *run {
	t.Helper()
	r := beginOpen(t, c, dump, opts, gates...)
	close(r.last)
	return r
}

// beginOpen is begin for a run that does not end before last is closed, even when
// nothing is left to do.
func beginOpen(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options, gates ...gate) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if opts.Memory == 0 {
		opts.Memory = small
	}
	opts.Warn = func(text string) { t.Log(text) }
	im, err := pipeline.New(ctx, c, opts)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r := &run{t: t, im: im, stop: cancel, fed: make(chan struct{}), last: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		src := &gated{dump: dump, gates: gates, quit: im.Stopped()}
		scan := rdbparse.Options{}
		if opts.BigValue > 0 {
			scan = rdbparse.Options{MaxValue: opts.HeldValue(), Again: bytes.NewReader(dump)}
		}
		ferr := im.NewFeeder().Feed(rdbparse.NewScanner(src, scan))
		close(r.fed)
		select {
		case <-r.last:
		case <-ctx.Done():
		}
		r.res, r.err = im.Close()
		if r.err == nil {
			r.err = ferr
		}
	}()
	t.Cleanup(func() {
		cancel()
		im.Stop()
		<-r.done
	})
	return r
}

// reach waits until n keys have arrived.
func (r *run) reach(n int) {
	r.t.Helper()
	await(r.t, "keys to arrive", func() bool {
		s := r.im.Snapshot()
		select {
		case <-r.done:
			r.t.Fatalf("the import ended before %d keys had arrived: %v, %+v", n, r.err, r.res)
		default:
		}
		return s.Restored+s.Existing >= int64(n)
	})
}

// end waits for the end of the import, checks the sum of its counts and returns
// its result.
func (r *run) end() (pipeline.Result, error) {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * patience):
		r.t.Fatalf("the import hangs: %+v", r.im.Snapshot())
	}
	res := r.res
	if sum := res.Restored + res.Existing + res.Expired + res.Filtered + res.Failed + res.Unsettled; sum != res.Read {
		r.t.Errorf("%d keys read, but the counts add up to %d: %+v", res.Read, sum, res)
	}
	r.t.Logf("%v: %d restored, %d existing, %d retries, %d reconnects, %d redirects, losses %+v",
		res.Duration.Round(time.Millisecond), res.Restored, res.Existing, res.Retries, res.Reconnects, res.Redirects, res.Losses)
	return res, r.err
}

// complete ends a run that must have brought all n keys.
func (r *run) complete(n int) pipeline.Result {
	r.t.Helper()
	res, err := r.end()
	if err != nil {
		r.t.Fatalf("%v, %+v", err, res)
	}
	if res.Restored+res.Existing != int64(n) || res.Failed != 0 {
		r.t.Errorf("of %d keys: %+v", n, res)
	}
	return res
}

// await waits until a state is reached.
func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !reached() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// A view is how a node sees the cluster.
type view struct {
	replicaOf map[string]string // ids: of a replica, of its master
	slots     map[string]int    // first slots of healthy masters, by id
}

// see asks the nodes but one for their view; the first that answers counts.
func see(t *testing.T, lc *localcluster.Cluster, not *localcluster.Node) view {
	t.Helper()
	for _, n := range lc.Nodes() {
		if n == not {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		text, err := n.Client().ClusterNodes(ctx).Result()
		cancel()
		if err != nil {
			continue
		}
		v := view{make(map[string]string), make(map[string]int)}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			switch {
			case len(f) < 8 || strings.Contains(f[2], "fail"):
			case strings.Contains(f[2], "slave"):
				v.replicaOf[f[0]] = f[3]
			case len(f) > 8:
				first, _, _ := strings.Cut(f[8], "-")
				if slot, err := strconv.Atoi(first); err == nil {
					v.slots[f[0]] = slot
				}
			}
		}
		return v
	}
	return view{}
}

// owns reports whether the node with an id is a healthy master with slots.
func (v view) owns(id string) bool {
	_, ok := v.slots[id]
	return ok
}

// nodes returns the nodes that are masters now, in the order of their slots, each
// with one of its replicas.
func nodes(t *testing.T, lc *localcluster.Cluster) (masters, replicas []*localcluster.Node) {
	t.Helper()
	byID := make(map[string]*localcluster.Node)
	for _, n := range lc.Nodes() {
		byID[n.ID] = n
	}
	v := see(t, lc, nil)
	for _, n := range lc.Nodes() {
		if v.owns(n.ID) {
			masters = append(masters, n)
		}
	}
	slices.SortFunc(masters, func(a, b *localcluster.Node) int { return v.slots[a.ID] - v.slots[b.ID] })
	for _, m := range masters {
		for r, of := range v.replicaOf {
			if of == m.ID {
				replicas = append(replicas, byID[r])
			}
		}
	}
	if len(masters) != len(replicas) {
		t.Fatalf("%d masters and %d replicas", len(masters), len(replicas))
	}
	return masters, replicas
}

// takenOver waits until a replica has taken the place of a master.
func takenOver(t *testing.T, lc *localcluster.Cluster, master, replica *localcluster.Node) {
	t.Helper()
	await(t, "a replica to take over", func() bool { return see(t, lc, master).owns(replica.ID) })
}

// failOver has a replica take the place of its master, which is well. The servers give up
// after 5 s where the voting took too long (CLUSTER_MF_TIMEOUT): then it is asked again.
func failOver(t *testing.T, lc *localcluster.Cluster, master, replica *localcluster.Node) {
	t.Helper()
	const triedFor = 6 * time.Second
	var asked time.Time
	await(t, "a replica to take over", func() bool {
		if see(t, lc, master).owns(replica.ID) {
			return true
		}
		if time.Since(asked) > triedFor {
			asked = time.Now()
			_ = replica.Client().Do(t.Context(), "CLUSTER", "FAILOVER").Err() // it may be the master by now
		}
		return false
	})
}

// back starts a killed node again and waits until it and all others are well.
func back(t *testing.T, lc *localcluster.Cluster, n *localcluster.Node) {
	t.Helper()
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lc.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
