package rdbparse_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

// dump builds a dump of the given magic: body, EOF and checksum.
func dump(magic string, body ...[]byte) []byte {
	d := append([]byte(magic), bytes.Join(body, nil)...)
	d = append(d, 255)
	return binary.LittleEndian.AppendUint64(d, crc64.Update(0, d))
}

// Parts of values, written out.
func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case rune:
			b = append(b, byte(p))
		case string: // a string of up to 63 bytes
			b = append(append(b, byte(len(p))), p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func zeros(n int) []byte { return make([]byte, n) }

// listpack builds a listpack of short strings.
func listpack(elems ...string) []byte {
	b := zeros(6)
	for _, e := range elems {
		b = append(append(b, 0x80|byte(len(e))), e...)
		b = append(b, byte(1+len(e)))
	}
	b = append(b, 0xff)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(len(elems)))
	return b
}

// listpackInt builds a listpack of a small integer and short strings.
func listpackInt(n byte, elems ...string) []byte {
	b := listpack(elems...)
	b = append(b[:6:6], append([]byte{n, 1}, b[6:]...)...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(len(elems)+1))
	return b
}

var lp = string(listpack("a", "b"))

// frames holds a value of every type, as it stands in a dump.
var frames = []struct {
	magic string
	typ   rdbparse.Type
	value []byte
}{
	{"REDIS0001", rdbparse.TypeString, cat("hello")},
	{"REDIS0007", rdbparse.TypeString, cat(0xc0, 5)},
	{"REDIS0007", rdbparse.TypeString, cat(0xc1, 5, 6)},
	{"REDIS0007", rdbparse.TypeString, cat(0xc2, 5, 6, 7, 8)},
	{"REDIS0007", rdbparse.TypeString, cat(0xc3, 4, 7, 0, 'a', 0x80, 0)},
	{"REDIS0008", rdbparse.TypeString, cat(0x81, 0, 0, 0, 0, 0, 0, 0, 3, 'a', 'b', 'c')},
	{"REDIS0007", rdbparse.TypeString, cat(0x80, 0, 0, 0, 3, 'a', 'b', 'c')},
	{"REDIS0007", rdbparse.TypeString, cat(0x40, 3, 'a', 'b', 'c')},
	{"REDIS0001", rdbparse.TypeList, cat(2, "a", "bc")},
	{"REDIS0001", rdbparse.TypeSet, cat(2, "a", 0xc0, 1)},
	{"REDIS0001", rdbparse.TypeZSet, cat(4, "a", "1.5", "b", 253, "c", 254, "d", 255)},
	{"REDIS0001", rdbparse.TypeHash, cat(1, "f", "v")},
	{"REDIS0008", rdbparse.TypeZSet2, cat(2, "a", zeros(8), "b", zeros(8))},
	{"REDIS0008", rdbparse.TypeModule2, cat(0x81, zeros(8), 1, 9, 2, 0x81, bytes.Repeat([]byte{255}, 8), 3, zeros(4), 4, zeros(8), 5, "x", 0)},
	{"REDIS0002", rdbparse.TypeHashZipmap, cat("blob")},
	{"REDIS0002", rdbparse.TypeListZiplist, cat("blob")},
	{"REDIS0002", rdbparse.TypeSetIntset, cat("blob")},
	{"REDIS0002", rdbparse.TypeZSetZiplist, cat("blob")},
	{"REDIS0004", rdbparse.TypeHashZiplist, cat("blob")},
	{"REDIS0007", rdbparse.TypeListQuicklist, cat(2, "blob", "blob")},
	{"REDIS0009", rdbparse.TypeStreamListpacks, cat(1, string(zeros(16)), lp, 2, 5, 1, 1, "g", 5, 1, 1, zeros(24), 1, 1, "c", zeros(8), 1, zeros(16))},
	{"REDIS0010", rdbparse.TypeHashListpack, cat(lp)},
	{"REDIS0010", rdbparse.TypeZSetListpack, cat(lp)},
	{"REDIS0010", rdbparse.TypeListQuicklist2, cat(2, 1, "plain", 2, lp)},
	{"REDIS0010", rdbparse.TypeStreamListpacks2, cat(1, string(zeros(16)), lp, 2, 5, 1, 1, 2, 3, 4, 5, 1, "g", 5, 1, 9, 1, zeros(24), 1, 1, "c", zeros(8), 1, zeros(16))},
	{"REDIS0011", rdbparse.TypeSetListpack, cat(lp)},
	{"REDIS0011", rdbparse.TypeStreamListpacks3, cat(0, 0, 5, 1, 1, 2, 3, 4, 5, 1, "g", 5, 1, 0x81, bytes.Repeat([]byte{255}, 8), 0, 1, "c", zeros(16), 0)},
	{"REDIS0012", rdbparse.TypeHashMetadataPreGA, cat(1, 9, "f", "v")},
	{"REDIS0012", rdbparse.TypeHashListpackExPreGA, cat(lp)},
	{"REDIS0012", rdbparse.TypeHashMetadata, cat(zeros(8), 2, 0, "f", "v", 3, "g", "w")},
	{"REDIS0012", rdbparse.TypeHashListpackEx, cat(zeros(8), lp)},
	{"REDIS0013", rdbparse.TypeStreamListpacks4, cat(0, 0, 5, 1, 1, 2, 3, 4, 5, 0, 10, 20, 1, "producer", 1, "iid", 5, 1, 7, 8)},
	{"REDIS0014", rdbparse.TypeStreamListpacks5, cat(0, 0, 5, 1, 1, 2, 3, 4, 5, 1, "g", 5, 1, 0, 0, 1, "c", zeros(16), 0, 1, zeros(16), 10, 20, 0, 7, 8)},
	{"REDIS0014", rdbparse.TypeArray, cat(4, 1, 9, 0, 0, "s", 1, 1, zeros(8), 2, 2, zeros(8), 3, 3, "t")},
	{"REDIS0014", rdbparse.TypeArray, cat(1, 0, 0, 0, "s")},
	{"REDIS0015", rdbparse.TypeHashTmplLP, cat(0, lp, string(listpack("v", "w")))},
	{"REDIS0015", rdbparse.TypeHashTmplLP, cat(1, 2, "f", "g", lp)},
	{"REDIS0015", rdbparse.TypeHashTmplArray, cat(0, lp, "v", "w")},
	{"REDIS0015", rdbparse.TypeHashTmplArray, cat(1, 2, "f", "g", "v", "w")},
	{"REDIS0015", rdbparse.TypeHashTmplLPRef, cat(string(listpackInt(7, "v", "w", "x")))},
	{"REDIS0015", rdbparse.TypeHashTmplArrayRef, cat(7, "v", "w", "x")}, // template 7, see TestFrames
	{"VALKEY080", rdbparse.TypeHash2, cat(1, "f", "v", zeros(8))},
	{"REDIS0009", rdbparse.TypeKeyDBCron, cat("script", zeros(16), 1, "k", 2, "a", "b")},
	{"REDIS0009", rdbparse.TypeDragonflyJSON, cat("{}")},
	{"REDIS0009", rdbparse.TypeDragonflyHash, cat(1, "f", "v", "60")},
	{"REDIS0009", rdbparse.TypeDragonflySet, cat(2, "a", "60", "b", "0")},
	{"REDIS0009", rdbparse.TypeDragonflySBF, cat(0, zeros(16), 1, 2, 3, 1, 4, "bits")},
	{"REDIS0009", rdbparse.TypeDragonflySBF2, cat(0, zeros(16), 1, 2, 3, 1, 4, 5, 2, 'a', 'b', 3, 'c', 'd', 'e')},
	{"REDIS0009", rdbparse.TypeDragonflyCMS, cat(3, 2, 9, zeros(48))},
	{"REDIS0009", rdbparse.TypeDragonflyTopK, cat(0, 1, 2, 3, zeros(8), 1, "item", 4, "table")},
	{"REDIS0009", rdbparse.TypeDragonflyCuckoo, cat(1, 2, 3, 4, 5, 6, 1, 3, 1, 'a', 2, 'b', 'c')},
}

