package source

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testMark = "0123456789abcdef0123456789abcdef01234567"

// testDump is a dump in the eyes of this package: magic, anything, footer.
func testDump(body string) []byte {
	return []byte("REDIS0011" + body + "\xff" + "12345678")
}

func gzipped(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, p := range parts { // one member each
		w := gzip.NewWriter(&out)
		mustWrite(t, w, p)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, opts...)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, w, b)
	return out.Bytes()
}

func lz4ed(t testing.TB, b []byte, opts ...lz4.Option) []byte {
	t.Helper()
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(opts...); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, w, b)
	return out.Bytes()
}

func mustWrite(t testing.TB, w io.WriteCloser, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func tempFile(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump.of.some.kind")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened opens b as a regular file and closes it with the test.
func opened(t testing.TB, b []byte) *Source {
	t.Helper()
	s, err := Open(context.Background(), tempFile(t, b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOK(t, s) })
	return s
}

// streamed opens r as a stream and closes it with the test.
func streamed(t testing.TB, r io.Reader) *Source {
	t.Helper()
	s, err := New(context.Background(), r, "standard input")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOK(t, s) })
	return s
}

func closeOK(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// filler is compressible, and longer than every head and buffer when n is.
func filler(n int) string {
	return strings.Repeat("a value of some length, 0123456789. ", n/36+1)[:n]
}
