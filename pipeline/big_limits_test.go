package pipeline_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// heap returns how many bytes are on the heap, garbage included.
func heap() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// peakHeap watches the heap until the function is called, which returns by how
// much it has grown at the most.
func peakHeap() (end func() int64) {
	runtime.GC()
	before, peak := heap(), int64(0)
	quit := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		t := time.NewTicker(2 * time.Millisecond)
		defer t.Stop()
		for {
			peak = max(peak, heap()-before)
			select {
			case <-t.C:
			case <-quit:
				return
			}
		}
	})
	return func() int64 {
		close(quit)
		watch.Wait()
		return peak
	}
}

// writeLarge writes a dump of a hash, a list and a sorted set of about so many
// bytes in all, without holding any of it.
func writeLarge(out io.Writer, size int) error {
	w := dataset.NewWriter(out, "REDIS0010")
	w.SelectDB(0)
	block := []byte(noise(1, 16<<10))
	var buf []byte
	each := func(typ dataset.Type, key string, n int, element func(dst []byte, i int) []byte) {
		w.Begin(typ, []byte(key))
		buf = dataset.AppendLen(buf[:0], uint64(n))
		for i := range n {
			buf = element(buf, i)
			if len(buf) > 64<<10 || i == n-1 {
				_, _ = w.Write(buf) // Close has the error
				buf = buf[:0]
			}
		}
	}
	each(dataset.TypeHash, "hash", size/4/1024, func(dst []byte, i int) []byte {
		return dataset.AppendRawString(dataset.AppendRawString(dst, fmt.Appendf(nil, "field%08d", i)), block[i%4096:][:1000])
	})
	each(dataset.TypeList, "list", size*23/32/8192, func(dst []byte, i int) []byte { return dataset.AppendRawString(dst, block[i%4096:][:8192]) })
	each(dataset.TypeZset2, "zset", size/32/30, func(dst []byte, i int) []byte {
		dst = dataset.AppendRawString(dst, fmt.Appendf(nil, "member number %07d", i))
		return append(dst, byte(i), byte(i>>8), byte(i>>16), 0, 0, 0, 0xf0, 0x3f)
	})
	return w.Close()
}

// TestBigMemory imports a dump of 1 GB as a stream that can be read only once: its
// values never are in memory.
func TestBigMemory(t *testing.T) {
	const size, slack = 1 << 30, 32 << 20
	lc := start(t, localcluster.Options{Standalone: true})
	opts := all(pipeline.ConflictFail)
	opts.Memory = 16 << 20
	im, err := pipeline.New(t.Context(), connect(t, lc.URL()), opts)
	noError(t, err)
	r, w := io.Pipe()
	var work sync.WaitGroup
	work.Go(func() { _ = w.CloseWithError(writeLarge(w, size)) })
	dir := t.TempDir()
	end := peakHeap()
	sc := rdbparse.NewScanner(r, rdbparse.Options{MaxValue: opts.HeldValue(), Spool: func() (rdbparse.Spool, error) { return source.NewKeep(dir) }})
	ferr := im.NewFeeder().Feed(sc)
	noError(t, sc.Close())
	_ = r.Close()
	work.Wait()
	res, err := im.Close()
	peak := end()
	if ferr != nil || err != nil || res.Restored != 3 || res.Big != 3 || res.Bytes < size*9/10 {
		t.Errorf("%v, %v, %+v", ferr, err, res)
	}
	t.Logf("%d MB in %v, %d MB of heap at the most", res.Bytes>>20, res.Duration.Round(time.Millisecond), peak>>20)
	if peak > opts.Memory+slack {
		t.Errorf("the heap has grown by %d MB, with a budget of %d MB", peak>>20, opts.Memory>>20)
	}
	noTemporary(t, lc)
}

// shortText is one of many texts of 4 to 16 bytes.
func shortText(i int) []byte {
	text := fmt.Appendf(nil, "%x", i+4096)
	return append(text, "abcdefgh"[:i%9]...)
}

