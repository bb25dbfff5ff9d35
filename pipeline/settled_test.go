package pipeline

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestWaitSettledFailed expects a source whose last key has stopped the import not to be
// taken for one that is finished, though nothing of it is in flight any more.
func TestWaitSettledFailed(t *testing.T) {
	var dump bytes.Buffer
	w := dataset.NewWriter(&dump, "REDIS0009")
	w.Key(dataset.TypeString, []byte("key"), dataset.AppendString(nil, "value"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	conflict := &ConflictError{Key: []byte("key")}
	im, stop := newSinkTo(3, Options{Databases: Databases{Only: AllDatabases}, Marks: true}, func(l *lane) {
		l.swallowBy(func(b *batch) { // as where a key exists with another value
			l.im.marks.keepBelow(b.cmds[0].offset)
			l.im.fail(conflict)
			l.im.put(b)
		})
	})
	defer stop()
	f := im.NewFeeder()
	if err := f.Feed(rdbparse.NewScanner(bytes.NewReader(dump.Bytes()), rdbparse.Options{})); err != nil {
		t.Fatal(err)
	}
	im.drain()
	if err := f.WaitSettled(); !errors.Is(err, conflict) {
		t.Errorf("the source counts as finished: %v", err)
	}
}
