package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rdbimport/rdbimport/pipeline"
)

// testScreen is that of an import with so many masters, all well.
func testScreen(masters int) *screen {
	s := &screen{
		phase: "import", done: 118_000_000, total: 283_000_000, keys: 411_204, bytesRate: 68.9e6, keysRate: 243_300,
		elapsed: 2 * time.Second, left: 3 * time.Second, leftKnown: true,
	}
	for i := range masters {
		m := pipeline.MasterResult{
			Addr: fmt.Sprintf("10.0.0.%d:7001", i+1), Keys: int64(100_000 + i), Bytes: int64(1000 * i), InFlight: int64(300 + i), State: pipeline.MasterOK,
		}
		s.masters = append(s.masters, screenMaster{MasterResult: m, bytesRate: 1.5e6, keysRate: 4_900, rank: masters - 1 - i})
	}
	return s
}

func TestScreen(t *testing.T) {
	s := testScreen(3)
	s.masters[1].State, s.masters[1].For, s.masters[1].Retries = pipeline.MasterSilent, 7*time.Second, 2
	for _, tc := range []struct {
		width, height int
		want          string
	}{
		{80, 24, `
import  41 % [======================>                               ] 0:03 left
  68.9 MB/s   243k keys/s      411,204 keys   118 MB of 283 MB
master         keys/s    MB/s  in flight  retries  state
10.0.0.1:7001    4.9k     1.5        300        0  ok
10.0.0.2:7001    4.9k     1.5        301        2  silent 0:07
10.0.0.3:7001    4.9k     1.5        302        0  ok
`},
		{120, 40, `
import  41 % [=======================================>                                                      ] 0:03 left
  68.9 MB/s   243k keys/s      411,204 keys   118 MB of 283 MB
master                keys  keys/s    MB/s  in flight  retries  state
10.0.0.1:7001      100,000    4.9k     1.5        300        0  ok
10.0.0.2:7001      100,001    4.9k     1.5        301        2  silent 0:07
10.0.0.3:7001      100,002    4.9k     1.5        302        0  ok
`},
		{40, 12, `
import  41 % [=====>        ] 0:03 left
  68.9 MB/s   243k keys/s      411,20..
master         keys/s  state
10.0.0.1:7001    4.9k  ok
10.0.0.2:7001    4.9k  silent 0:07
10.0.0.3:7001    4.9k  ok
`},
		{80, 6, `
import  41 % [======================>                               ] 0:03 left
  68.9 MB/s   243k keys/s      411,204 keys   118 MB of 283 MB
master         keys/s    MB/s  in flight  retries  state
10.0.0.2:7001    4.9k     1.5        301        2  silent 0:07
and 2 more, all well: 9.8k keys/s, 3.0 MB/s
`},
		{80, 4, `
import  41 % [======================>                               ] 0:03 left
  68.9 MB/s   243k keys/s      411,204 keys   118 MB of 283 MB
3 masters, 1 in trouble: 15k keys/s, 4.5 MB/s
`},
		{20, 2, "\nimport  41 % 0:03..\n"},
	} {
		got := "\n" + strings.Join(s.lines(tc.width, tc.height), "\n") + "\n"
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%dx%d (-want +got):\n%s", tc.width, tc.height, diff)
		}
	}
}

