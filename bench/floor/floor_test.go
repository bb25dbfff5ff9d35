package floor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// threeMasters is a map of addresses that nobody listens on.
func threeMasters(t *testing.T) *slotter.Map {
	t.Helper()
	masters := []slotter.Master{{Addr: "a:1"}, {Addr: "b:1"}, {Addr: "c:1"}}
	m, err := slotter.NewMap(masters, [][]slotter.Range{{{First: 0, Last: 5460}}, {{First: 5461, Last: 10921}}, {{First: 10922, Last: 16383}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mixed(t *testing.T, keys int) []byte {
	t.Helper()
	var buf bytes.Buffer
	if _, err := dataset.Mixed(&buf, keys, 1); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func render(t *testing.T, dump []byte, m *slotter.Map) []*Stream {
	t.Helper()
	streams, err := Render(bytes.NewReader(dump), m, Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return streams
}

func TestRenderCounts(t *testing.T) {
	const keys = 3000 // more than one piece for each master
	var sum int64
	for _, s := range render(t, mixed(t, keys), threeMasters(t)) {
		all := bytes.Join(s.pieces, nil)
		if int64(len(all)) != s.Bytes || s.Commands == 0 || len(s.pieces) < 2 {
			t.Errorf("%s: %d commands, %d bytes of %d, %d pieces", s.Addr, s.Commands, len(all), s.Bytes, len(s.pieces))
		}
		sum += s.Commands
	}
	if sum != keys {
		t.Errorf("%d commands for %d keys", sum, keys)
	}
}

// TestRenderExact looks at all arguments that a command can have.
func TestRenderExact(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	w.Key(dataset.TypeString, []byte("a"), []byte{1, 'x'})
	w.ExpireMs(1) // long ago
	w.Key(dataset.TypeString, []byte("gone"), []byte{1, 'x'})
	w.ExpireMs(dataset.FutureMs)
	w.Idle(70)
	w.Key(dataset.TypeString, []byte("b"), []byte{1, 'x'})
	w.Freq(5)
	w.Key(dataset.TypeString, []byte("c"), []byte{1, 'x'})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	streams := render(t, buf.Bytes(), slotter.SingleMap(slotter.Master{Addr: "a:1"}))
	got := string(bytes.Join(streams[0].pieces, nil))
	const payload = "$13\r\n\x00\x01x\x01\x00\xf7\xf1\xf2\xf3\xf4\xf5\xf6\xf7\r\n" // the CRC replaced
	want := []string{
		"*4\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n" + payload,
		"*7\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n$13\r\n" + "4102444800000" + "\r\n" + payload + "$6\r\nABSTTL\r\n$8\r\nIDLETIME\r\n$2\r\n70\r\n",
		"*6\r\n$7\r\nRESTORE\r\n$1\r\nc\r\n$1\r\n0\r\n" + payload + "$4\r\nFREQ\r\n$1\r\n5\r\n",
	}
	for _, cmd := range want {
		head, tail, _ := strings.Cut(cmd, payload)
		at := strings.Index(got, head)
		end := at + len(head) + len(payload) + len(tail)
		if at != 0 || end > len(got) || !strings.HasSuffix(got[:end], tail) {
			t.Fatalf("want %q next in %q", cmd, got)
		}
		got = got[end:]
	}
	if got != "" {
		t.Errorf("%q follows", got)
	}
}

// TestRenderReplace renders what overwrites, and keys of several databases.
func TestRenderReplace(t *testing.T) {
	var two bytes.Buffer
	w := dataset.NewWriter(&two, "REDIS0010")
	w.SelectDB(0)
	w.Key(dataset.TypeString, []byte("a"), []byte{1, 'x'})
	w.SelectDB(3)
	w.ExpireMs(dataset.FutureMs)
	w.Key(dataset.TypeString, []byte("b"), []byte{1, 'x'})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	streams, err := Render(&two, slotter.SingleMap(slotter.Master{Addr: "a:1"}), Options{Now: time.Now(), Replace: true, Merge: true})
	if err != nil || streams[0].Commands != 2 {
		t.Fatalf("%+v, %v", streams, err)
	}
	got := string(bytes.Join(streams[0].pieces, nil))
	for _, want := range []string{"*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n", "*6\r\n$7\r\nRESTORE\r\n$1\r\nb\r\n", "$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// TestPipelineCommand compares two programs that render: this one, and the
// pipeline's.
func TestPipelineCommand(t *testing.T) {
	sc := rdbparse.NewScanner(bytes.NewReader(mixed(t, 2000)), rdbparse.Options{})
	keys := 0
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			continue
		}
		keys++
		if want, got := appendRestore(nil, e, false), pipeline.AppendCommand(nil, e); !bytes.Equal(want, got) {
			t.Fatalf("key %q: %q, want %q", e.Key, got, want)
		}
	}
	if sc.Err() != nil || keys != 2000 {
		t.Errorf("%d keys, %v", keys, sc.Err())
	}
}

func TestRenderRefuses(t *testing.T) {
	var two bytes.Buffer
	w := dataset.NewWriter(&two, "REDIS0010")
	w.SelectDB(3)
	w.Key(dataset.TypeString, []byte("a"), []byte{1, 'x'})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Render(&two, threeMasters(t), Options{Now: time.Now()}); !errors.Is(err, errDatabases) {
		t.Errorf("another database: %v", err)
	}
	dump := mixed(t, 10)
	if _, err := Render(bytes.NewReader(dump[:len(dump)-20]), threeMasters(t), Options{Now: time.Now()}); !errors.Is(err, rdbparse.ErrTruncated) {
		t.Errorf("a dump cut short: %v", err)
	}
}

// answer is a master that answers what it is told to, whatever comes.
func answer(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		go func() { _, _ = io.Copy(io.Discard, conn) }() // ends when Send closes its side
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	t.Cleanup(func() {
		<-done
		_ = conn.Close()
	})
}

// tcpPair returns the two ends of a connection.
func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestSendCountsReplies(t *testing.T) {
	const ok = "+OK\r\n"
	for name, tc := range map[string]struct {
		replies string
		want    string // in the error, "" for none
	}{
		"all":              {strings.Repeat(ok, 3), ""},
		"one missing":      {ok + ok, "1 replies missing"},
		"one and a half":   {ok + "+O", "2 replies missing"},
		"one too many":     {strings.Repeat(ok, 4), "more than 3 replies"},
		"refused":          {ok + "-BUSYKEY Target key name already exists.\r\n" + ok, "BUSYKEY Target key name already exists."},
		"refused, cut off": {ok + "-BUSY", "-BUSY"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Stream{Addr: "m"}
			for range 3 {
				s.add([]byte("anything"))
			}
			client, server := tcpPair(t)
			answer(t, server, tc.replies)
			res, err := Send(t.Context(), []*Stream{s}, []net.Conn{client})
			if tc.want == "" {
				if err != nil || res.Commands != 3 || res.Bytes != 24 || res.Wall <= 0 {
					t.Errorf("%+v, %v", res, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if refused := strings.HasPrefix(name, "refused"); refused != (errors.Is(err, ErrReply) && !strings.Contains(err.Error(), "more than")) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSendStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &Stream{Addr: "m"}
	s.add([]byte("anything"))
	client, server := tcpPair(t) // never answers
	defer func() { _ = server.Close() }()
	cancel()
	if _, err := Send(ctx, []*Stream{s}, []net.Conn{client}); err == nil {
		t.Error("no error")
	}
}

// TestSameCommands makes sure that the floor sends what an import sends, byte
// for byte: it listens to an import into a real server.
func TestSameCommands(t *testing.T) {
	lc := startOne(t)
	dump := mixed(t, 2000)
	for _, conflict := range []pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictReplace} {
		tap := newTap(t, lc.Addrs()[0])
		c := connect(t, "redis://"+tap.addr)
		im, err := pipeline.New(t.Context(), c, pipeline.Options{Conflict: conflict, Databases: pipeline.Databases{Only: pipeline.AllDatabases}})
		if err != nil {
			t.Fatal(err)
		}
		feedErr := im.NewFeeder().Feed(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{}))
		if _, err := im.Close(); err != nil || feedErr != nil {
			t.Fatal(feedErr, err)
		}
		m, err := c.Map(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		streams, err := Render(bytes.NewReader(dump), m, Options{Now: time.Now(), Replace: conflict == pipeline.ConflictReplace})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if want := bytes.Join(streams[0].pieces, nil); !tap.heard(want) {
			t.Errorf("%s: no connection of the import carried the %d bytes of the floor", conflict, len(want))
		}
	}
}

// TestSendToServer sends to a real server: all is accepted once, and refused the
// second time.
func TestSendToServer(t *testing.T) {
	lc := startOne(t)
	c := connect(t, lc.URL())
	m, err := c.Map(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const keys = 2000
	streams := render(t, mixed(t, keys), m)
	send := func() (Result, error) {
		conns, err := Dial(t.Context(), c, streams, 0)
		if err != nil {
			t.Fatal(err)
		}
		return Send(t.Context(), streams, conns)
	}
	res, err := send()
	if err != nil || res.Commands != keys {
		t.Fatalf("%+v, %v", res, err)
	}
	if n, err := lc.Nodes()[0].Client().DBSize(t.Context()).Result(); n != keys || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	if _, err := send(); !errors.Is(err, ErrReply) || !strings.Contains(err.Error(), "BUSYKEY") {
		t.Errorf("sent again: %v", err)
	}
}

// startOne starts a standalone server.
func startOne(t *testing.T) *localcluster.Cluster {
	t.Helper()
	_, err := localcluster.FindServer()
	needs.Have(t, err)
	lc, err := localcluster.Start(t.Context(), localcluster.Options{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lc.Stop(); err != nil {
			t.Error(err)
		}
	})
	return lc
}

func connect(t *testing.T, url string) *slotter.Cluster {
	t.Helper()
	target, err := slotter.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), target, slotter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
