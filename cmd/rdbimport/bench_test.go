package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/bench/figure"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// mixedDump returns a dump of ordinary keys.
func mixedDump(t *testing.T, keys int) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := dataset.Mixed(&b, keys, 3); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bench runs rdbimport bench --json and returns the object.
func bench(t *testing.T, args ...string) benchReport {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"bench", "--json"}, args...), nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d, %s", code, &stderr)
	}
	var rep benchReport
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rep); err != nil {
		t.Fatal(err)
	}
	if dec.More() {
		t.Errorf("more than one object")
	}
	return rep
}

// checkSpread expects a spread of something that takes time.
func checkSpread(t *testing.T, name string, s figure.Spread) {
	t.Helper()
	if s.Min <= 0 || s.Min > s.Median || s.Median > s.Max || s.Max > 60 {
		t.Errorf("%s: %+v", name, s)
	}
}

// checkTime expects a time, and the rates that follow from it.
func checkTime(t *testing.T, name string, x benchedTime, bytes, keys int64) {
	t.Helper()
	checkSpread(t, name, x.Seconds)
	if !near(x.BytesPerSecond*x.Seconds.Median, float64(bytes)) || !near(x.KeysPerSecond*x.Seconds.Median, float64(keys)) {
		t.Errorf("%s: %+v for %d bytes, %d keys", name, x, bytes, keys)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-2*math.Abs(b) }

// TestBenchLocal looks at whether the figures of a dump can be true.
func TestBenchLocal(t *testing.T) {
	const keys = 20000
	dump := mixedDump(t, keys)
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, dump, 0o600); err != nil {
		t.Fatal(err)
	}
	rep := bench(t, "--runs", "3", file)
	s := rep.Source
	if s.Keys != keys || s.Bytes != int64(len(dump)) || s.FileBytes != s.Bytes || s.Checksum != "ok" || s.Name != file || s.Family != "redis" || len(s.Wrappers) != 0 {
		t.Errorf("source %+v", s)
	}
	if rep.Runs != 3 || rep.Target != nil || rep.PeakMemory < 1<<20 || rep.DurationSeconds <= 0 || rep.Error != "" || rep.ExitCode != 0 {
		t.Errorf("%+v", rep)
	}
	times := map[string]figure.Spread{}
	for _, st := range rep.Stages {
		times[st.Name] = st.Seconds
		if st.What == "" {
			t.Errorf("%s says not what it is", st.Name)
		}
		if st.Name != stageChecksum { // a difference, which may be nothing
			checkTime(t, st.Name, st.benchedTime, s.Bytes, keys)
		}
	}
	if len(times) != 8 {
		t.Errorf("%d stages", len(times))
	}
	// What does more takes longer, were it not for what else the machine does.
	for _, p := range [][2]string{{stageSlot, stageEncode}, {stageScan, stageAll}, {stageRead, stageAll}, {stagePayload, stageEncode}} {
		if times[p[0]].Min > times[p[1]].Max {
			t.Errorf("%s takes %v s, %s %v s", p[0], times[p[0]], p[1], times[p[1]])
		}
	}
	checkTypes(t, rep)
	a := rep.Allocations
	if a.Keys != keys-1 || a.Count > 200 || !near(a.PerMillionKeys*float64(a.Keys)/1e6, float64(a.Count)) {
		t.Errorf("allocations %+v", a)
	}
}

func checkTypes(t *testing.T, rep benchReport) {
	t.Helper()
	var sum benchedType
	last := 1.0
	for _, x := range rep.Types {
		sum.Keys += x.Keys
		sum.Bytes += x.Bytes
		sum.Share += x.Share
		if x.Type == "" || x.Encoding == "" || x.ScanNs <= 0 || x.EncodeNs <= 0 || x.BytesPerSecond <= 0 || x.Share > last {
			t.Errorf("%+v", x)
		}
		last = x.Share
	}
	if sum.Keys != rep.Source.Keys || sum.Bytes > rep.Source.Bytes || sum.Bytes < rep.Source.Bytes*9/10 || !near(sum.Share, 1) || len(rep.Types) < 5 {
		t.Errorf("%d types sum up to %+v", len(rep.Types), sum)
	}
}

