package element_test

import (
	"fmt"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// benchValues are two values as they are in practice: a large sorted set, and a
// small packed hash.
func benchValues() map[string]element.Value {
	const n = 100000
	zset := length(n)
	for i := range n {
		zset = join2(zset, str(fmt.Sprint("member:", i)), f64(float64(i)/3))
	}
	var fields []item
	for i := range 64 {
		fields = append(fields, text(fmt.Sprint("field", i)), number(int64(i*i)))
	}
	return map[string]element.Value{
		"zset":     value(rdbparse.TypeZSet2, zset),
		"listpack": value(rdbparse.TypeHashListpack, str(listpack(fields...))),
		"stream":   value(rdbparse.TypeStreamListpacks3, stream(rdbparse.TypeStreamListpacks3)),
	}
}

func BenchmarkRead(b *testing.B) {
	for name, v := range benchValues() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(v.Raw)))
			b.ReportAllocs()
			r := element.Open(v)
			for b.Loop() {
				for r.Reset(v); r.Next(); {
				}
			}
		})
	}
}

func BenchmarkEqual(b *testing.B) {
	for name, v := range benchValues() {
		other := reencoded(v)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(v.Raw)))
			b.ReportAllocs()
			for b.Loop() {
				if same, err := element.Equal(v, other); err != nil || !same {
					b.Fatal(same, err)
				}
			}
		})
	}
}

func BenchmarkFindBackLengths(b *testing.B) {
	for name, v := range benchValues() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := element.FindBackLengths(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
