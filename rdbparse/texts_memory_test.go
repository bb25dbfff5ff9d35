package rdbparse_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// lzfText is an LZF string of a byte and n references of 264 bytes to the one before,
// which claims plain bytes.
func lzfText(n int, plain uint32) []byte {
	packed := append([]byte{0, 'a'}, bytes.Repeat([]byte{0xe0, 0xff, 0}, n)...)
	head := binary.BigEndian.AppendUint32([]byte{0xc3, 0x80}, uint32(len(packed)))
	return append(binary.BigEndian.AppendUint32(append(head, 0x80), plain), packed...)
}

// TestTextsMemory reads keys, names and code that are longer than they should be, or
// claim to be, and measures.
func TestTextsMemory(t *testing.T) {
	const n = 2 << 18 // 132 MiB
	whole := uint32(1 + 264*n)
	for name, tt := range map[string]struct {
		body []byte
		want error
	}{
		"key that claims more": {cat(0, lzfText(n, whole+1), "v"), rdbparse.ErrCorrupt},
		"name":                 {cat(250, lzfText(n, whole), "v"), rdbparse.ErrCorrupt},
		"AUX":                  {cat(250, "name", lzfText(n, whole), 0, "k", "v"), nil},
		"plain AUX":            {cat(250, "name", 0x80, 0, 0x80, 0, 0, zeros(8<<20), 0, "k", "v"), nil},
		"script":               {cat(250, "lua", lzfText(n, whole)), rdbparse.ErrCorrupt},
		"library":              {cat(245, lzfText(n, whole)), rdbparse.ErrCorrupt},
		"metadata":             {cat(243, 1, zeros(4), 5, 0x80, 4, 0, 0, 0, zeros(64<<20), 0, 0, "k", "v"), rdbparse.ErrCorrupt},
		"old library":          {cat(246, "old", "LUA", 0, lzfText(n, whole)), rdbparse.ErrCorrupt},
	} {
		d := dump("REDIS0011", tt.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := records(bytes.NewReader(d), rdbparse.Options{})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tt.want) || tt.want == nil && (len(got) != 2 || !strings.HasPrefix(got[0], `1 0 - "name"  `)) {
			t.Errorf("%s: %.200q, %v", name, got, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: took %d MB", name, took>>20)
		}
	}
}
