package source

import (
	"context"
	"fmt"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// BenchmarkRead reads a file from the page cache and does what a reader of dumps does at least, a checksum, with and
// without reading ahead.
func BenchmarkRead(b *testing.B) {
	const size = 64 << 20
	dump := benchDump(size)
	table := crc64.MakeTable(crc64.ISO)
	for _, in := range []struct {
		name  string
		bytes []byte
	}{
		{"plain", dump},
		{"gzip", gzipped(b, dump)},
		{"zstd", zstded(b, dump)},
		{"lz4", lz4ed(b, dump, lz4.BlockSizeOption(lz4.Block4Mb))},
	} {
		path := tempFile(b, in.bytes)
		for _, ahead := range []struct{ chunk, depth int }{{0, 0}, {64 << 10, 4}, {256 << 10, 4}, {1 << 20, 4}} {
			name := fmt.Sprintf("%s/ahead=%dx%dKiB", in.name, ahead.depth, ahead.chunk>>10)
			b.Run(name, func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				buf := make([]byte, 256<<10)
				for b.Loop() {
					benchRead(b, path, ahead.chunk, ahead.depth, buf, table)
				}
			})
		}
	}
}

func benchRead(b *testing.B, path string, chunk, depth int, buf []byte, table *crc64.Table) {
	s, err := Open(context.Background(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer closeOK(b, s)
	var r io.Reader = s
	if depth > 0 {
		a := NewReadAhead(context.Background(), s, chunk, depth)
		defer closeOK(b, a)
		r = a
	}
	var crc uint64
	for {
		n, err := r.Read(buf)
		crc = crc64.Update(crc, table, buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if crc == 0 {
		b.Fatal("nothing was read")
	}
}

// benchDump mixes what compresses with what does not, about two to one.
func benchDump(size int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := append(make([]byte, 0, size), "REDIS0011"...)
	for i := 0; len(b) < size-200; i++ {
		b = fmt.Appendf(b, "user:%d:profile {\"name\": \"somebody\", \"visits\": %d}", i, rnd.IntN(1000))
		for range 5 {
			b = append(b, fmt.Sprintf("%08x", rnd.Uint64())[:8]...)
		}
	}
	return append(b, make([]byte, size-len(b))...)
}