// head returns what must stand before a value of type t to give it its meaning.
func head(t rdbparse.Type) []byte {
	switch {
	case t>>8 == 2:
		return cat(250, "df-ver", "1.2.3")
	case t == rdbparse.TypeHashTmplArrayRef || t == rdbparse.TypeHashTmplLPRef:
		return cat(242, 7, 3, "f", "g", "h")
	}
	return nil
}

func TestFrames(t *testing.T) {
	seen := map[rdbparse.Type]bool{}
	for _, f := range frames {
		seen[f.typ] = true
		d := dump(f.magic, head(f.typ), cat(254, 0, int(f.typ.Byte()), "key", f.value, 0, "next", "value"))
		sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{})
		var got [][]byte
		for sc.Next() {
			if e := sc.Entry(); e.Record == rdbparse.RecordKey {
				if len(got) == 0 && e.Type.Type != f.typ {
					t.Errorf("%v: read as %v", f.typ, e.Type.Type)
				}
				got = append(got, bytes.Clone(e.Key), bytes.Clone(e.Value))
			}
		}
		if sc.Err() != nil {
			t.Errorf("%v: %v", f.typ, sc.Err())
			continue
		}
		want := [][]byte{[]byte("key"), f.value, []byte("next"), cat("value")}
		if !bytes.Equal(bytes.Join(got, []byte{1}), bytes.Join(want, []byte{1})) {
			t.Errorf("%v: got %q, expected %q", f.typ, got, want)
		}
	}
	for _, row := range rdbparse.Types() {
		unknowable := row.Type == rdbparse.TypeModulePreGA || row.Type == rdbparse.TypePathHash
		if !seen[row.Type] && !unknowable {
			t.Errorf("no value of type %v is tested", row.Type)
		}
	}
}