// slowDump is a dump of one value of each kind with so many elements: those of the
// stream are a sixth, the strings are of 100 bytes for each of them.
func slowDump(t *testing.T, n int, kinds ...string) []byte {
	t.Helper()
	texts := func(n int) (all [][]byte) {
		for i := range n {
			all = append(all, shortText(i))
		}
		return all
	}
	value := map[string]func() (dataset.Type, []byte){
		"zset": func() (dataset.Type, []byte) {
			var m []dataset.Member
			for i := range n {
				m = append(m, dataset.Member{Name: shortText(i), Score: float64(i*7919%n) / 3})
			}
			return dataset.TypeZset2, dataset.AppendZset2(nil, m)
		},
		"hash": func() (dataset.Type, []byte) {
			var pairs [][]byte
			for i := range n {
				pairs = append(pairs, shortText(i), shortText(i/2))
			}
			return dataset.TypeHash, dataset.AppendHash(nil, pairs)
		},
		"set":  func() (dataset.Type, []byte) { return dataset.TypeSet, dataset.AppendStrings(nil, texts(n)) },
		"list": func() (dataset.Type, []byte) { return dataset.TypeList, dataset.AppendStrings(nil, texts(n)) },
		"ints": func() (dataset.Type, []byte) { // the most elements a byte
			value := dataset.AppendLen(nil, uint64(n))
			for i := range n {
				value = dataset.AppendIntString(value, int32(i+1<<20))
			}
			return dataset.TypeSet, value
		},
		"stream": func() (dataset.Type, []byte) {
			return dataset.TypeStream2, dataset.AppendStream(nil, dataset.TypeStream2, manyEntries(n/6))
		},
		"string": func() (dataset.Type, []byte) {
			return dataset.TypeString, dataset.AppendRawString(nil, noise(1, 100*n))
		},
		"compressed": func() (dataset.Type, []byte) {
			return dataset.TypeString, dataset.AppendLZFString(nil, bytes.Repeat([]byte("what compresses well, "), 100*n/66))
		},
	}
	if len(kinds) == 0 {
		kinds = slices.Sorted(maps.Keys(value))
	}
	return written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		for _, kind := range kinds {
			typ, v := value[kind]()
			w.Key(typ, []byte(kind), v)
		}
	})
}

// slowest imports a dump with the default settings, and returns how long the
// slowest command of each kind kept the server, by its own measure.
func slowest(t *testing.T, lc *localcluster.Cluster, dump []byte) map[string]time.Duration {
	t.Helper()
	n := lc.Nodes()[0]
	must(t, n, "CONFIG", "SET", "slowlog-log-slower-than", 1000)
	must(t, n, "CONFIG", "SET", "slowlog-max-len", 10_000)
	must(t, n, "SLOWLOG", "RESET")
	res, err := bigImports(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail))
	if err != nil || res.Restored != res.Read {
		t.Fatalf("%v, %+v", err, res)
	}
	logs, err := n.Client().SlowLogGet(t.Context(), 10_000).Result()
	noError(t, err)
	worst := map[string]time.Duration{}
	for _, l := range logs {
		name := strings.ToUpper(l.Args[0])
		if len(l.Args) > 1 && name == "RESTORE" {
			name += " " + l.Args[1]
		}
		worst[name] = max(worst[name], l.Duration)
	}
	return worst
}

// TestBigSlowLog imports values of each kind, of a size at which they are written
// in pieces and of one at which they just are not: no command keeps the server
// busy for longer than it may. The best of three tries counts, because a machine
// that does other things as well takes longer.
func TestBigSlowLog(t *testing.T) {
	const limit = 250 * time.Millisecond
	lc := start(t, localcluster.Options{Standalone: true})
	for _, n := range []int{45_000, 200_000} {
		dump := slowDump(t, n)
		var worst time.Duration
		for range 3 {
			flush(t, lc)
			all := slowest(t, lc, dump)
			names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Compare(all[b], all[a]) })
			worst = 0
			for i, name := range names {
				worst = max(worst, all[name])
				if i < 10 {
					t.Logf("%d elements: %-20s %v", n, name, all[name])
				}
			}
			if worst <= limit {
				break
			}
		}
		if worst > limit {
			t.Errorf("%d elements: a command took %v", n, worst)
		}
	}
}
