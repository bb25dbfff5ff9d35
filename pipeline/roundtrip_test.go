//go:build !race

package pipeline_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestRoundTrip expects a cluster 50 ms away to be kept as busy as one that is
// near: at least 80 % of the keys a second, between the first quarter and the last
// of a dump. Both are behind the proxy, which takes its share of the processors,
// and measured in turn, because other programs take theirs. The dumps are several
// times as large as what is in flight. With the race detector another thing would
// be measured.
func TestRoundTrip(t *testing.T) {
	const away, least, pairs = 50 * time.Millisecond, 0.8, 3
	lc := start(t, localcluster.Options{})
	for _, set := range []struct {
		name  string
		keys  int
		write func(w io.Writer, keys int, seed uint64) (dataset.Stats, error)
	}{
		{"small", 1_000_000, dataset.Small},
		{"mixed", 1_000_000, dataset.Mixed},
	} {
		t.Run(set.name, func(t *testing.T) {
			var dump bytes.Buffer
			if _, err := set.write(&dump, set.keys, 1); err != nil {
				t.Fatal(err)
			}
			measure := func(rtt time.Duration) float64 {
				flush(t, lc)
				g, c := behind(t, lc, 1)
				g.Set(proxy.Plan{RTT: rtt})
				return steadyRate(t, c, dump.Bytes(), set.keys)
			}
			var near, far, ratios []float64
			for range pairs {
				near, far = append(near, measure(0)), append(far, measure(away))
				ratios = append(ratios, far[len(far)-1]/near[len(near)-1])
			}
			slices.Sort(ratios)
			median, best := ratios[pairs/2], slices.Max(far)/slices.Max(near)
			t.Logf("keys/s near %.0f, %v away %.0f: median of the ratios %.2f, ratio of the best %.2f", near, away, far, median, best)
			if max(median, best) < least {
				t.Errorf("%v away it is %.2f times as fast as near, and %.2f at its best", away, median, best)
			}
		})
	}
}

// steadyRate imports a dump of n keys and returns how many arrive in a second
// between the first quarter and the last.
func steadyRate(t *testing.T, c *slotter.Cluster, dump []byte, n int) float64 {
	t.Helper()
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
	if err != nil {
		t.Fatal(err)
	}
	fed := make(chan error, 1)
	go func() { fed <- im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})) }()
	arrived := func(least int) (have int64, at time.Time) {
		await(t, "keys to arrive", func() bool {
			have = im.Snapshot().Restored
			return have >= int64(least)
		})
		return have, time.Now()
	}
	first, from := arrived(n / 4)
	last, to := arrived(n / 4 * 3)
	if err := <-fed; err != nil {
		t.Error(err)
	}
	if res, err := im.Close(); err != nil || res.Restored != int64(n) && res.Restored+res.Expired != int64(n) {
		t.Errorf("%v: %+v", err, res)
	}
	return float64(last-first) / to.Sub(from).Seconds()
}

// TestRoundTripDepth imports into a cluster that is near, with a large budget, and into
// one so far away that a small budget cannot keep it busy. Near, no more may be in flight
// than always is; far away as much as the budget has, and the result says where that is
// not enough.
func TestRoundTripDepth(t *testing.T) {
	const small, large = 32 << 20, 512 << 20
	lc := start(t, localcluster.Options{})
	dump := randomStrings(t, 4000, 8<<10)
	for _, test := range []struct {
		name   string
		rtt    time.Duration
		memory int64
		feeds  int // of the dump, one behind the other
		least  int64
		most   int64 // bytes held at the peak
		short  bool
	}{
		{"near", 0, large, 8, 0, 100 << 20, false},
		{"far", 400 * time.Millisecond, large, 12, 128 << 20, large, false},
		{"farther than the budget", 400 * time.Millisecond, small, 2, 0, small, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, c := behind(t, lc, 1)
			opts := all(pipeline.ConflictReplace)
			opts.Memory = test.memory
			im, err := pipeline.New(t.Context(), c, opts)
			if err != nil {
				t.Fatal(err)
			}
			g.Set(proxy.Plan{RTT: test.rtt, Window: 64 << 20}) // of the connections of lanes
			f, from := im.NewFeeder(), time.Now()
			for range test.feeds {
				f.NewSource()
				if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
					t.Error(err)
				}
			}
			res, err := im.Close()
			t.Logf("%d MB in %v, at most %d MB held", res.Bytes/1e6, time.Since(from), res.PeakMemory/1e6)
			if err != nil || res.Restored != int64(4000*test.feeds) || res.Short != test.short {
				t.Errorf("%v: %+v", err, res)
			}
			if res.PeakMemory < test.least || res.PeakMemory > test.most {
				t.Errorf("%d bytes were held, want %d to %d", res.PeakMemory, test.least, test.most)
			}
		})
	}
}

