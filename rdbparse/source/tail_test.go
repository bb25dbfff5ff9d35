package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const (
	cmdSelect = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
	cmdSet    = "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$4\r\n\r\n*1\r\n"
	stamp     = "#TS:1700000000\r\n"
)

func TestCheckTail(t *testing.T) {
	dump := string(testDump(filler(1000)))
	diskless := "$EOF:" + testMark + "\r\n"
	cmds := int64(len(cmdSelect + cmdSet))
	tests := []struct {
		name, head, tail string
		want             Tail // of a regular file
		stream           Tail // of a stream whose first bytes behind the dump are read already
		kind             error
	}{
		{name: "none"},
		{name: "captured mark", tail: testMark, want: Tail{Kind: TailEndMark, EndMark: true}, stream: Tail{Kind: TailEndMark, EndMark: true}},
		{name: "AOF", tail: cmdSelect + stamp + cmdSet,
			want:   Tail{Kind: TailAOF, Bytes: cmds + int64(len(stamp)), Commands: 2, Writes: 1},
			stream: Tail{Kind: TailAOF, Bytes: cmds + int64(len(stamp)), Commands: 2, Writes: 1}},
		{name: "AOF cut", tail: cmdSet + "*3\r\n$3\r\nse",
			want:   Tail{Kind: TailAOF, Bytes: int64(len(cmdSet)) + 10, Commands: 1, Writes: 1, Cut: true},
			stream: Tail{Kind: TailAOF, Bytes: int64(len(cmdSet)) + 10, Commands: 1, Writes: 1, Cut: true}},
		{name: "AOF of timestamps", tail: stamp,
			want: Tail{Kind: TailAOF, Bytes: int64(len(stamp))}, stream: Tail{Kind: TailAOF, Bytes: int64(len(stamp))}},
		{name: "AOF then garbage", tail: cmdSet + "\x00\x00\x00",
			want:   Tail{Kind: TailAOF, Bytes: int64(len(cmdSet)) + 3, Commands: 1, Writes: 1, Garbage: 3},
			stream: Tail{Kind: TailAOF, Bytes: int64(len(cmdSet)) + 3, Commands: 1, Writes: 1, Garbage: 3}},
		{name: "captured mark and commands", tail: testMark + cmdSelect + cmdSet,
			want:   Tail{Kind: TailAOF, EndMark: true, Bytes: cmds, Commands: 2, Writes: 1},
			stream: Tail{Kind: TailAOF, EndMark: true, Bytes: cmds, Commands: 2, Writes: 1}},
		{name: "garbage", tail: "garbage", want: Tail{Kind: TailGarbage, Bytes: 7, Garbage: 7}, stream: Tail{Kind: TailGarbage, Bytes: 7, Garbage: 7}},
		{name: "no command", tail: "*x\r\n", want: Tail{Kind: TailGarbage, Bytes: 4, Garbage: 4}, stream: Tail{Kind: TailGarbage, Bytes: 4, Garbage: 4}},
		{name: "newline", tail: "\n", want: Tail{Kind: TailGarbage, Bytes: 1, Garbage: 1}, stream: Tail{Kind: TailGarbage, Bytes: 1, Garbage: 1}},
		{name: "long garbage", tail: filler(200_000), want: Tail{Kind: TailGarbage, Bytes: 200_000, Garbage: 200_000},
			stream: Tail{Kind: TailGarbage, Bytes: 200_000, Garbage: 200_000}},
		{name: "another dump", tail: "REDIS0011 and more", want: Tail{Kind: TailDump, Bytes: 18, Garbage: 18}, stream: Tail{Kind: TailDump, Bytes: 18, Garbage: 18}},
		{name: "commands and another dump", tail: cmdSet + "VALKEY080",
			want:   Tail{Kind: TailDump, Bytes: int64(len(cmdSet)) + 9, Commands: 1, Writes: 1, Garbage: 9, Dump: int64(len(cmdSet))},
			stream: Tail{Kind: TailDump, Bytes: int64(len(cmdSet)) + 9, Commands: 1, Writes: 1, Garbage: 9, Dump: int64(len(cmdSet))}},
		{name: "almost a dump", tail: "REDIS001", want: Tail{Kind: TailGarbage, Bytes: 8, Garbage: 8}, stream: Tail{Kind: TailGarbage, Bytes: 8, Garbage: 8}},
		{name: "reply", head: "$1018\r\n"},
		{name: "reply and commands", head: "$1018\r\n", tail: "\n" + cmdSet, // of a stream nothing behind the body is read
			want: Tail{Kind: TailAOF, Bytes: int64(len(cmdSet)), Commands: 1, Writes: 1}},
		{name: "reply longer than the dump", head: "$1025\r\n", tail: "garbage",
			want: Tail{Kind: TailGarbage, Bytes: 7, Garbage: 7}, stream: Tail{Kind: TailGarbage, Bytes: 7, Garbage: 7}},
		{name: "cut reply longer than the dump", head: "$1028\r\n", tail: "garbage", kind: ErrTruncated},
		{name: "mark", head: diskless, tail: testMark, want: Tail{Kind: TailEndMark, EndMark: true}, stream: Tail{Kind: TailEndMark, EndMark: true}},
		{name: "mark and commands", head: diskless, tail: testMark + "\n" + cmdSet,
			want: Tail{Kind: TailAOF, EndMark: true, Bytes: int64(len(cmdSet)), Commands: 1, Writes: 1},
			// One byte behind the mark has been read.
			stream: Tail{Kind: TailEndMark, EndMark: true}},
		{name: "wrong mark", head: diskless, tail: strings.ToUpper(testMark), kind: ErrEndMark},
		{name: "cut mark", head: diskless, tail: testMark[:39], kind: ErrTruncated},
		{name: "no mark", head: diskless, kind: ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.head + dump + tt.tail)
			// The dump's reader may have any number of bytes beyond its end.
			for _, extra := range []int{0, 1, 40, 41, len(tt.tail)} {
				checkTail(t, opened(t, in), len(dump), extra, tt.want, tt.kind)
			}
			checkTail(t, streamed(t, iotest.OneByteReader(bytes.NewReader(in))), len(dump), 41, tt.stream, tt.kind)
			checkTail(t, streamed(t, bytes.NewReader(gzipped(t, in))), len(dump), 41, tt.stream, tt.kind)
			checkTail(t, opened(t, zstded(t, in)), len(dump), 3, tt.want, tt.kind)
		})
	}
}

