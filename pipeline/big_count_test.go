package pipeline

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
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