// TestScreenOfMany: of 50 masters those in trouble come first, the worst and the
// longest before the others, and then the busiest.
func TestScreenWaits(t *testing.T) {
	s := screen{phase: "import", elapsed: 5 * time.Second}
	if got, want := s.lines(80, 24)[0], "import  waiting for the first byte, 0:05"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.done = 10
	if got, want := s.lines(80, 24)[0], "import  10 B in 0:05"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestScreenOfMany(t *testing.T) {
	s := testScreen(50)
	for at, state := range map[int]pipeline.MasterState{3: pipeline.MasterWaiting, 20: pipeline.MasterFailingOver, 30: pipeline.MasterSilent, 40: pipeline.MasterSilent} {
		s.masters[at].State, s.masters[at].For = state, time.Duration(at)*time.Second
	}
	got := s.lines(80, 24)
	if len(got) != 23 {
		t.Errorf("%d lines of 24", len(got))
	}
	var order []string
	for _, line := range got[3 : len(got)-1] {
		order = append(order, strings.Fields(line)[0])
	}
	want := []string{"10.0.0.21:7001", "10.0.0.41:7001", "10.0.0.31:7001", "10.0.0.4:7001", "10.0.0.50:7001", "10.0.0.49:7001", "10.0.0.48:7001"}
	if diff := cmp.Diff(want, order[:len(want)]); diff != "" {
		t.Errorf("first rows (-want +got):\n%s", diff)
	}
	if last := got[len(got)-1]; last != "and 31 more, all well: 152k keys/s, 46.5 MB/s" {
		t.Errorf("last line %q", last)
	}
	for i := range s.masters {
		s.masters[i].State = pipeline.MasterLoading
	}
	got = s.lines(80, 24)
	if last := got[len(got)-1]; !strings.HasPrefix(last, "and 31 more, 31 in trouble") {
		t.Errorf("last line %q", last)
	}
}

// TestScreenLow: where there is no room for a row the masters have one line.
func TestScreenLow(t *testing.T) {
	for masters, want := range map[int]string{1: "1 master, all well: 4.9k keys/s, 1.5 MB/s", 2: "2 masters, all well: 9.8k keys/s, 3.0 MB/s"} {
		if got := testScreen(masters).table(80, 1); !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestScreenFits: no line is as wide as the terminal, and a row stays free.
func TestScreenFits(t *testing.T) {
	odd := testScreen(3)
	odd.masters[0].Addr = strings.Repeat("a-very-long-name.", 8) + "example:6379"
	odd.masters[1].Addr = "\x1b[2Jesc\nape:1"
	odd.masters[2].Keys, odd.masters[2].InFlight = 1<<62, 1<<62
	unknown := testScreen(2)
	unknown.total, unknown.leftKnown = 0, false
	over := testScreen(1)
	over.done = 2 * over.total
	for name, s := range map[string]*screen{"none": testScreen(0), "3": testScreen(3), "50": testScreen(50), "odd": odd, "unknown": unknown, "over": over, "zero": {}} {
		for width := range 200 {
			for _, height := range []int{0, 1, 2, 3, 4, 5, 8, 24, 60, 100} {
				got := s.lines(width, height)
				if len(got) < 1 || len(got) > max(1, height-1) {
					t.Fatalf("%s at %dx%d: %d lines", name, width, height, len(got))
				}
				for _, line := range got {
					if textWidth(line) > max(1, width-1) || strings.ContainsAny(line, "\x1b\n") {
						t.Fatalf("%s at %dx%d: %q", name, width, height, line)
					}
				}
			}
		}
	}
}

// TestScreenIsSteady: columns stay where they are while the numbers grow.
func TestScreenIsSteady(t *testing.T) {
	where := func(s *screen) (at []int) {
		lines := s.lines(120, 24)
		for _, mark := range []string{" MB/s", " keys/s", " keys ", " of "} {
			at = append(at, strings.Index(lines[1], mark))
		}
		return append(at, strings.Index(lines[3], "ok"), strings.Index(lines[0], "]"))
	}
	first := where(testScreen(3))
	for _, factor := range []int64{10, 1000} {
		s := testScreen(3)
		s.keys, s.done, s.keysRate, s.bytesRate = s.keys*factor, min(s.total, s.done*factor), s.keysRate*float64(factor), s.bytesRate*min(float64(factor), 40)
		for i := range s.masters {
			s.masters[i].Keys *= factor
			s.masters[i].keysRate *= float64(factor)
			s.masters[i].InFlight *= factor
		}
		if got := where(s); !slices.Equal(got, first) {
			t.Errorf("times %d: columns at %v, before at %v", factor, got, first)
		}
	}
}

// TestRankIsSteady: masters do not change places with every sample.
func TestRankIsSteady(t *testing.T) {
	v := newTerminalView(&console{}, 1000)
	start := time.Unix(1000, 0)
	m := newMeter(speedWindow, start)
	rank := func(after time.Duration, bytes ...int64) (ranks []int) {
		st := status{sample: sample{at: start.Add(after)}}
		for i, n := range bytes {
			st.masters = append(st.masters, pipeline.MasterResult{Addr: fmt.Sprint(i), Bytes: n})
		}
		m.add(st.sample)
		for _, row := range v.screen("import", m, st).masters {
			ranks = append(ranks, row.rank)
		}
		return ranks
	}
	for _, step := range []struct{ got, want []int }{
		{rank(0, 5, 9), []int{1, 0}},
		{rank(time.Second, 20, 9), []int{1, 0}},
		{rank(3*time.Second, 20, 9), []int{0, 1}},
	} {
		if !slices.Equal(step.got, step.want) {
			t.Errorf("ranks %v, want %v", step.got, step.want)
		}
	}
}

// TestTroubleText: a line of the log names those that keep keys waiting.
func TestTroubleText(t *testing.T) {
	masters := []pipeline.MasterResult{{Addr: "a:1", State: pipeline.MasterOK}}
	if got := troubleText(masters); got != "" {
		t.Errorf("all well: %q", got)
	}
	for i := range 5 {
		masters = append(masters, pipeline.MasterResult{Addr: fmt.Sprintf("b:%d", i), State: pipeline.MasterSilent, For: time.Duration(i) * 20 * time.Second})
	}
	if got, want := troubleText(masters), "; b:0 silent; b:1 silent for 0:20; b:2 silent for 0:40; and 2 more in trouble"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLargeText: a screen and a line of the log name the value that takes long, and
// where it is.
func TestLargeText(t *testing.T) {
	if got := largeText(nil, "", 0, false); got != "" {
		t.Errorf("nothing takes long: %q", got)
	}
	large := largeText([]byte("a large\nkey"), "10.0.0.1:7001", 12*time.Second, true)
	if want := `comparing "a large\nkey" on 10.0.0.1:7001 for 0:12`; large != want {
		t.Errorf("got %q, want %q", large, want)
	}
	st := status{sample: sample{at: time.Unix(1000, 0), bytes: 10}, large: large}
	st.masters = []pipeline.MasterResult{{Addr: "10.0.0.1:7001", State: pipeline.MasterSilent, For: 9 * time.Second}}
	m := newMeter(speedWindow, time.Unix(1000, 0))
	var out strings.Builder
	(&logView{con: &console{w: &out}}).show("verify", m, st)
	if want := large + "; 10.0.0.1:7001 silent for 0:09\n"; !strings.HasSuffix(out.String(), "; "+want) {
		t.Errorf("log line %q, want it to end with %q", out.String(), want)
	}
	lines := newTerminalView(&console{w: &out}, 0).screen("verify", m, st).lines(80, 24)
	if len(lines) != 5 || lines[2] != large {
		t.Errorf("screen %q", lines)
	}
}