// checkTail reads the dump and some bytes more, then has the rest classified, half the time through a ReadAhead.
func checkTail(t *testing.T, s *Source, dump, extra int, want Tail, kind error) {
	t.Helper()
	var rest io.Reader = s
	if extra%2 == 1 {
		ahead := NewReadAhead(context.Background(), s, 1000, 2)
		defer closeOK(t, ahead)
		rest = ahead
	}
	buf := make([]byte, dump+extra)
	n, err := io.ReadFull(rest, buf)
	if n < dump {
		t.Fatalf("read %d bytes of the dump: %v", n, err)
	}
	got, err := s.CheckTail(context.Background(), buf[dump:n], rest)
	if !errors.Is(err, kind) || err != nil && kind == nil {
		t.Fatalf("%d bytes beyond: error %v, want %v", extra, err, kind)
	}
	if diff := cmp.Diff(want, got); err == nil && diff != "" {
		t.Errorf("%d bytes beyond: %s", extra, diff)
	}
}

// TestTailDoesNotWait: the connection of a replication reply stays open.
func TestTailDoesNotWait(t *testing.T) {
	dump := testDump("x")
	for _, in := range [][]byte{asReply(dump), append(append([]byte("$EOF:"+testMark+"\r\n"), dump...), testMark...)} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer closeOK(t, r)
		defer closeOK(t, w)
		if _, err := w.Write(in); err != nil {
			t.Fatal(err)
		}
		s := streamed(t, r)
		ahead := NewReadAhead(context.Background(), s, 64, 2)
		defer closeOK(t, ahead)
		if _, err := io.ReadFull(ahead, make([]byte, len(dump))); err != nil {
			t.Fatal(err)
		}
		if tail, err := s.CheckTail(context.Background(), nil, ahead); err != nil || tail.Commands+tail.Bytes != 0 {
			t.Errorf("tail %+v, %v", tail, err)
		}
	}
}

func TestTailContext(t *testing.T) {
	s := opened(t, testDump("x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.CheckTail(ctx, nil, nil); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), s.Name()) {
		t.Errorf("error %v", err)
	}
}

// corpus gives the path of a real dump.
func corpus(t *testing.T, name string) string {
	dir := os.Getenv("RDBIMPORT_CORPUS")
	if dir == "" {
		t.Skip("RDBIMPORT_CORPUS names no folder of real dumps")
	}
	return filepath.Join(dir, name)
}

func TestCorpusMark(t *testing.T) {
	s, err := Open(context.Background(), corpus(t, "rdbtools/redis_40_with_module.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, s)
	if err := s.QuickCheck(); err != nil {
		t.Error(err)
	}
	checkTail(t, s, int(s.Size())-markSize, 0, Tail{Kind: TailEndMark, EndMark: true}, nil)
}

// TestBehindCompressed: something else follows the compressed data, which is whole; zeros follow a tape's.
func TestBehindCompressed(t *testing.T) {
	dump := testDump(filler(1000))
	for name, in := range map[string][]byte{"gzip": gzipped(t, dump), "zstd": zstded(t, dump)} {
		for _, tt := range []struct {
			tail string
			want error
		}{
			{"garbage behind the data", ErrBehind}, {string(in), nil}, {strings.Repeat("\x00", 300), nil}, {"\x00\x00x", ErrBehind},
		} {
			if name == "zstd" && tt.tail[0] == 0 {
				continue
			}
			s := opened(t, append(bytes.Clone(in), tt.tail...))
			_, err := io.ReadAll(s)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("%s and %.10q: %v", name, tt.tail, err)
			}
			if tt.want != nil && (!errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasSuffix(err.Error(), "is followed by something else, which is left out")) {
				t.Errorf("%s and %.10q: %v", name, tt.tail, err)
			}
		}
	}
}
