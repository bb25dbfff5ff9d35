package pipeline_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// alike is a dump of n strings of size bytes that do not compress.
func alike(t *testing.T, n, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := dataset.NewWriter(&b, "REDIS0009")
	for i := range n {
		w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendRawString(nil, bytes.Repeat([]byte{byte(i)}, size)))
	}
	noError(t, w.Close())
	return b.Bytes()
}

// A passing is how much had arrived at some time.
type passing struct {
	at      time.Time
	arrived int64
}

// watched imports a dump, and returns how much of it arrived by and by.
func watched(t *testing.T, url string, dump []byte, opts pipeline.Options, count func(pipeline.Result) int64) []passing {
	t.Helper()
	im, err := pipeline.New(t.Context(), connect(t, url), opts)
	noError(t, err)
	list, done := []passing{{time.Now(), 0}}, make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-done:
				return
			}
			if n := count(im.Snapshot()); n > list[len(list)-1].arrived {
				list = append(list, passing{time.Now(), n})
			}
		}
	})
	err = im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{}))
	res, closeErr := im.Close()
	close(done)
	watch.Wait()
	noError(t, err)
	noError(t, closeErr)
	return append(list, passing{time.Now(), count(res)})
}

// TestRates imports at rates from some keys a second on: no more arrives in any second,
// but for a tenth of that, and it arrives evenly, whoever renders it.
func TestRates(t *testing.T) {
	lc := start(t, localcluster.Options{})
	keys, bytes := func(r pipeline.Result) int64 { return r.Restored }, func(r pipeline.Result) int64 { return r.Bytes }
	for _, x := range []struct {
		name        string
		dump        []byte
		keys, bytes int64 // the rates
		count       func(pipeline.Result) int64
		least       time.Duration // that it takes
		gap         time.Duration // the longest in which nothing arrives
		most        int64         // that may arrive in a second
		encoders    int
	}{
		{"4 keys", alike(t, 8, 10), 4, 0, keys, 1740 * time.Millisecond, 500 * time.Millisecond, 5, -1},
		{"50 keys", alike(t, 105, 10), 50, 0, keys, 1990 * time.Millisecond, 400 * time.Millisecond, 55, -1},
		{"1,000 keys", alike(t, 2100, 10), 1000, 0, keys, 1990 * time.Millisecond, 400 * time.Millisecond, 1100, -1},
		{"20,000 keys", alike(t, 42000, 10), 20000, 0, keys, 1990 * time.Millisecond, 400 * time.Millisecond, 22000, -1},
		{"100 KB", alike(t, 2100, 25), 0, 100e3, bytes, 1500 * time.Millisecond, 400 * time.Millisecond, 110e3, -1},
		{"a value of two seconds", alike(t, 1, 200e3), 0, 100e3, bytes, 1890 * time.Millisecond, 3 * time.Second, 201e3, -1},
		// With encoders the whole of it shows whether the rate holds.
		{"4 keys, encoders", alike(t, 8, 10), 4, 0, keys, 1740 * time.Millisecond, 2 * time.Second, 8, 3},
		{"20,000 keys, encoders", alike(t, 42000, 10), 20000, 0, keys, 1990 * time.Millisecond, 2 * time.Second, 42000, 3},
		{"100 KB, encoders", alike(t, 2100, 25), 0, 100e3, bytes, 1500 * time.Millisecond, 2 * time.Second, 200e3, 3},
		// Each of them has a chunk, so that encoders have one each: they go one by one, and
		// not three after three seconds.
		{"values of a second, encoders", alike(t, 4, 100e3), 0, 100e3, bytes, 3890 * time.Millisecond, 2500 * time.Millisecond, 402e3, 3},
	} {
		t.Run(x.name, func(t *testing.T) {
			flush(t, lc)
			opts := all(pipeline.ConflictFail)
			opts.Rate, opts.RateKeys, opts.Encoders = x.bytes, x.keys, x.encoders
			list := watched(t, lc.URL(), x.dump, opts, x.count)
			last := list[len(list)-1]
			if took := last.at.Sub(list[0].at); took < x.least || took > x.least*3/2 {
				t.Errorf("%d took %v", last.arrived, took)
			}
			from, most, gap := 0, int64(0), time.Duration(0)
			for i, p := range list[1:] {
				gap = max(gap, p.at.Sub(list[i].at))
				for p.at.Sub(list[from].at) > time.Second {
					from++
				}
				most = max(most, p.arrived-list[from].arrived)
			}
			t.Logf("%d within %v, no more than %d a second, longest pause %v", last.arrived, last.at.Sub(list[0].at), most, gap)
			if gap > x.gap {
				t.Errorf("nothing arrived for %v", gap)
			}
			if most > x.most*5/4 { // what a busy machine holds up arrives with what comes behind it
				t.Errorf("%d arrived within a second", most)
			}
		})
	}
}
