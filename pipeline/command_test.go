package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// FuzzReplies reads any bytes as replies: nothing may panic, and one read must
// find the same as many small ones.
func FuzzReplies(f *testing.F) {
	f.Add([]byte("+OK\r\n+OK\r\n-BUSYKEY x\r\n$3\r\nabc\r\n$-1\r\n:12\r\n"), uint8(3))
	f.Add([]byte("$1000000000\r\nabc"), uint8(1))
	f.Add([]byte("+O"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		read := func(n int) string {
			var b strings.Builder
			r := newReplyReader(&steps{data, n})
			for {
				fmt.Fprintf(&b, "ok*%d ", r.oks(1))
				rep, err := r.next()
				if err != nil {
					fmt.Fprintf(&b, "%v", err)
					return b.String()
				}
				fmt.Fprintf(&b, "%c %q %v ", rep.kind, rep.text, rep.null)
			}
		}
		whole := strings.ReplaceAll(strings.ReplaceAll(read(len(data)+1), "ok*1 ", "+ \"OK\" false "), "ok*0 ", "")
		small := strings.ReplaceAll(strings.ReplaceAll(read(int(step)%7+1), "ok*1 ", "+ \"OK\" false "), "ok*0 ", "")
		if whole != small {
			t.Errorf("whole: %s\nsmall: %s", whole, small)
		}
	})
}

// steps gives its bytes a few at a time.
type steps struct {
	data []byte
	n    int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, errors.New("the end")
	}
	n := copy(p, s.data[:min(s.n, len(s.data))])
	s.data = s.data[n:]
	return n, nil
}
