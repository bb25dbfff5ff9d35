package pipeline

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// feedSets are dumps of common keys, small enough to be made for each run.
func feedSets(tb testing.TB) map[string][]byte {
	tb.Helper()
	var mixed, small bytes.Buffer
	if _, err := dataset.Mixed(&mixed, 50_000, 1); err != nil {
		tb.Fatal(err)
	}
	if _, err := dataset.Small(&small, 300_000, 1); err != nil {
		tb.Fatal(err)
	}
	return map[string][]byte{"mixed": mixed.Bytes(), "small": small.Bytes()}
}

// BenchmarkEncoders scans and encodes dumps for sinks with a number of goroutines
// that encode beside the one that scans. With "frame" they do nothing, so that it
// shows what the one that scans can do at most.
func BenchmarkEncoders(b *testing.B) {
	for name, dump := range feedSets(b) {
		for _, masters := range []int{3, 300} {
			for _, encoders := range []string{"frame", "0", "1", "2"} {
				b.Run(fmt.Sprintf("%s/masters=%d/encoders=%s", name, masters, encoders), func(b *testing.B) {
					benchEncoders(b, dump, masters, encoders)
				})
			}
		}
	}
}

func benchEncoders(b *testing.B, dump []byte, masters int, encoders string) {
	n := map[string]int{"frame": 1, "0": -1, "1": 1, "2": 2}[encoders]
	im, stop := newSink(masters, Options{Encoders: n})
	defer stop()
	f := im.NewFeeder()
	feed := f.Feed
	if encoders == "frame" {
		feed = f.frame
	}
	b.SetBytes(int64(len(dump)))
	b.ReportAllocs()
	keys, used := int64(0), figure.ProcessorTime()
	for b.Loop() {
		f.NewSource()
		if err := feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
			b.Fatal(err)
		}
		keys += f.met
	}
	used = figure.ProcessorTime() - used
	b.ReportMetric(float64(used.Nanoseconds())/float64(keys), "cpu-ns/key")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(keys), "ns/key")
	b.ReportMetric(0, "ns/op")
}

// frame scans a dump into chunks, and does nothing with these.
func (f *Feeder) frame(sc *rdbparse.Scanner) error {
	t := f.im.encoders
	if t.free == nil {
		t.build()
	}
	f.met = 0
	c := <-t.free
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			continue
		}
		if !c.fits(entrySize(e)) {
			c.empty()
			t.free <- c
			c = <-t.free
		}
		c.add(e)
		f.met++
	}
	c.empty()
	t.free <- c
	return sc.Err()
}
