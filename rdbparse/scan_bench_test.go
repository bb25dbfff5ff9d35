package rdbparse_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// BenchmarkFile scans the dump that RDBIMPORT_BENCH_FILE names, from memory.
func BenchmarkFile(b *testing.B) {
	data, err := os.ReadFile(os.Getenv("RDBIMPORT_BENCH_FILE"))
	if err != nil {
		b.Skip("RDBIMPORT_BENCH_FILE names no dump")
	}
	for name, opts := range map[string]rdbparse.Options{"sum": {}, "nosum": {SkipChecksum: true}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			keys := 0
			for b.Loop() {
				sc := rdbparse.NewScanner(bytes.NewReader(data), opts)
				for sc.Next() {
					keys++
				}
				if sc.Err() != nil {
					b.Fatal(sc.Err())
				}
			}
			b.ReportMetric(float64(keys)/b.Elapsed().Seconds()/1e6, "Mkeys/s")
		})
	}
}
