package census_test

import (
	"bytes"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
	"github.com/rdbimport/rdbimport/slotter"
)

// BenchmarkRead compares counting with bare scanning, from memory: of many small
// strings, the hardest case, and of ordinary keys.
func BenchmarkRead(b *testing.B) {
	var small, mixed bytes.Buffer
	if _, err := dataset.Small(&small, 1_000_000, 1); err != nil {
		b.Fatal(err)
	}
	if _, err := dataset.Mixed(&mixed, 200_000, 1); err != nil {
		b.Fatal(err)
	}
	plain := census.Options{Now: now, Top: 20}
	slots, prefix := plain, plain
	slots.Slot, prefix.Prefixes = slotter.Slot, 10_000
	for _, set := range []struct {
		name string
		dump []byte
	}{{"small", small.Bytes()}, {"mixed", mixed.Bytes()}} {
		bench := func(name string, read func(*rdbparse.Scanner) error) {
			b.Run(set.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(set.dump)))
				b.ReportAllocs()
				for b.Loop() {
					if err := read(rdbparse.NewScanner(bytes.NewReader(set.dump), rdbparse.Options{MaxValue: 8 << 20})); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		bench("scan", func(sc *rdbparse.Scanner) error {
			for sc.Next() {
			}
			return sc.Err()
		})
		for _, x := range []struct {
			name string
			opts census.Options
		}{{"count", plain}, {"slots", slots}, {"prefix", prefix}} {
			bench(x.name, func(sc *rdbparse.Scanner) error {
				_, err := census.New(x.opts).Read(sc)
				return err
			})
		}
	}
}
