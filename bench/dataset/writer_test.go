package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// crcBitByBit is the checksum of RDB files from its definition.
func crcBitByBit(p []byte) uint64 {
	var crc uint64
	for _, b := range p {
		crc ^= uint64(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x95ac9329ac4bc9b5
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}

func checkFooter(t testing.TB, dump []byte) {
	t.Helper()
	body, footer := dump[:len(dump)-8], binary.LittleEndian.Uint64(dump[len(dump)-8:])
	if want := crcBitByBit(body); footer != want {
		t.Fatalf("footer %016x, want %016x", footer, want)
	}
}

func TestCRCByDefinition(t *testing.T) {
	if got := crcBitByBit([]byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Fatalf("crc %016x", got)
	}
}

func TestWriterBytes(t *testing.T) {
	var file bytes.Buffer
	w := NewWriter(&file, "REDIS0012")
	w.Aux("redis-bits", "64")
	w.Function("#!lua")
	w.SelectDB(3)
	w.ResizeDB(2, 1)
	w.SlotInfo(300, 1, 0)
	w.ExpireMs(1)
	w.Idle(64)
	w.Key(TypeString, []byte("a"), AppendString(nil, "-2"))
	w.ExpireSec(2)
	w.Freq(9)
	w.Key(TypeString, []byte("12345"), AppendString(nil, "b"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "REDIS0012" + "\xfa\x0aredis-bits\xc0\x40" + "\xf5\x05#!lua" + "\xfe\x03" + "\xfb\x02\x01" + "\xf4\x41\x2c\x01\x00" +
		"\xfc\x01\x00\x00\x00\x00\x00\x00\x00" + "\xf8\x40\x40" + "\x00\x01a\xc0\xfe" + "\xfd\x02\x00\x00\x00" + "\xf9\x09" + "\x00\xc1\x39\x30\x01b" + "\xff"
	if got := file.Bytes(); string(got[:len(got)-8]) != want {
		t.Errorf("wrote %q\nwant  %q", got[:len(got)-8], want)
	}
	checkFooter(t, file.Bytes())
	s := w.Stats()
	if s.Keys != 2 || s.Expiring != 2 || s.Expired != 2 || s.DBs[3] != 2 || s.Types[0] != 2 || s.Bytes != int64(file.Len()) {
		t.Errorf("stats %+v, %d bytes", s, file.Len())
	}
}

func TestWriterFooters(t *testing.T) {
	for magic, size := range map[string]int{"REDIS0004": 10, "REDIS0005": 18, "REDIS0010": 18, "VALKEY080": 18} {
		var file bytes.Buffer
		if err := NewWriter(&file, magic).Close(); err != nil || file.Len() != size {
			t.Errorf("%s: %d bytes, %v; want %d", magic, file.Len(), err, size)
		}
	}
	var file bytes.Buffer
	w := NewWriter(&file, "REDIS0010")
	w.NoChecksum = true
	if err := w.Close(); err != nil || !bytes.HasSuffix(file.Bytes(), make([]byte, 8)) {
		t.Errorf("wrote %q, %v; want a zero footer", file.Bytes(), err)
	}
	if err := NewWriter(io.Discard, "MYSQL0001x").Close(); err == nil {
		t.Error("a wrong magic is accepted")
	}
}

func TestWriterErrorIsSticky(t *testing.T) {
	broken := errors.New("disk full")
	w := NewWriter(failing{broken}, "REDIS0010")
	for range 10 {
		w.Key(TypeString, []byte("k"), AppendRawString(nil, make([]byte, flushSize)))
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// sets are all data sets at test size.
func sets() map[string]func(io.Writer, uint64) (Stats, error) {
	return map[string]func(io.Writer, uint64) (Stats, error){
		"mixed":       func(w io.Writer, seed uint64) (Stats, error) { return Mixed(w, 5000, seed) },
		"small":       func(w io.Writer, seed uint64) (Stats, error) { return Small(w, 5000, seed) },
		"strings":     func(w io.Writer, seed uint64) (Stats, error) { return BigStrings(w, 2, seed) },
		"collections": func(w io.Writer, seed uint64) (Stats, error) { return BigCollections(w, 2, 1500, seed) },
		"huge": func(w io.Writer, seed uint64) (Stats, error) {
			return Huge(w, HugeSizes{ZsetMembers: 3000, HashFields: 2000, StringBytes: 100_001}, seed)
		},
	}
}

func TestSetsAreDeterministic(t *testing.T) {
	for name, write := range sets() {
		t.Run(name, func(t *testing.T) {
			sums := map[[32]byte]int{}
			for _, seed := range []uint64{1, 1, 2} {
				h := sha256.New()
				if _, err := write(h, seed); err != nil {
					t.Fatal(err)
				}
				sums[[32]byte(h.Sum(nil))]++
			}
			if len(sums) != 2 {
				t.Errorf("seeds 1, 1 and 2 gave %d different dumps, want 2", len(sums))
			}
		})
	}
}

func TestSetsDecode(t *testing.T) {
	for name, write := range sets() {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			stats, err := write(&file, 7)
			if err != nil {
				t.Fatal(err)
			}
			checkFooter(t, file.Bytes())
			compareStats(t, file.Bytes(), stats)
		})
	}
}

func TestSampleDecodes(t *testing.T) {
	for _, f := range Flavors() {
		t.Run(f.Name, func(t *testing.T) {
			var file bytes.Buffer
			stats, err := Sample(&file, f)
			if err != nil {
				t.Fatal(err)
			}
			checkFooter(t, file.Bytes())
			compareStats(t, file.Bytes(), stats)
			if stats.Keys < 200 || stats.Keys > 400 || stats.Expired < 5 {
				t.Errorf("%d keys, %d of them expired", stats.Keys, stats.Expired)
			}
			for _, typ := range f.Types {
				if stats.Types[typ] == 0 {
					t.Errorf("no value of type %d", typ)
				}
			}
		})
	}
}

// compareStats checks the counts of a writer, and that no key is there twice.
func compareStats(t *testing.T, dump []byte, stats Stats) {
	t.Helper()
	seen := map[string]bool{}
	var expiring, total uint64
	for _, o := range decode(t, dump) {
		if seen[o.GetKey()] {
			t.Errorf("key %.80q is there twice", o.GetKey())
		}
		seen[o.GetKey()] = true
		if o.GetExpiration() != nil {
			expiring++
		}
		total++
	}
	if total != stats.Keys || expiring != stats.Expiring || int64(len(dump)) != stats.Bytes {
		t.Errorf("decoded %d keys, %d expiring, %d bytes; stats %+v", total, expiring, len(dump), stats)
	}
}

// TestMixedProportions holds the mixed set to its description: shares of types, share with expiry, bytes per key.
func TestMixedProportions(t *testing.T) {
	const keys = 50_000
	s, err := Mixed(io.Discard, keys, 1)
	if err != nil {
		t.Fatal(err)
	}
	share := func(types ...Type) (n float64) {
		for _, typ := range types {
			n += float64(s.Types[typ])
		}
		return n * 100 / keys
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"strings":     {share(TypeString), 55},
		"hashes":      {share(TypeHash, TypeHashListpack), 20},
		"sorted sets": {share(TypeZset2, TypeZsetListpack), 8},
		"lists":       {share(TypeListQuicklist2), 7},
		"sets":        {share(TypeSet, TypeSetIntset), 7},
		"streams":     {share(TypeStream2), 3},
		"expiring":    {float64(s.Expiring) * 100 / keys, 30},
	} {
		if c.got < c.want-1 || c.got > c.want+1 {
			t.Errorf("%s: %.1f %%, want %.0f", name, c.got, c.want)
		}
	}
	if perKey := float64(s.Bytes) / keys; perKey < 260 || perKey > 300 {
		t.Errorf("%.0f bytes a key, want some 280", perKey)
	}
	if s.Types[TypeHash] == 0 || s.Types[TypeZset2] == 0 || s.Types[TypeSetIntset] == 0 {
		t.Errorf("an encoding is missing: %v", s.Types[:20])
	}
}

// TestHugeNeedsNoMemory holds the stream of any size to a constant number of allocations.
func TestHugeNeedsNoMemory(t *testing.T) {
	write := func(n uint64) float64 {
		return testing.AllocsPerRun(1, func() {
			if _, err := Huge(io.Discard, HugeSizes{ZsetMembers: n, HashFields: n, StringBytes: n}, 1); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := write(1000), write(300_000); many > few+5 {
		t.Errorf("%.0f allocations for 1000 elements, %.0f for 300000", few, many)
	}
}
