package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
)

// TestVerifyFieldsExpire compares hashes, and imports them, again and again while one
// field after another expires: whichever side still has it, that is no difference.
func TestVerifyFieldsExpire(t *testing.T) {
	t.Parallel()
	s := matrixServerNamed(t, "redis-8.0")
	lc := s.run(t, true)
	c := connect(t, lc.URL())
	const keys, lasts = 20000, 4 * time.Second
	from := time.Now().Add(3 * time.Second).UnixMilli()
	dump := written(t, "REDIS0012", func(w *dataset.Writer) {
		w.SelectDB(0)
		for i := range keys {
			at := from + int64(i)*lasts.Milliseconds()/keys
			w.Key(dataset.TypeHashMetadata, fmt.Appendf(nil, "key:%d", i), dataset.AppendHashMetadata(nil, []dataset.Field{
				{Name: []byte("stays"), Value: []byte("v")}, {Name: []byte("goes"), Value: []byte("v"), ExpireMs: at},
			}))
		}
	})
	if res, err := imports(t, c, dump, all(pipeline.ConflictFail)); err != nil || res.Restored != keys {
		t.Fatalf("%v, %+v", err, res)
	}
	n := 0
	for ; time.Now().UnixMilli() < from+lasts.Milliseconds(); n++ {
		if res, found := verifies(t, c, dump, verifyOpts()); res.Same != keys {
			for _, d := range found {
				t.Fatalf("%d of %d keys, for example %s", len(found), keys, d.What)
			}
		}
		if res, err := imports(t, c, dump, all(pipeline.ConflictFail)); err != nil || res.Existing != keys {
			t.Fatalf("%v, %+v", err, res)
		}
	}
	t.Logf("compared %d times", n)
}
