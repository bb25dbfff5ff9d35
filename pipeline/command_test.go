package pipeline

import (
	"errors"
	"fmt"
	"strconv"
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

// TestParseInt reads numbers as strconv does, up to the largest there are: an expiry may
// have 19 digits.
func TestParseInt(t *testing.T) {
	for _, text := range []string{
		"0", "-1", "12", "999999999999999999", "9223372036854775806", "9223372036854775807", "-9223372036854775807",
		"9223372036854775808", "9999999999999999999", "18446744073709551615", "18446744073709551616", "99999999999999999999", "", "-", "+1", "1x", "0x1", " 1",
	} {
		want, err := strconv.ParseInt(strings.Replace(text, "+", "x", 1), 10, 64)
		if n, ok := parseInt([]byte(text)); ok != (err == nil) || ok && n != want {
			t.Errorf("%q: %d %v, want %d %v", text, n, ok, want, err)
		}
	}
}

// TestNested reads arrays within each other, of which a peer can send without end.
func TestNested(t *testing.T) {
	for _, test := range []struct {
		reply string
		ok    bool
	}{
		{":1\r\n", true}, {"*2\r\n*1\r\n$1\r\nx\r\n*0\r\n", true}, {strings.Repeat("*1\r\n", mostNested) + ":1\r\n", true},
		{strings.Repeat("*1\r\n", mostNested+1) + ":1\r\n", false}, {strings.Repeat("*1\r\n", 1<<20), false},
	} {
		w := wire{replies: newReplyReader(strings.NewReader(test.reply))}
		if err := w.skip(); (err == nil) != test.ok || err != nil && !errors.Is(err, errProtocol) {
			t.Errorf("%.50q: %v", test.reply, err)
		}
	}
}
