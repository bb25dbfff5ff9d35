package rdbparse_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestBigOf reads values that are in memory as big ones, more than once.
func TestBigOf(t *testing.T) {
	for name, data := range bigDumps() {
		sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
		values := 0
		for sc.Next() {
			e := sc.Entry()
			if e.Record != rdbparse.RecordKey {
				continue
			}
			values++
			big, v := rdbparse.BigOf(e, 16)
			if !big.Big || big.Value != nil || string(big.Key) != string(e.Key) || big.Type != e.Type {
				t.Errorf("%s: %+v", name, big)
			}
			for range 2 {
				if got, err := copyBig(v, 1<<40); err != nil || !bytes.Equal(got, e.Value) {
					t.Errorf("%s: key %q: %v, %d bytes in place of %d", name, e.Key, err, len(got), len(e.Value))
				}
			}
			if e.Fields != nil { // its size is not that of what stands in the dump
				continue
			}
			if size, err := v.Measure(0); err != nil || int(size) != len(e.Value) || v.Skip() != nil || v.Offset() != size {
				t.Errorf("%s: key %q: %d bytes in place of %d, %v", name, e.Key, size, len(e.Value), err)
			}
			if _, err := v.Measure(int64(len(e.Value)) - 1); len(e.Value) > 1 && !errors.Is(err, rdbparse.ErrTooLong) {
				t.Errorf("%s: key %q: longer than it may be, and %v", name, e.Key, err)
			}
		}
		if sc.Err() != nil || values == 0 {
			t.Errorf("%s: %d values, %v", name, values, sc.Err())
		}
	}
}

// TestUnpacked finds the longest of the compressed parts of a value.
func TestUnpacked(t *testing.T) {
	packed := func(plain ...int) (raw []byte) {
		raw = dataset.AppendLen(nil, uint64(len(plain)+1))
		for _, n := range plain {
			raw = append(dataset.AppendLen(append(raw, 0xc3), 1000), dataset.AppendLen(nil, uint64(n))...)
			raw = append(raw, make([]byte, 1000)...)
		}
		return dataset.AppendString(raw, "not compressed")
	}
	for _, test := range []struct {
		typ  rdbparse.Type
		raw  []byte
		want int64
	}{
		{rdbparse.TypeString, dataset.AppendString(nil, "text"), 0},
		{rdbparse.TypeList, packed(5000, 80_000, 7000), 80_000},
		{rdbparse.TypeString, packed(70_000)[1:1009], 70_000},
		{rdbparse.TypeList, packed(5000)[:20], math.MaxInt64},
		{rdbparse.TypeHashTmplArrayRef, nil, math.MaxInt64},
	} {
		if got := rdbparse.Unpacked(test.typ.Info(), test.raw); got != test.want {
			t.Errorf("%v: %d, want %d", test.typ, got, test.want)
		}
	}
}
