package pipeline

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// BenchmarkRestore renders the command for a string with an expiry.
func BenchmarkRestore(b *testing.B) {
	for _, size := range []int{10, 40, 100, 300, 1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: []byte("key:00001234"),
				Value: bytes.Repeat([]byte{'v'}, size), Idle: -1, Freq: -1}
			f := form{dialect: dialect{absolute: true}}
			buf := make([]byte, f.room(e))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				f.putRestore(buf, e, 1_900_000_000_000)
			}
		})
	}
}

// BenchmarkReplies matches replies to the commands of a batch.
func BenchmarkReplies(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 5000} {
		for name, odd := range map[string]int{"ok": 0, "one in 10 exists": 10} {
			var text strings.Builder
			for i := range n {
				if odd > 0 && i%odd == 0 {
					text.WriteString("-BUSYKEY Target key name already exists.\r\n")
				} else {
					text.WriteString("+OK\r\n")
				}
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				im, stop := newSink(1, Options{Conflict: ConflictSkip})
				defer stop()
				l, src := im.lanes[0], strings.NewReader("")
				r := newReplyReader(src)
				bt := &batch{cmds: make([]command, n)}
				b.SetBytes(int64(text.Len()))
				b.ReportAllocs()
				for b.Loop() {
					src.Reset(text.String())
					bt.open = n
					var t tally
					if err := l.readReplies(r, bt, &t); err != nil || bt.open != 0 {
						b.Fatal(err, bt.open)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/reply")
			})
		}
	}
}
