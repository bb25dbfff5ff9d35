package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestFading compares the count of fields that may have expired with the true one:
// never lower, and at most that of twice the time.
func TestFading(t *testing.T) {
	f := fading{began: 1_000_000}
	var all []int64
	for _, after := range []int64{-500, 0, 1, 2, 3, 7, 8, 999, 1000, 1024, 60_000, 1 << 40, 1 << 47} {
		all = append(all, f.began+after)
		f.add(f.began + after)
	}
	for _, at := range []int64{0, 1, 2, 5, 9, 1023, 1024, 59_000, 70_000, 1 << 41} {
		least, most := int64(0), int64(0)
		for _, e := range all {
			if e <= f.began+at {
				least++
			}
			if e <= f.began+2*at {
				most++
			}
		}
		if n := f.most(f.began + at); n < least || n > most {
			t.Errorf("after %d ms: %d, expected %d to %d", at, n, least, most)
		}
	}
}

// TestIncomplete counts the members of a set that was written in pieces, and finds the same
// number twice: too few are those of a damaged set, which holds some of them twice. None at
// all is a key that is gone, evicted or expired.
func TestIncomplete(t *testing.T) {
	var dump bytes.Buffer
	w := dataset.NewWriter(&dump, "REDIS0010")
	w.SelectDB(0)
	w.Key(dataset.TypeSet, []byte("set"), dataset.AppendStrings(nil, [][]byte{make([]byte, 100)}))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sc := rdbparse.NewScanner(&dump, rdbparse.Options{MaxValue: 1})
	if !sc.Next() || !sc.Entry().Big {
		t.Fatal(sc.Err())
	}
	for _, test := range []struct {
		there int64
		last  string // what the last time says
	}{
		{90, "of its 100 elements only 90 differ"},
		{0, "keeps losing parts of it"},
	} {
		b := &bigValue{e: sc.Entry(), v: sc.BigValue(), parts: 100}
		err := b.incomplete(test.there)
		for range mostMismatches {
			if errors.Is(err, errVanished) {
				err = b.incomplete(test.there)
			}
		}
		var source *sourceError
		if !strings.Contains(err.Error(), test.last) || errors.As(err, &source) != (test.there > 0) {
			t.Errorf("%d are there: %v", test.there, err)
		}
	}
}

// TestTooOften expects a value to be given up whose connections break again and
// again, but not one whose master cannot be reached: that has a time limit.
func TestTooOften(t *testing.T) {
	warned := 0
	im := &Importer{opts: Options{Warn: func(string) { warned++ }}}
	b := &bigValue{f: &Feeder{im: im}, im: im, name: []byte("key"), k: &link{}}
	for range 10 * mostBroken {
		if again, err := b.tooOften(io.EOF); !again || err != nil {
			t.Fatalf("without a connection: %v, %v", again, err)
		}
	}
	b.k.c = &connection{}
	for i := 1; ; i++ {
		again, err := b.tooOften(io.EOF)
		if again != (i < mostBroken) || errors.Is(err, ErrNoProgress) == again {
			t.Fatalf("connection %d: %v, %v", i, again, err)
		}
		if !again {
			break
		}
	}
	if warned != 1 {
		t.Errorf("warned %d times", warned)
	}
}

// TestJournal notes temporary keys from several goroutines. The user must be told of them
// in order: what was told last is what a killed import has left.
func TestJournal(t *testing.T) {
	told := 0
	im := &Importer{opts: Options{Temporary: func(all []TemporaryKey) {
		if told++; len(all) != told {
			t.Errorf("%d keys were told of, of %d", len(all), told)
		}
	}}}
	const workers, each = 8, 200
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for i := range each {
				im.noteTemporary(TemporaryKey{Key: fmt.Append(nil, i)})
			}
		})
	}
	work.Wait()
	if told != workers*each {
		t.Errorf("told %d times", told)
	}
}
