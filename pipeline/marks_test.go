package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/redis/go-redis/v9"
)

// stopReader stops an import once so many bytes have been read through it.
type stopReader struct {
	r    io.Reader
	stop func()
	left int
}

func (s *stopReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 64<<10)])
	if s.left -= n; s.left < 0 {
		s.stop()
	}
	return n, err
}

// TestMarks stops an import again and again. Each time every key before the mark
// must be on the target; and the next run goes on from there, by turns at the
// position itself and by passing over what stands before it. So it is with values
// that go in batches, whoever renders them, and with those that carriers have.
func TestMarks(t *testing.T) {
	lc := start(t, localcluster.Options{})
	for _, encoders := range []int{-1, 4} {
		t.Run(fmt.Sprintf("%d encoders", encoders), func(t *testing.T) {
			t.Run("batches", func(t *testing.T) { testMarks(t, lc, 20000, pipeline.Options{Encoders: encoders}, false) })
			t.Run("carriers", func(t *testing.T) { testMarks(t, lc, 8000, pipeline.Options{Encoders: encoders, BigValue: 64}, false) })
		})
	}
}

// TestMarksKilled does so with imports that end at once, of which nothing is known but
// the mark that was there before.
func TestMarksKilled(t *testing.T) {
	lc := start(t, localcluster.Options{})
	for _, encoders := range []int{-1, 1, 4} {
		t.Run(fmt.Sprintf("%d encoders", encoders), func(t *testing.T) {
			testMarks(t, lc, 20000, pipeline.Options{Encoders: encoders, Memory: 2 << 20}, true)
		})
	}
}

func testMarks(t *testing.T, lc *localcluster.Cluster, keys int, opts pipeline.Options, kill bool) {
	var buf bytes.Buffer
	if _, err := dataset.Mixed(&buf, keys, 7); err != nil {
		t.Fatal(err)
	}
	dump := buf.Bytes()
	flush(t, lc)
	c := connect(t, lc.URL())
	big := opts.BigValue > 0
	opts.Databases.Only, opts.Marks = pipeline.AllDatabases, true
	scan := rdbparse.Options{Again: bytes.NewReader(dump)}
	if big {
		scan.MaxValue = opts.HeldValue()
	}
	var from pipeline.Mark
	known := false
	for run := 0; ; run++ {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		im, err := pipeline.New(ctx, c, opts)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		if known && run%2 == 1 {
			at = from.Offset
		}
		var m pipeline.Mark // when it stops
		var ok bool
		stop := im.Stop
		if kill {
			stop = func() {
				if ctx.Err() == nil {
					m, ok = im.Settled()
					cancel()
				}
			}
		}
		// A mark may not move in one life, so the next is longer.
		r := &stopReader{bytes.NewReader(dump[at:]), stop, int(from.Offset-at) + len(dump)/6 + run*len(dump)/30}
		sc := rdbparse.NewScanner(r, scan)
		if at > 0 {
			if sc, err = rdbparse.ResumeScanner(r, from.Position, scan); err != nil {
				t.Fatal(err)
			}
		}
		f := im.NewFeeder()
		if known {
			f.SkipTo(from)
		}
		ferr := f.Feed(sc)
		if ferr != nil && !errors.Is(ferr, pipeline.ErrStopped) && !errors.Is(ferr, context.Canceled) {
			t.Fatal(ferr)
		}
		res, err := im.Close()
		if err != nil && !errors.Is(err, pipeline.ErrStopped) && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if (res.Big > 0) != big {
			t.Errorf("%d large values", res.Big)
		}
		if ferr == nil && err == nil {
			if run < 3 {
				t.Errorf("the dump was read to its end in run %d", run)
			}
			break
		}
		if !kill {
			m, ok = im.Settled()
			// What encoders have not come to is left, which may be all.
			if opts.Encoders < 0 && (!ok || m.Offset <= from.Offset && known) || m.Offset < from.Offset {
				t.Fatalf("run %d: settled up to %+v %v, before %+v", run, m, ok, from)
			}
		}
		if ok {
			from, known = m, true
			checkBelow(t, c, dump, m)
		}
	}
	t.Logf("the last run went on at %d of %d bytes", from.Offset, len(dump))
	opts.Marks = false
	res, err := bigImports(t, c, dump, opts)
	if err != nil || res.Restored != 0 || res.Existing != int64(keys) {
		t.Errorf("afterwards: %v, %+v", err, res)
	}
}

// checkBelow expects all keys of a dump that stand before m to exist.
func checkBelow(t *testing.T, c *slotter.Cluster, dump []byte, m pipeline.Mark) {
	t.Helper()
	sm, err := c.Map(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pipes := make([]redis.Pipeliner, len(sm.Masters))
	for i, n := range sm.Masters {
		pipes[i] = c.Client(n.Addr).Pipeline()
	}
	n := int64(0)
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for sc.Next() && sc.Entry().Offset < m.Offset {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			pipes[sm.Owner(slotter.Slot(e.Key))].Exists(t.Context(), string(e.Key))
			n++
		}
	}
	if n != m.Keys {
		t.Errorf("%d keys stand before %d, the mark says %d", n, m.Offset, m.Keys)
	}
	for _, p := range pipes {
		cmds, err := p.Exec(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, cmd := range cmds {
			if cmd.(*redis.IntCmd).Val() != 1 {
				t.Fatalf("a key before the mark %d is missing: %v", m.Offset, cmd.Args())
			}
		}
	}
}
