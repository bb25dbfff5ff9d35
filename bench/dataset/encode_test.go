package dataset

import (
	"bytes"
	"strings"
	"testing"
)

// elemsOf splits at spaces.
func elemsOf(s string) [][]byte { return bytes.Fields([]byte(s)) }

// TestPackedBytes holds the packed forms to examples, those of ziplist.c and zipmap.c among them.
func TestPackedBytes(t *testing.T) {
	long := strings.Repeat("x", 253)
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"ziplist of integers":   {AppendZiplist(nil, elemsOf("2 5")), "\x0f\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf3\x02\xf6\xff"},
		"ziplist, empty":        {AppendZiplist(nil, nil), "\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff"},
		"ziplist, long entry":   {AppendZiplist(nil, [][]byte{[]byte(long), []byte("-2")})[10+2+1+253:], "\xfe\x00\x01\x00\x00\xfe\xfe\xff"},
		"zipmap":                {AppendZipmap(nil, elemsOf("foo bar hello world!")), "\x02\x03foo\x03\x00bar\x05hello\x06\x00world!\xff"},
		"zipmap, free bytes":    {AppendZipmap(nil, elemsOf("f world")), "\x01\x01f\x05\x02world\x00\x00\xff"},
		"zipmap, 253 bytes":     {AppendZipmap(nil, [][]byte{[]byte(long), nil}), "\x01\xfd" + long + "\x00\x00\xff"},
		"zipmap, 254 bytes":     {AppendZipmap(nil, [][]byte{[]byte(long + "x"), nil}), "\x01\xfe\xfe\x00\x00\x00" + long + "x\x00\x00\xff"},
		"listpack":              {AppendListpack(nil, elemsOf("a 127 128 -1 foo")), "\x17\x00\x00\x00\x05\x00\x81a\x02\x7f\x01\xc0\x80\x02\xdf\xff\x02\x83foo\x04\xff"},
		"listpack, empty":       {AppendListpack([]byte("before"), nil), "before\x07\x00\x00\x00\x00\x00\xff"},
		"listpack, 65535 elems": {AppendListpack(nil, make([][]byte, 65535))[:6], "\x05\x00\x02\x00\xff\xff"},
		"intset, 16 bits":       {AppendIntset(nil, []int64{5, -1}), "\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x05\x00"},
		"intset, 32 bits":       {AppendIntset(nil, []int64{32768}), "\x04\x00\x00\x00\x01\x00\x00\x00\x00\x80\x00\x00"},
		"old double":            {AppendZset(nil, []Member{{[]byte("m"), 0.5}}), "\x01\x01m\x030.5"},
		"stream id":             {AppendStreamID(nil, StreamID{1, 2}), "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestLengthsAndStrings(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"6 bits":        {AppendLen(nil, 63), "\x3f"},
		"14 bits":       {AppendLen(nil, 64), "\x40\x40"},
		"14 bits, max":  {AppendLen(nil, 16383), "\x7f\xff"},
		"32 bits":       {AppendLen(nil, 16384), "\x80\x00\x00\x40\x00"},
		"64 bits":       {AppendLen(nil, 1<<32), "\x81\x00\x00\x00\x01\x00\x00\x00\x00"},
		"int8":          {AppendString(nil, "-128"), "\xc0\x80"},
		"int16":         {AppendString(nil, "128"), "\xc1\x80\x00"},
		"int32":         {AppendString(nil, "-2147483648"), "\xc2\x00\x00\x00\x80"},
		"beyond int32":  {AppendString(nil, "2147483648"), "\x0a2147483648"},
		"not canonical": {AppendString(nil, "007"), "\x03007"},
		"minus zero":    {AppendString(nil, "-0"), "\x02-0"},
		"lzf":           {AppendLZFString(nil, []byte("aaaaaaaaaa")), "\xc3\x05\x0a\x00a\xe0\x00\x00"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}