// TestBenchTarget looks at whether the figures of an import can be true: of a
// dump that the floor holds, and of one of which it holds the beginning.
func TestBenchTarget(t *testing.T) {
	path, err := serverBinary(defaultServer)
	needs.Have(t, err)
	c, release, err := shared.take(path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	const keys, runs = 10000, 2
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, mixedDump(t, keys), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, whole := range []bool{true, false} {
		args := []string{"--runs", fmt.Sprint(runs), file, c.URL()}
		if !whole {
			args = append(args, "--floor", "1MiB", "--on-conflict", "replace", "--memory", "8MiB")
		}
		rep := bench(t, args...)
		x := rep.Target
		if x == nil || x.Masters != 3 || !strings.HasPrefix(x.Server, "Redis ") || x.LimitedBy == nil || x.LimitedBy.Share <= 0 || len(x.Errors) != 0 {
			t.Fatalf("target %+v", x)
		}
		im := x.Import
		if im.Keys != keys || im.Restored != keys || im.Expired != 0 || im.Failed != 0 || im.PeakMemory < 1<<20 {
			t.Errorf("import %+v", im)
		}
		checkTime(t, "import", im.benchedTime, rep.Source.Bytes, keys)
		checkSpread(t, "processor time", im.CPUSeconds)
		checkReplies(t, x.Replies, runs*im.Seconds.Max)
		f := x.Floor
		if f.Whole != whole || f.LeftOut != "" || f.Floor == nil || f.Import == nil || f.Ratio == nil || f.Sent != f.Keys || f.Skipped != 0 {
			t.Fatalf("floor %+v", f)
		}
		if whole != (f.Keys == keys) || whole != (f.Bytes == rep.Source.Bytes) || f.Keys <= 0 || f.Bytes <= 0 {
			t.Errorf("the floor has %d keys, %d bytes", f.Keys, f.Bytes)
		}
		if !whole && (f.Bytes > 1<<20 || f.Bytes < 1<<19) {
			t.Errorf("the floor has %d bytes of a dump", f.Bytes)
		}
		checkTime(t, "floor", *f.Floor, f.Bytes, f.Keys)
		checkTime(t, "import beside the floor", *f.Import, f.Bytes, f.Keys)
		checkSpread(t, "ratio", *f.Ratio)
	}
}

func checkReplies(t *testing.T, list []benchedReplies, most float64) {
	t.Helper()
	if len(list) != 3 {
		t.Errorf("%d masters", len(list))
	}
	for _, m := range list {
		if m.Batches < 2 || m.P50 <= 0 || m.P50 > m.P90 || m.P90 > m.P99 || m.P99 > m.Max || m.Max > most || len(m.ID) != 40 || m.Addr == "" {
			t.Errorf("replies %+v", m)
		}
	}
}

// TestBeginning cuts dumps of several versions after any number of keys.
func TestBeginning(t *testing.T) {
	for _, magic := range []string{"REDIS0003", "REDIS0010"} {
		var b bytes.Buffer
		w := dataset.NewWriter(&b, magic)
		w.SelectDB(0)
		for i := range 10 {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, strings.Repeat("v", 100)))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for most := range int64(12 * 250) {
			begin := beginning{most: most}
			sc := rdbparse.NewScanner(bytes.NewReader(b.Bytes()), rdbparse.Options{})
			for sc.Next() {
				begin.note(sc.Entry(), sc.Offset())
			}
			begin.version, _ = sc.Version()
			if begin.full == (begin.keys == 10) {
				t.Fatalf("%s, %d bytes: %+v", magic, most, begin)
			}
			if begin.keys == 0 {
				continue // there is no floor then
			}
			cut := rdbparse.NewScanner(begin.of(bytes.NewReader(b.Bytes())), rdbparse.Options{})
			keys := int64(0)
			for cut.Next() {
				keys++
			}
			if cut.Err() != nil || keys != begin.keys || cut.Offset() > begin.end+9 {
				t.Fatalf("%s, %d bytes: %d keys, %v, %+v", magic, most, keys, cut.Err(), begin)
			}
		}
	}
	if r := strings.NewReader("x"); (*beginning)(nil).of(r) != r {
		t.Error("no beginning is not the whole")
	}
}

// TestReplyTimes has several goroutines note times of two masters.
func TestReplyTimes(t *testing.T) {
	var r replyTimes
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for n := range 1000 {
				r.note([]string{"a", "b"}[i%2], time.Duration(n+1)*time.Millisecond)
			}
		})
	}
	work.Wait()
	for _, addr := range []string{"a", "b"} {
		m := r.byAddr[addr]
		p50, most := time.Duration(m.times.Percentile(50)), time.Duration(m.times.Max())
		if m.batches != 2000 || p50 < 500*time.Millisecond || p50 > 532*time.Millisecond || most != time.Second {
			t.Errorf("%s: %d batches, median %v, longest %v", addr, m.batches, p50, most)
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.note("a", time.Second) }); n != 0 {
		t.Errorf("%v allocations for a batch", n)
	}
}

func TestWarnOnce(t *testing.T) {
	var got []string
	w := warnOnce{warn: func(text string) { got = append(got, text) }}
	for _, text := range []string{"a", "b", "a"} {
		w.say(text)
	}
	if strings.Join(got, "") != "ab" {
		t.Errorf("%q", got)
	}
}

