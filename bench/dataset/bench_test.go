package dataset

import (
	"io"
	"testing"
)

// BenchmarkSets measures how fast each set is made, which bounds what can be measured by piping one into an import.
func BenchmarkSets(b *testing.B) {
	sets := []struct {
		name  string
		write func(io.Writer) (Stats, error)
	}{
		{"mixed", func(w io.Writer) (Stats, error) { return Mixed(w, 100_000, 1) }},
		{"small", func(w io.Writer) (Stats, error) { return Small(w, 1_000_000, 1) }},
		{"strings", func(w io.Writer) (Stats, error) { return BigStrings(w, 64, 1) }},
		{"collections", func(w io.Writer) (Stats, error) { return BigCollections(w, 1, 100_000, 1) }},
		{"huge-zset", func(w io.Writer) (Stats, error) { return Huge(w, HugeSizes{ZsetMembers: 1_000_000}, 1) }},
		{"huge-hash", func(w io.Writer) (Stats, error) { return Huge(w, HugeSizes{HashFields: 500_000}, 1) }},
	}
	for _, s := range sets {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				stats, err := s.write(io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(stats.Bytes)
			}
		})
	}
}
