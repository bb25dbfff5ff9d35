package pipeline_test

import (
	"bytes"
	"errors"
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
	im   *pipeline.Importer
	left int
}

func (s *stopReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 64<<10)])
	if s.left -= n; s.left < 0 {
		s.im.Stop()
	}
	return n, err
}

// TestMarks stops an import again and again. Each time every key before the mark
// must be on the target; and the next run goes on from there, by turns at the
// position itself and by passing over what stands before it. So it is with values
// that go in batches, and with those that carriers have.
func TestMarks(t *testing.T) {
	t.Run("batches", func(t *testing.T) { testMarks(t, 20000, 0) })
	t.Run("carriers", func(t *testing.T) { testMarks(t, 8000, 64) })
}

func testMarks(t *testing.T, keys int, big int64) {
	var buf bytes.Buffer
	if _, err := dataset.Mixed(&buf, keys, 7); err != nil {
		t.Fatal(err)
	}
	dump := buf.Bytes()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	opts := all(pipeline.ConflictFail)
	opts.Marks, opts.BigValue = true, big
	scan := rdbparse.Options{Again: bytes.NewReader(dump)}
	if big > 0 {
		scan.MaxValue = opts.HeldValue()
	}
	var from pipeline.Mark
	known := false
	for run := 0; ; run++ {
		im, err := pipeline.New(t.Context(), c, opts)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		if known && run%2 == 1 {
			at = from.Offset
		}
		r := &stopReader{bytes.NewReader(dump[at:]), im, int(from.Offset-at) + len(dump)/6}
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
		if ferr != nil && !errors.Is(ferr, pipeline.ErrStopped) {
			t.Fatal(ferr)
		}
		res, err := im.Close()
		if err != nil && !errors.Is(err, pipeline.ErrStopped) {
			t.Fatal(err)
		}
		if (res.Big > 0) != (big > 0) {
			t.Errorf("%d large values", res.Big)
		}
		if ferr == nil {
			if run < 4 {
				t.Errorf("the dump was read to its end in run %d", run)
			}
			break
		}
		m, ok := im.Settled()
		if !ok || m.Offset <= from.Offset && known {
			t.Fatalf("run %d: settled up to %+v %v, before %+v", run, m, ok, from)
		}
		from, known = m, true
		checkBelow(t, c, dump, m)
	}
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