// randomStrings returns the dump of n strings of size random bytes each.
func randomStrings(t *testing.T, n, size int) []byte {
	t.Helper()
	var dump bytes.Buffer
	w, r, value := dataset.NewWriter(&dump, "REDIS0010"), dataset.NewRand(1), make([]byte, size)
	w.SelectDB(0)
	for i := range n {
		r.Fill(value)
		w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, value))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dump.Bytes()
}

// TestRoundTripMasters imports into many masters that are far, which are asked at the
// same time: the time there is at the end would not be enough for each of a hundred, and
// nothing may count as lost that is there.
func TestRoundTripMasters(t *testing.T) {
	const rtt = 250 * time.Millisecond
	lc := start(t, localcluster.Options{Masters: 12})
	g, c := behind(t, lc, 1)
	g.Set(proxy.Plan{RTT: rtt})
	from := time.Now()
	im, err := pipeline.New(t.Context(), c, all(pipeline.ConflictFail))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Since(from)
	if err := im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(randomStrings(t, 1000, 100)), rdbparse.Options{})); err != nil {
		t.Error(err)
	}
	from = time.Now()
	res, err := im.Close()
	ended := time.Since(from)
	if err != nil || res.Restored != 1000 || len(res.Losses) > 0 {
		t.Errorf("%v: %+v", err, res)
	}
	const most = 25 * rtt // it takes 11 and 10; one master after another would take 85 and 43
	t.Logf("the start took %.1f round trips, the end %.1f", float64(began)/float64(rtt), float64(ended)/float64(rtt))
	if began > most || ended > most {
		t.Errorf("that is %v and %v", began, ended)
	}
}

// TestRoundTripLanes imports over a long way on which each connection carries 5 MB/s,
// with the number of lanes left open and with one. Near, there is never more than one.
func TestRoundTripLanes(t *testing.T) {
	lc := start(t, localcluster.Options{})
	dump := randomStrings(t, 8000, 8<<10)
	measure := func(plan proxy.Plan, lanes, feeds int) (rate float64, last int) {
		flush(t, lc)
		g, c := behind(t, lc, 1)
		g.Set(plan)
		opts := all(pipeline.ConflictReplace)
		opts.Lanes = lanes
		im, err := pipeline.New(t.Context(), c, opts)
		if err != nil {
			t.Fatal(err)
		}
		f, from := im.NewFeeder(), time.Now()
		for range feeds {
			f.NewSource()
			if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
				t.Error(err)
			}
		}
		if err := f.WaitSettled(); err != nil {
			t.Error(err)
		}
		took := time.Since(from)
		res, err := im.Close()
		if err != nil || res.Restored != int64(8000*feeds) {
			t.Errorf("%v: %+v", err, res)
		}
		return float64(res.Bytes) / took.Seconds() / 1e6, res.Lanes
	}
	slow := proxy.Plan{RTT: 50 * time.Millisecond, Window: 128 << 10}
	one, _ := measure(slow, 1, 2)
	auto, lanes := measure(slow, 0, 3)
	near, nearLanes := measure(proxy.Plan{}, 0, 5)
	t.Logf("far: %.1f MB/s with one lane, %.1f with %d; near %.1f with %d", one, auto, lanes, near, nearLanes)
	if auto < 1.5*one || lanes < 2 || nearLanes != 1 {
		t.Error("more lanes should carry more where masters are far, and only there")
	}
}

// TestRoundTripCarriers imports large values into a cluster that is far, from a file,
// where carriers bring several of them at a time, and as through a pipe, where they go one
// after another, and each takes three round trips and often a new connection.
func TestRoundTripCarriers(t *testing.T) {
	const rtt, keys = 100 * time.Millisecond, 20
	lc := start(t, localcluster.Options{})
	dump := written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		for i := range keys {
			w.Key(dataset.TypeSet, fmt.Appendf(nil, "set:%d", i), dataset.AppendStrings(nil, manyTexts("member", 10_000)))
		}
	})
	measure := func(again io.ReaderAt) float64 {
		flush(t, lc)
		g, c := behind(t, lc, 1)
		im, err := pipeline.New(t.Context(), c, pieces(pipeline.ConflictFail))
		if err != nil {
			t.Fatal(err)
		}
		g.Set(proxy.Plan{RTT: rtt, Window: 64 << 20})
		f, from := im.NewFeeder(), time.Now()
		if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{MaxValue: 64, Again: again})); err != nil {
			t.Error(err)
		}
		took := time.Since(from)
		if res, err := im.Close(); err != nil || res.Restored != keys || res.Big != keys {
			t.Errorf("%v: %+v", err, res)
		}
		return float64(took) / float64(rtt) / keys
	}
	file, pipe := measure(bytes.NewReader(dump)), measure(nil)
	t.Logf("a value takes %.1f round trips from a file, %.1f through a pipe", file, pipe)
	if file > 0.6*pipe {
		t.Error("carriers should bring several values at a time")
	}
}