// TestFramesCut cuts each value at every byte: framing must say that it is cut,
// or damaged, and never go beyond it.
func TestFramesCut(t *testing.T) {
	for _, f := range frames {
		whole := cat([]byte(f.magic), head(f.typ), int(f.typ.Byte()), "key")
		for n := range len(f.value) {
			sc := rdbparse.NewScanner(bytes.NewReader(append(bytes.Clone(whole), f.value[:n]...)), rdbparse.Options{})
			for sc.Next() {
				if sc.Entry().Record == rdbparse.RecordKey {
					t.Errorf("%v: %d of %d bytes were taken for a value", f.typ, n, len(f.value))
				}
			}
			var fe *rdbparse.FormatError
			if !errors.As(sc.Err(), &fe) || !errors.Is(fe, rdbparse.ErrTruncated) || string(fe.Key) != "key" {
				t.Errorf("%v cut to %d bytes: %v", f.typ, n, sc.Err())
			}
		}
	}
}

func TestRecords(t *testing.T) {
	d := dump("REDIS0013",
		cat(250, "redis-ver", "8.6.0", 250, "n", 0xc0, 42),
		cat(245, "#!lua name=l\nx"), cat(246, "old", "LUA", 1, "about", "code"),
		cat(247, 0x81, zeros(7), 1, 2, 1, 0),
		cat(254, 3, 251, 2, 1, 244, 1, 2, 3, 121, 1, 107, 9),
		cat(252, 1, 2, 0, 0, 0, 0, 0, 0, 250, "mvcc-tstamp", "5", 249, 7, 0, "k", "v"),
		cat(253, 0xff, 0xff, 0xff, 0xff, 248, 0x40, 100, 243, 1, zeros(4), 2, 5, 0, 0, 0xc1, 1, 1, "v"),
		cat(0, "plain", "v"),
	)
	got, err := records(bytes.NewReader(d), rdbparse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`1 0 - "redis-ver" 382e362e30  false 0 -1 -1 @9`,
		`1 0 - "n" 3432  false 0 -1 -1 @26`,
		`2 0 - "" 23216c7561206e616d653d6c0a78  false 0 -1 -1 @31`,
		`2 0 - "old" 23214c5541206e616d653d6f6c640a636f6465  false 0 -1 -1 @47`,
		`3 0 - "AAAAAAAAA"   false 0 -1 -1 @68`,
		`1 3 - "mvcc-tstamp" 35  false 0 -1 -1 @103`,
		`0 3 string "k" 0176  true 513 -1 7 @94`,
		`0 3 string "257" 0176 f30100000000020500 true -1000 100 -1 @125`,
		`0 3 string "plain" 0176  false 0 -1 -1 @148`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nexpected:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBadInput(t *testing.T) {
	wrong := dump("REDIS0011", cat(0, "k", "v"))
	wrong[len(wrong)-1] ^= 1
	tests := []struct {
		name   string
		dump   []byte
		reason error
		text   string
	}{
		{"empty", nil, rdbparse.ErrNotRDB, "not an RDB dump"},
		{"text", []byte("hello, this is a text"), rdbparse.ErrNotRDB, "offset 0"},
		{"letters", []byte("REDISabcd"), rdbparse.ErrNotRDB, ""},
		{"version 0", dump("REDIS0000"), rdbparse.ErrVersion, ""},
		{"version 16", dump("REDIS0016"), rdbparse.ErrVersion, `"REDIS0016"`},
		{"valkey 79", dump("VALKEY079"), rdbparse.ErrVersion, ""},
		{"cut magic", []byte("REDI"), rdbparse.ErrNotRDB, ""},
		{"no end", []byte("REDIS0011"), rdbparse.ErrTruncated, "offset 9"},
		{"no checksum", []byte("REDIS0011\xff123"), rdbparse.ErrTruncated, ""},
		{"unknown type", dump("REDIS0011", cat(40, "k", "v")), rdbparse.ErrUnknown, "40 is no type or opcode"},
		{"type 8", dump("REDIS0011", cat(8, "k", "v")), rdbparse.ErrUnknown, ""},
		{"type 6", dump("REDIS0008", cat(6, "k", "v")), rdbparse.ErrUnknown, "module_pre_ga"},
		{"path hash", dump("VALKEY081", cat(23, "k", "v")), rdbparse.ErrUnknown, "path_hash"},
		{"redis type in valkey", dump("VALKEY080", cat(24, "k", "v")), rdbparse.ErrUnknown, ""},
		{"valkey opcode", dump("VALKEY081", cat(242, "x")), rdbparse.ErrUnknown, ""},
		{"redis enterprise", dump("REDIS0011", cat(100, "x")), rdbparse.ErrUnknown, ""},
		{"dragonfly blob", dump("REDIS0009", cat(250, "df-ver", "1", 201, "x")), rdbparse.ErrUnknown, "Dragonfly"},
		{"bad length", dump("REDIS0011", cat(0, "k", 0xbf, 0)), rdbparse.ErrCorrupt, `key "k"`},
		{"bad string", dump("REDIS0011", cat(0, "k", 0xc4, 0)), rdbparse.ErrCorrupt, ""},
		{"lzf bomb", dump("REDIS0011", cat(0, "k", 0xc3, 4, 0x80, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0)), rdbparse.ErrCorrupt, ""},
		{"lzf key", dump("REDIS0011", cat(0, 0xc3, 2, 5, 0xff, 0xff, "v")), rdbparse.ErrCorrupt, ""},
		{"huge claim", dump("REDIS0011", cat(0, "k", 0x81, 0x7f, bytes.Repeat([]byte{255}, 7))), rdbparse.ErrCorrupt, ""},
		{"large claim", dump("REDIS0011", cat(0, "k", 0x80, 0xff, 0xff, 0xff, 0xff)), rdbparse.ErrTruncated, ""},
		{"no template", dump("REDIS0015", cat(32, "k", 5, "v")), rdbparse.ErrCorrupt, "template 5"},
		{"container 3", dump("REDIS0010", cat(18, "k", 1, 3, "v")), rdbparse.ErrCorrupt, ""},
		{"module item 6", dump("REDIS0010", cat(7, "k", 1, 6)), rdbparse.ErrCorrupt, ""},
		{"checksum", wrong, rdbparse.ErrChecksum, "offset 15, in the checksum"},
	}
	for _, tt := range tests {
		sc := rdbparse.NewScanner(bytes.NewReader(tt.dump), rdbparse.Options{})
		for sc.Next() {
		}
		var fe *rdbparse.FormatError
		if !errors.Is(sc.Err(), tt.reason) || !errors.As(sc.Err(), &fe) || !strings.Contains(sc.Err().Error(), tt.text) {
			t.Errorf("%s: %v", tt.name, sc.Err())
		}
		if sc.Next() {
			t.Errorf("%s: goes on after the error", tt.name)
		}
	}
}

// TestMaxValue expects values that are too long to be passed over, with their
// keys, and the others to be held.
func TestMaxValue(t *testing.T) {
	long := strings.Repeat("x", 5000)
	body := append(cat(0, "long", 0x80, 0, 0, 0x13, 0x88), long...)
	d := dump("REDIS0011", cat(0, "a", "short"), body, cat(0, "b", "short"))
	sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{BufferSize: 64, MaxValue: 1000})
	got := ""
	for sc.Next() {
		e := sc.Entry()
		got += string(e.Key)
		if e.Big {
			got += "!"
		}
		if e.Big != (len(e.Value) == 0) {
			t.Errorf("%q: big %v with %d bytes", e.Key, e.Big, len(e.Value))
		}
	}
	if got != "along!b" || sc.Err() != nil || sc.Checksum() != rdbparse.ChecksumOK {
		t.Errorf("%s, %v, checksum %v", got, sc.Err(), sc.Checksum())
	}
}

func TestPayload(t *testing.T) {
	d := dump("REDIS0011", cat(0, "k", "hello"), cat(20, "s", lp))
	sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{})
	for _, version := range []byte{1, 11} {
		if !sc.Next() {
			t.Fatal(sc.Err())
		}
		e := sc.Entry()
		p := rdbparse.AppendPayload([]byte("before"), e)[6:]
		if len(p) != rdbparse.PayloadSize(e) {
			t.Errorf("payload of %d bytes, expected %d", len(p), rdbparse.PayloadSize(e))
		}
		if p[0] != e.Type.Type.Byte() || !bytes.Equal(p[1:len(p)-10], e.Value) {
			t.Errorf("payload %q does not hold the value %q", p, e.Value)
		}
		if p[len(p)-10] != version || p[len(p)-9] != 0 {
			t.Errorf("version % x, expected %d", p[len(p)-10:len(p)-8], version)
		}
		if crc64.Update(0, p) != crc64.Update(0, binary.LittleEndian.AppendUint64(bytes.Clone(p[:len(p)-8]), crc64.Update(0, p[:len(p)-8]))) {
			t.Error("wrong checksum")
		}
	}
}
