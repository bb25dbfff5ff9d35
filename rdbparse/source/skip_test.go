package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestSkipTo(t *testing.T) {
	ctx := context.Background()
	dump := testDump(filler(300_000))
	last := int64(len(dump))
	tests := []struct {
		name     string
		in       []byte
		seekable bool
	}{
		{"plain", dump, true},
		{"reply", append([]byte("\n\n"), append(asReply(dump), "*1"...)...), true},
		{"gzip", gzipped(t, dump), false},
		{"gzip in reply", asReply(gzipped(t, dump)), false},
		{"zstd", zstded(t, dump), false},
		{"lz4", lz4ed(t, dump), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, offset := range []int64{0, 1, 8, 9, headSize - 1, headSize, headSize + 1, 200_000, last - 1, last} {
				for _, s := range []*Source{opened(t, tt.in), streamed(t, iotest.HalfReader(bytes.NewReader(tt.in)))} {
					if s.Seekable() != (tt.seekable && s.Size() >= 0) {
						t.Errorf("seekable: %v", s.Seekable())
					}
					if err := s.SkipTo(ctx, offset); err != nil || s.Offset() != offset {
						t.Fatalf("to %d: at %d, error %v", offset, s.Offset(), err)
					}
					if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, dump[offset:]) {
						t.Fatalf("from %d: %d bytes, error %v", offset, len(got), err)
					}
					if s.Offset() != last {
						t.Errorf("from %d: ends at %d", offset, s.Offset())
					}
				}
			}
			for _, s := range []*Source{opened(t, tt.in), streamed(t, bytes.NewReader(tt.in))} {
				if err := s.SkipTo(ctx, last+1); !errors.Is(err, ErrTruncated) {
					t.Errorf("behind the end: %v", err)
				}
				if err := s.SkipTo(ctx, -1); err == nil {
					t.Error("went to -1")
				}
			}
			s := streamed(t, bytes.NewReader(tt.in))
			ended, cancel := context.WithCancel(ctx)
			cancel()
			if err := s.SkipTo(ended, 100); !errors.Is(err, context.Canceled) {
				t.Errorf("after the end of the context: %v", err)
			}
		})
	}
}

func TestSkipBack(t *testing.T) {
	dump := testDump(filler(1000))
	file, stream := opened(t, dump), streamed(t, bytes.NewReader(dump))
	for _, s := range []*Source{file, stream} {
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.SkipTo(context.Background(), 5); err == nil {
		t.Error("a stream went back")
	}
	if err := file.SkipTo(context.Background(), 5); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, dump[5:]) {
		t.Errorf("a file, from 5: %q, %v", got, err)
	}
	if file.RawRead() != int64(len(dump)) {
		t.Errorf("raw %d", file.RawRead())
	}
}

func TestIdentity(t *testing.T) {
	ctx := context.Background()
	for _, n := range []int{10, headSize - 30, headSize, 300_000} {
		dump := testDump(filler(n))
		other := bytes.Clone(dump)
		other[12] ^= 1
		file := opened(t, dump)
		id, err := file.Identity()
		if err != nil || id.Size != int64(len(dump)) || id.Bytes != int64(min(len(dump), headSize)) {
			t.Fatalf("identity %+v, %v", id, err)
		}
		// A stream's identity covers what has passed.
		stream := streamed(t, iotest.OneByteReader(bytes.NewReader(dump)))
		early, err := stream.Identity()
		if err != nil || early.Bytes != magicSize || early.Size != -1 {
			t.Fatalf("identity %+v, %v", early, err)
		}
		if _, err := io.CopyN(io.Discard, stream, int64(len(dump))); err != nil {
			t.Fatal(err)
		}
		late, err := stream.Identity()
		if err != nil || late.Bytes != id.Bytes || late.SHA256 != id.SHA256 {
			t.Fatalf("identity %+v, %v, of the file %+v", late, err, id)
		}
		grown := append(bytes.Clone(dump), 'x')
		for name, want := range map[string]struct {
			in       []byte
			id       Identity
			file, st bool
		}{
			"same":             {dump, id, true, true},
			"same, from early": {dump, early, true, true},
			"same, from late":  {dump, late, true, true},
			"other":            {other, id, false, false},
			"other, late":      {other, late, false, false},
			"shorter":          {dump[:20], late, false, false},
			"grown":            {grown, id, false, n >= headSize || len(grown) > int(id.Bytes)}, // its size is not known
			"nonsense":         {dump, Identity{Size: -1, Bytes: 1 << 40}, false, false},
		} {
			f := opened(t, want.in)
			if ok, err := f.Matches(ctx, want.id); err != nil || ok != want.file {
				t.Errorf("%d: %s: a file matches: %v, %v", n, name, ok, err)
			}
			s := streamed(t, iotest.OneByteReader(bytes.NewReader(want.in)))
			if ok, err := s.Matches(ctx, want.id); err != nil || ok != want.st {
				t.Errorf("%d: %s: a stream matches: %v, %v", n, name, ok, err)
			}
			for _, s := range []*Source{f, s} { // nothing of it is lost
				if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want.in) {
					t.Errorf("%d: %s: read %d bytes, %v", n, name, len(got), err)
				}
			}
		}
	}
}
