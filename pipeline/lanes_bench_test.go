package pipeline

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// BenchmarkLanes feeds 3, 30 and 300 sinks in turn, pass by pass, so that what else
// the machine does meets all of them alike. It reports the median time of a key with 3,
// and the medians of the ratios of the others to it.
func BenchmarkLanes(b *testing.B) {
	dump := benchDump(b)
	masters := []int{3, 30, 300}
	times := make([][]float64, len(masters)) // ns per key, of each pass
	var feed []func() float64
	for _, n := range masters {
		im, stop := newSink(n, Options{})
		defer stop()
		f := im.NewFeeder()
		feed = append(feed, func() float64 {
			f.NewSource()
			met, from := f.KeysRead(), time.Now()
			if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
				b.Fatal(err)
			}
			return float64(time.Since(from)) / float64(f.KeysRead()-met)
		})
	}
	for i := range feed {
		for range 10 { // until every batch has been used
			feed[i]()
		}
	}
	for b.Loop() {
		for i := range feed {
			times[i] = append(times[i], feed[i]())
		}
	}
	median := func(values []float64) float64 {
		return figure.SpreadOf(values, func(v float64) float64 { return v }).Median
	}
	b.ReportMetric(median(times[0]), "ns/key")
	for i := 1; i < len(masters); i++ {
		ratios := make([]float64, len(times[0]))
		for pass := range ratios {
			ratios[pass] = times[i][pass] / times[0][pass]
		}
		b.ReportMetric(median(ratios), fmt.Sprintf("x%d", masters[i]))
	}
}
