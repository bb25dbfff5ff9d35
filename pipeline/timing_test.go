package pipeline_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestTimed has an import tell how long its batches took: no longer than the
// whole, and as many as the bytes need.
func TestTimed(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	c := connect(t, lc.URL())
	var dump bytes.Buffer
	if _, err := dataset.Mixed(&dump, 20000, 1); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	byAddr := make(map[string][]time.Duration)
	opts := all(pipeline.ConflictFail)
	opts.Timed = func(addr string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		byAddr[addr] = append(byAddr[addr], took)
	}
	from := time.Now()
	res, err := imports(t, c, dump.Bytes(), opts)
	whole := time.Since(from)
	if err != nil {
		t.Fatal(err)
	}
	list := byAddr[lc.Addrs()[0]]
	if len(byAddr) != 1 || int64(len(list)) < res.Bytes>>18 {
		t.Fatalf("%d masters, %d batches for %d bytes", len(byAddr), len(list), res.Bytes)
	}
	for _, took := range list {
		if took <= 0 || took > whole {
			t.Errorf("a batch took %v, all %v", took, whole)
		}
	}
}

// TestAppendCommandAllocations expects none where there is room.
func TestAppendCommandAllocations(t *testing.T) {
	e := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: []byte("key"), Value: []byte("\x05value"), Idle: 70, Freq: -1, Expires: true, ExpireAt: -5}
	buf := pipeline.AppendCommand(nil, e)
	if want := "*6\r\n$7\r\nRESTORE\r\n$3\r\nkey\r\n$1\r\n0\r\n$17\r\n"; !bytes.HasPrefix(buf, []byte(want)) {
		t.Errorf("%q does not begin with %q", buf, want)
	}
	if n := testing.AllocsPerRun(100, func() { buf = pipeline.AppendCommand(buf[:0], e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
