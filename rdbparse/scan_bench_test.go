package rdbparse_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// ladder are the sizes of values, in bytes, that benchmarks climb.
var ladder = []int{10, 40, 100, 300, 1 << 10, 16 << 10, 256 << 10, 4 << 20}

// strings32 is a dump of strings of one size, of 32 MB or a million keys,
// whichever is less.
func strings32(size int) (d []byte, keys int) {
	keys = min(1_000_000, 32<<20/(size+20))
	body := make([]byte, 0, keys*(size+20))
	value := strings.Repeat("v", size)
	for i := range keys {
		body = append(body, 0)
		body = append(body, cat(fmt.Sprintf("key:%08d", i))...)
		switch {
		case size < 64:
			body = append(body, byte(size))
		case size < 16384:
			body = append(body, 0x40|byte(size>>8), byte(size))
		default:
			body = binary.BigEndian.AppendUint32(append(body, 0x80), uint32(size))
		}
		body = append(body, value...)
	}
	return dump("REDIS0011", body), keys
}

// BenchmarkScan scans strings of one size, from memory, and checks their sum.
func BenchmarkScan(b *testing.B) {
	for _, size := range ladder {
		d, keys := strings32(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(d)))
			b.ReportAllocs()
			for b.Loop() {
				sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{})
				for sc.Next() {
				}
				if sc.Err() != nil {
					b.Fatal(sc.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/key")
		})
	}
}

// BenchmarkElements scans collections of short elements, where the cost is that
// of each element.
func BenchmarkElements(b *testing.B) {
	elements := map[string]struct {
		typ  rdbparse.Type
		elem []byte
	}{
		"set":  {rdbparse.TypeSet, cat("member:1234")},
		"hash": {rdbparse.TypeHash, cat("field:1234", "value:1234")},
		"zset": {rdbparse.TypeZSet2, cat("member:1234", zeros(8))},
	}
	for name, e := range elements {
		const n, keys = 1000, 200
		value := append(binary.BigEndian.AppendUint32([]byte{0x80}, n), bytes.Repeat(e.elem, n)...)
		d := dump("REDIS0011", bytes.Repeat(cat(int(e.typ.Byte()), "key", value), keys))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(d)))
			for b.Loop() {
				sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{})
				for sc.Next() {
				}
				if sc.Err() != nil {
					b.Fatal(sc.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*keys), "ns/element")
		})
	}
}

// BenchmarkPayload builds the payload of a string.
func BenchmarkPayload(b *testing.B) {
	for _, size := range ladder {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Value: bytes.Repeat([]byte{'v'}, size)}
			buf := make([]byte, 0, rdbparse.PayloadSize(e))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				buf = rdbparse.AppendPayload(buf[:0], e)
			}
		})
	}
}