// TestTypeClock has blocks of several types filled and overfilled.
func TestTypeClock(t *testing.T) {
	clock := clockCost()
	if clock <= 0 || clock > 100*time.Microsecond {
		t.Errorf("reading the clock takes %v", clock)
	}
	tc := &typeClock{clock: clock, start: time.Now()}
	small := &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Key: []byte("k"), Value: []byte("\x01v"), Idle: -1, Freq: -1}
	large := &rdbparse.Entry{Type: rdbparse.TypeHash.Info(), Key: []byte("h"), Value: make([]byte, 3*blockBytes), Idle: -1, Freq: -1}
	for i := range 3 * blockKeys {
		tc.note(small, 5, clock+2)
		if i%blockKeys == 0 {
			tc.note(large, 7, 0)
		}
	}
	if len(tc.all) != 2 {
		t.Fatalf("%d types", len(tc.all))
	}
	for _, c := range tc.all {
		tc.measure(c)
		if len(c.held) != 0 || len(c.buf) != 0 || c.encode <= 0 || c.payload <= 0 {
			t.Errorf("%s: %+v", c.row.Name, c)
		}
	}
	s, h := tc.all[0], tc.all[1]
	if s.keys != 3*blockKeys || s.bytes != 5*s.keys || s.scan != time.Duration(2*s.keys) {
		t.Errorf("strings: %d keys, %d bytes, %v", s.keys, s.bytes, s.scan)
	}
	if h.keys != 3 || h.bytes != 21 || h.scan != 0 {
		t.Errorf("hashes: %d keys, %d bytes, %v", h.keys, h.bytes, h.scan)
	}
}

func TestBenchFormats(t *testing.T) {
	for _, tc := range []struct {
		s    figure.Spread
		want string
	}{
		{figure.Spread{Median: 0.01234, Min: 0.01, Max: 0.02}, "0.0123 (0.0100-0.0200)"},
		{figure.Spread{Median: 0.5, Min: 0.5, Max: 0.5}, "0.500"},
		{figure.Spread{Median: 12.345, Min: 9, Max: 13}, "12.35 (9.00-13.00)"},
		{figure.Spread{Median: 1234.5, Min: 1234.5, Max: 1300}, "1234.5 (1234.5-1300.0)"},
	} {
		if got := formatSeconds(tc.s); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.s, got, tc.want)
		}
	}
	for n, want := range map[float64]string{0: "-", 1.26e6: "1.3", 99.9e6: "99.9", 100.4e6: "100", 12_345e6: "12,345"} {
		if got := formatSpeed(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

// TestBenchStops makes sure that the end of the context ends it, with exit code
// 130 and what there is of a report.
func TestBenchStops(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, mixedDump(t, 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"bench", "--json", file}, nil, &stdout, &stderr); code != exitInterrupted {
		t.Errorf("exit code %d, %s", code, &stderr)
	}
	var rep benchReport
	if err := json.Unmarshal(stdout.Bytes(), &rep); err != nil || rep.ExitCode != exitInterrupted || rep.Error == "" {
		t.Errorf("%v, %s", err, &stdout)
	}
}

// TestBenchInterrupted shows what was measured before an interrupt, and nothing before the
// first run is through.
func TestBenchInterrupted(t *testing.T) {
	for _, c := range []struct {
		runs, imports int
		want, not     []string
	}{
		{0, 0, nil, []string{"source"}},
		{1, 0, []string{"measured          once of 5\n", "all: read, scan, checksum, encode"}, []string{"allocations", "target"}},
		{2, 0, []string{"measured          2 times of 5: the median, the least and the most\n"}, []string{"target"}},
		{5, 2, []string{"measured          5 times: ", "measured          2 times of 5: ", "with the target", "no floor: it did not come to that"}, []string{"*"}},
	} {
		var stdout bytes.Buffer
		b := &benchmark{benchSettings: &benchSettings{source: "dump.rdb", runs: 5, hasTarget: c.imports > 0}, streams: &streams{stdout: &stdout}}
		for range c.runs {
			b.local.runs = append(b.local.runs, localRun{read: time.Second, together: time.Second})
		}
		for range c.imports {
			b.aimed.imports = append(b.aimed.imports, importCost{sum: &summary{duration: time.Second}})
		}
		b.report.finish(b, errInterrupted)
		if err := b.print(); err != nil {
			t.Fatal(err)
		}
		if rep := &b.report; rep.Runs != c.runs || rep.Target != nil && rep.Target.Runs != c.imports {
			t.Errorf("%d runs, %d imports: %d are reported, target %+v", c.runs, c.imports, rep.Runs, rep.Target)
		}
		for _, text := range c.want {
			if !strings.Contains(stdout.String(), text) {
				t.Errorf("%d runs, %d imports: %q is missing in\n%s", c.runs, c.imports, text, &stdout)
			}
		}
		for _, text := range c.not {
			if strings.Contains(stdout.String(), text) {
				t.Errorf("%d runs, %d imports: %q in\n%s", c.runs, c.imports, text, &stdout)
			}
		}
	}
}
