package pipeline_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter"
)

// TestBigWhole brings a module's value, a vector set of Redis 8.0, over as one
// streamed RESTORE: from a file and through a pipe. Then it is compared with the
// reply to DUMP; servers without the module, and with a limit that is
// too low, refuse it.
func TestBigWhole(t *testing.T) {
	from := matrixServerNamed(t, "redis-8.0")
	src := from.run(t, true).Nodes()[0]
	for i := range 3000 {
		args := []any{"VADD", "vectors", "VALUES", 16}
		for j := range 16 {
			args = append(args, (i*31+j*17)%101)
		}
		must(t, src, append(args, fmt.Sprintf("element-%d", i))...)
	}
	dump := save(t, src, false)
	opts := all(pipeline.ConflictFail)
	opts.BigValue = 1000

	lc := from.run(t, true)
	c, to := connect(t, lc.URL()), lc.Nodes()[0]
	for i := range 3 {
		res, err := bigImports(t, c, dump, opts)
		noError(t, err)
		if i == 0 && res.Restored != 1 || i > 0 && res.Existing != 1 || res.Big != 1 {
			t.Errorf("import %d: %+v", i, res)
		}
	}
	compareDumped(t, to.Client(), "vectors", valuesIn(t, dump)["vectors"])
	must(t, to, "VADD", "vectors", "VALUES", 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, "one more")
	if _, err := bigImports(t, c, dump, opts); err == nil || !strings.Contains(err.Error(), `"vectors" exists`) {
		t.Errorf("another value is there: %v", err)
	}
	must(t, to, "FLUSHALL")
	if res := pipeImports(t, c, dump, opts); res.Restored != 1 {
		t.Errorf("through a pipe: %+v", res)
	}

	must(t, to, "FLUSHALL")
	must(t, to, "CONFIG", "SET", "proto-max-bulk-len", "1mb")
	for i := range 6000 {
		args := []any{"VADD", "vectors", "VALUES", 16}
		for j := range 16 {
			args = append(args, (i*37+j*19)%103)
		}
		must(t, src, append(args, fmt.Sprintf("more-%d", i))...)
	}
	if dump = save(t, src, false); len(dump) < 1<<20 {
		t.Fatalf("a dump of %d bytes", len(dump))
	}
	without := matrixServerNamed(t, "redis-7.0").run(t, true)
	for _, r := range []struct {
		url, reason string
	}{{lc.URL(), "larger than one command may be on the target (1 MB)"}, {without.URL(), "Bad data format"}} {
		res, err := bigImports(t, connect(t, r.url), dump, opts)
		noError(t, err)
		if res.Failed != 1 || len(res.Errors) != 1 || !strings.Contains(res.Errors[0].Reason, r.reason) {
			t.Errorf("%+v, expected %q", res, r.reason)
		}
	}
}

// pipeImports imports a dump from a source that can be read once only.
func pipeImports(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options) pipeline.Result {
	t.Helper()
	im, err := pipeline.New(t.Context(), c, opts)
	noError(t, err)
	sc := rdbparse.NewScanner(iotest.HalfReader(bytes.NewReader(dump)), rdbparse.Options{
		MaxValue: opts.HeldValue(), Spool: func() (rdbparse.Spool, error) { return source.NewKeep(t.TempDir()) },
	})
	noError(t, im.NewFeeder().Feed(sc))
	noError(t, sc.Close())
	res, err := im.Close()
	noError(t, err)
	return res
}
