package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestBombs reads little that becomes much. The output is not kept, and memory stays near the decoder's window.
func TestBombs(t *testing.T) {
	const size = 32 << 20
	dump := append([]byte("REDIS0011"), make([]byte, size)...)
	for name, tt := range map[string]struct {
		in    []byte
		bound uint64 // bytes allocated, over all the time
	}{
		"gzip":         {gzipped(t, dump), 8 << 20},
		"gzip in gzip": {gzipped(t, gzipped(t, dump)), 8 << 20},
		"zstd":         {zstded(t, dump, zstd.WithWindowSize(1<<20)), 16 << 20},
		"lz4":          {lz4ed(t, dump), 32 << 20},
		"lz4 in zstd":  {zstded(t, lz4ed(t, dump), zstd.WithWindowSize(1<<20)), 32 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if len(tt.in) > size/100 {
				t.Fatalf("no bomb: %d bytes", len(tt.in))
			}
			before := allocated()
			s := streamed(t, bytes.NewReader(tt.in))
			n, err := io.CopyBuffer(onlyWriter{io.Discard}, s, make([]byte, 64<<10))
			if err != nil || n != int64(len(dump)) {
				t.Fatalf("read %d bytes, %v", n, err)
			}
			if used := allocated() - before; used > tt.bound {
				t.Errorf("allocated %d MiB for %d bytes of input", used>>20, len(tt.in))
			}
		})
	}
}

type onlyWriter struct{ io.Writer }

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestClaims: headers that claim much and bring nothing.
func TestClaims(t *testing.T) {
	huge := func(magic string) []byte { return binary.LittleEndian.AppendUint32([]byte(magic), 0xffff_fff0) }
	for name, in := range map[string][]byte{
		"zstd window of 1 GiB":   []byte("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00"),
		"zstd content of 1 TiB":  append([]byte("\x28\xb5\x2f\xfd\xe0"), 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0),
		"skippable of 4 GiB":     huge("\x50\x2a\x4d\x18"),
		"lz4 block of 2 GiB":     append([]byte("\x04\x22\x4d\x18\x60\x40\x82"), 0xff, 0xff, 0xff, 0x7f),
		"legacy block of 4 GiB":  huge("\x02\x21\x4c\x18"),
		"gzip header of 64 KiB":  []byte("\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\x03\xff\xff"),
		"reply of 8 EiB":         []byte("$9223372036854775807\r\nREDIS0011"),
		"reply of many newlines": bytes.Repeat([]byte("\n"), 10<<20),
	} {
		before := allocated()
		s, err := New(context.Background(), bytes.NewReader(in), name)
		if err == nil {
			_, err = io.Copy(io.Discard, s)
			closeOK(t, s)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if used := allocated() - before; used > 24<<20 { // lz4 keeps two blocks, and a legacy one has 8 MiB
			t.Errorf("%s: allocated %d KiB", name, used>>10)
		}
	}
}
