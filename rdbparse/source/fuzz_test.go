package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// mostRead is how much of a fuzzed source is read: a small input may become endless.
const mostRead = 4 << 20

// FuzzSource reads the same bytes whole, one by one, by halves and ahead: all must agree, whatever the bytes are.
func FuzzSource(f *testing.F) {
	dump := testDump(filler(300))
	for _, seed := range [][]byte{
		dump, gzipped(f, dump), gzipped(f, dump[:50], dump[50:]), zstded(f, dump), lz4ed(f, dump), asReply(dump), gzipped(f, asReply(dump)),
		zstded(f, lz4ed(f, dump)), append(skippable("x"), zstded(f, dump)...), append(bytes.Clone(dump), cmdSet...),
		append(append([]byte("\n$EOF:"+testMark+"\r\n"), dump...), testMark...), append(asReply(dump), "\n*1\r\n$4\r\nPING\r\n"...),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want := outcomeOf(t, bytes.NewReader(in), false)
		for name, got := range map[string]outcome{
			"one byte": outcomeOf(t, iotest.OneByteReader(bytes.NewReader(in)), false),
			"halves":   outcomeOf(t, iotest.HalfReader(bytes.NewReader(in)), false),
			"ahead":    outcomeOf(t, bytes.NewReader(in), true),
		} {
			if got.kind != want.kind || !bytes.Equal(got.read, want.read) {
				t.Errorf("%s: %v after %d bytes; whole: %v after %d", name, got.kind, len(got.read), want.kind, len(want.read))
			}
		}
	})
}

type outcome struct {
	read []byte
	kind error
}

func outcomeOf(t *testing.T, in io.Reader, ahead bool) outcome {
	t.Helper()
	s, err := New(context.Background(), in, "in")
	if err != nil {
		return outcome{kind: kindOf(t, err)}
	}
	defer closeOK(t, s)
	var r io.Reader = s
	if ahead {
		a := NewReadAhead(context.Background(), s, 100, 2)
		defer closeOK(t, a)
		r = a
	}
	read, err := io.ReadAll(io.LimitReader(r, mostRead))
	return outcome{read: read, kind: kindOf(t, err)}
}

// kindOf demands that every error is of a known kind and names its source.
func kindOf(t *testing.T, err error) error {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || e.Name != "in" || e.Kind == nil {
		t.Fatalf("error %v", err)
	}
	return e.Kind
}

// FuzzTail classifies the same bytes whole and one by one, and puts commands in front of them, which must be counted.
func FuzzTail(f *testing.F) {
	for _, seed := range []string{"", testMark, cmdSet, cmdSelect + stamp + cmdSet, "*3\r\n$3\r\nse", "*1\r\n$-1\r\n", "*99999999999\r\n$1\r\n", "#", "\n", testMark + "\n" + cmdSet} {
		f.Add([]byte(seed), uint8(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, front uint8) {
		whole := tailOf(t, bytes.NewReader(in))
		if bytewise := tailOf(t, iotest.OneByteReader(bytes.NewReader(in))); bytewise != whole {
			t.Errorf("whole %+v, one by one %+v", whole, bytewise)
		}
		sum := whole.Bytes
		if whole.EndMark {
			sum += markSize
		}
		// Keep-alives behind a mark are in no count.
		if sum > int64(len(in)) || !whole.EndMark && sum != int64(len(in)) || whole.Writes > whole.Commands || whole.Garbage > whole.Bytes {
			t.Errorf("%d bytes: %+v", len(in), whole)
		}
		if whole.EndMark {
			return
		}
		commands := bytes.Repeat([]byte(cmdSelect+cmdSet), int(front))
		want := whole
		want.Bytes += int64(len(commands))
		want.Commands += 2 * int64(front)
		want.Writes += int64(front)
		if front > 0 {
			want.Kind = TailAOF
		}
		if got := tailOf(t, io.MultiReader(bytes.NewReader(commands), bytes.NewReader(in))); got != want {
			t.Errorf("behind %d commands: %+v, want %+v", 2*front, got, want)
		}
	})
}

func tailOf(t *testing.T, r io.Reader) Tail {
	t.Helper()
	tail, err := scanTail(r, Tail{}, true)
	if err != nil {
		t.Fatal(err)
	}
	return tail
}
