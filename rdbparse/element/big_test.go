package element_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

// inDump returns a dump of a value, with its template if it has one, and a key
// behind it.
func inDump(v element.Value) []byte {
	magic := "REDIS0015"
	if v.Type.Type>>8 == 1 {
		magic = "VALKEY081"
	}
	d := []byte(magic)
	if v.Type.Type>>8 == 2 {
		d = join(d, []byte{250}, str("df-ver"), str("1"))
	}
	if v.Fields != nil {
		d = join(d, []byte{242}, lens(3, 2), v.Fields)
	}
	d = join(d, []byte{v.Type.Type.Byte()}, str("key"), v.Raw, []byte{0}, str("next"), str("value"), []byte{255})
	return binary.LittleEndian.AppendUint64(d, crc64.Update(0, d))
}

// A memSpool keeps what it gets in memory.
type memSpool struct{ bytes.Buffer }

func (m *memSpool) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(p, off)
}

func (m *memSpool) Close() error { return nil }

// bigScanner returns a Scanner of a dump that holds no value of more than one byte.
// way chooses how the dump is read.
func bigScanner(data []byte, way int) *rdbparse.Scanner {
	opts := rdbparse.Options{MaxValue: 1, AnyVersion: true}
	in := io.Reader(bytes.NewReader(data))
	switch way % 4 {
	case 0:
		opts.Again = bytes.NewReader(data)
	case 1:
		opts.Again, opts.BufferSize = bytes.NewReader(data), 16
	case 2:
		in, opts.BufferSize = iotest.OneByteReader(in), 16
	case 3:
		in, opts.BufferSize = iotest.HalfReader(in), 100
	}
	if opts.Again == nil {
		opts.Spool = func() (rdbparse.Spool, error) { return &memSpool{}, nil }
	}
	return rdbparse.NewScanner(in, opts)
}

// bigValue returns the value of the dump's key "key", nil if it is held or the scan
// fails.
func bigValue(sc *rdbparse.Scanner) *rdbparse.BigValue {
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			return sc.BigValue()
		}
	}
	return nil
}

// heldValue returns the same value held, and the keys behind it.
func heldValue(data []byte) (v element.Value, behind []string, err error) {
	sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
	for sc.Next() {
		if e := sc.Entry(); v.Type != nil {
			behind = append(behind, string(e.Key))
		} else if e.Record == rdbparse.RecordKey {
			v = element.Value{Type: e.Type, Raw: bytes.Clone(e.Value), Fields: e.Fields}
		}
	}
	return v, behind, sc.Err()
}

// checkBig reads the value of a dump as a big one and expects what is found in it
// when it is held, unless a part of it cannot be given whole; then the next key, and
// the checksum.
func checkBig(t *testing.T, name string, data []byte, hold, way int, rnd *rand.Rand) (err error) {
	t.Helper()
	v, behind, broken := heldValue(data)
	sc := bigScanner(data, way)
	big := bigValue(sc)
	if big == nil { // it has one byte, or is none
		if sc.Err() != nil && broken == nil {
			t.Fatalf("%s: %v", name, sc.Err())
		}
		return nil
	}
	for range rnd.IntN(3) {
		readSome(element.OfBig(big, 1+rnd.IntN(100)), rnd)
	}
	got, err := render(element.OfBig(big, hold))
	if v.Type == nil {
		if err == nil || sc.Next() {
			t.Errorf("%s: %v and %v, though %v", name, err, sc.Err(), broken)
		}
		return err
	}
	want, wantErr := render(element.Open(v))
	switch need := longestKey(v); {
	case errors.Is(err, element.ErrTooLong):
		var long *element.LongError
		if !errors.As(err, &long) || wantErr == nil && v.Type.Kind != rdbparse.KindStream && need <= hold {
			t.Errorf("%s: %v, though only %d bytes", name, err, need)
		}
		if !strings.HasPrefix(want, got) && wantErr == nil {
			t.Errorf("%s: %v behind\n%s\nbut expected\n%s", name, err, got, want)
		}
	case wantErr != nil:
		if !errors.Is(err, element.ErrDamaged) && !errors.Is(err, element.ErrOpaque) {
			t.Errorf("%s: %v, but held %v", name, err, wantErr)
		}
	case err != nil || got != want:
		t.Errorf("%s: %v\n%s\nbut expected\n%s", name, err, got, want)
	case need > max(hold, 20) && need > len(v.Raw):
		t.Errorf("%s: a key of %d bytes was held", name, need)
	}
	if err == nil && rnd.IntN(2) == 0 {
		readSome(element.OfBig(big, hold), rnd)
	}
	var keys []string
	for sc.Next() {
		keys = append(keys, string(sc.Entry().Key))
	}
	if broken != nil {
		if sc.Err() == nil {
			t.Errorf("%s: no error behind the value, though %v", name, broken)
		}
	} else if fmt.Sprint(keys) != fmt.Sprint(behind) || sc.Err() != nil || sc.Checksum() != rdbparse.ChecksumOK {
		t.Errorf("%s: behind the value, read with %v: %q, %v, checksum %v", name, err, keys, sc.Err(), sc.Checksum())
	}
	return err
}

// readSome reads some of a value, and of its long parts.
func readSome(r *element.Reader, rnd *rand.Rand) {
	enough := errors.New("enough")
	for range rnd.IntN(20) {
		if !r.Next() {
			return
		}
		if r.Element().Long > 0 && rnd.IntN(2) == 0 {
			left := rnd.IntN(10)
			err := r.Parts(func(p []byte) error {
				if left--; left < 0 {
					return enough
				}
				return nil
			})
			if err != nil && err != enough {
				return
			}
		}
	}
}

// longestKey returns the size of the longest part that must be given whole.
func longestKey(v element.Value) (most int) {
	r := element.Open(v)
	for r.Next() {
		e := r.Element()
		size := len(e.Key)
		for _, p := range e.Pairs {
			size += len(p)
		}
		most = max(most, size)
	}
	return most
}

// manyValues returns the values of the table, and random ones.
func manyValues() map[string]element.Value {
	all := map[string]element.Value{}
	for _, c := range values {
		all[c.name] = value(c.t, c.raw)
	}
	fields := join(str("f"), []byte{0xc0, 7})
	longText := strings.Repeat("0123456789", 30)
	for _, c := range []element.Value{
		{Type: rdbparse.TypeHashTmplLPRef.Info(), Raw: str(listpack(number(3), text("v"), text(longText))), Fields: fields},
		{Type: rdbparse.TypeHashTmplArrayRef.Info(), Raw: join(lens(3), str(longText), []byte{0xc0, 8}), Fields: fields},
		value(rdbparse.TypeHashListpackEx, join(u64(1000), str(listpack(text("g"), text(longText), number(1000), text("f"), text("v"), number(0))))),
		value(rdbparse.TypeHash2, join(lens(2), str("f"), str(longText), u64(-1), str("g"), str("w"), u64(1234))),
		value(rdbparse.TypeHashTmplArray, join(lens(1, 2), str("f"), str("g"), str(longText), lzf)),
		value(rdbparse.TypeHashTmplLP, join(lens(0), str(listpack(text("f"), number(7))), str(listpack(number(3), text(longText), number(8))))),
		value(rdbparse.TypeArray, join(lens(2, 0), lens(0, 0), str(longText), lens(5, 1), u64(-3))),
		value(rdbparse.TypeListQuicklist2, join(lens(3, 2), str(listpack(text("a"), text(longText))), lens(1), str(longText), lens(2), str(listpack(text(longText), text("a"))))),
		value(rdbparse.TypeHashZipmap, str(zipmap(3, "f", longText, "g", "w"))),
	} {
		all[c.Type.Name+", long"] = c
	}
	rnd := dataset.NewRand(5)
	for _, flavor := range dataset.Flavors() {
		for _, typ := range flavor.Types {
			for _, n := range []int{1, 7, 200} {
				row := rdbparse.Type(typ).Info()
				if typ == dataset.TypeHash2Valkey {
					row = rdbparse.TypeHash2.Info()
				}
				all[fmt.Sprintf("%s, %d", row.Name, n)] = element.Value{Type: row, Raw: dataset.AppendRandom(nil, rnd, typ, n)}
			}
		}
	}
	return all
}

// TestBig reads values as big ones and expects the same elements as when they are
// held.
func TestBig(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	refused := map[int]int{}
	all := manyValues()
	for name, v := range all {
		data := inDump(v)
		for i, hold := range []int{1, 4, 60, 300, 20 << 10, 1 << 20} {
			err := checkBig(t, fmt.Sprintf("%s, hold %d", name, hold), data, hold, i+rnd.IntN(4), rnd)
			if err != nil {
				refused[hold]++
			}
			if err != nil && hold >= 20<<10 {
				t.Errorf("%s, hold %d: %v", name, hold, err)
			}
		}
	}
	if refused[300] > len(all)/2 || refused[1] == len(all) {
		t.Errorf("of %d values too many were refused: %v", len(all), refused)
	}
}

// TestBigDamaged changes each byte of values and expects the faults that are found
// in values that are held, and that reading goes on behind the value where its frame
// is sound.
func TestBigDamaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for name, v := range manyValues() {
		if len(v.Raw) > 200 {
			continue
		}
		for i := range v.Raw {
			bad := v
			bad.Raw = bytes.Clone(v.Raw)
			bad.Raw[i] ^= 1 << rnd.IntN(8)
			checkBig(t, fmt.Sprintf("%s, byte %d", name, i), inDump(bad), []int{1, 10, 100}[rnd.IntN(3)], rnd.IntN(4), rnd)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// TestBigCut cuts values at each byte.
func TestBigCut(t *testing.T) {
	for name, v := range manyValues() {
		if len(v.Raw) > 200 {
			continue
		}
		whole := inDump(v)
		start := len(whole) - 9 - 12 - len(v.Raw)
		for n := start; n < start+len(v.Raw); n++ {
			sc := bigScanner(whole[:n], n)
			big := bigValue(sc)
			if big != nil {
				_, err := render(element.OfBig(big, 1))
				if !errors.Is(err, rdbparse.ErrTruncated) && !errors.Is(err, element.ErrTooLong) || errors.Is(err, element.ErrDamaged) {
					t.Errorf("%s cut to %d: %v", name, n-start, err)
				}
			}
			if sc.Next() || !errors.Is(sc.Err(), rdbparse.ErrTruncated) {
				t.Errorf("%s cut to %d: %v", name, n-start, sc.Err())
			}
		}
	}
}

// A repeated is a dump of one value: head, n times block, tail.
type repeated struct {
	head, block, tail []byte
	n                 int
	at                int // in block
}

func (r *repeated) Read(p []byte) (n int, err error) {
	n = copy(p, r.head)
	r.head = r.head[n:]
	for n < len(p) && r.n > 0 {
		m := copy(p[n:], r.block[r.at:])
		n += m
		if r.at += m; r.at == len(r.block) {
			r.at, r.n = 0, r.n-1
		}
	}
	if r.n == 0 {
		m := copy(p[n:], r.tail)
		r.tail = r.tail[m:]
		n += m
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestBigMemory reads values of hundreds of megabytes and measures.
func TestBigMemory(t *testing.T) {
	const hold = 100 << 10
	end := join([]byte{255}, u64(0))
	member := join(str("member:12345678"), f64(1.5))
	item := join([]byte{0x80 | 20}, []byte("01234567890123456789"), []byte{21})
	long := join([]byte{0xf0}, binary.LittleEndian.AppendUint32(nil, 1<<20), bytes.Repeat([]byte("x"), 1<<20), backLength(5+1<<20, 0))
	reference := []byte{0xe0, 255, 0}
	lp := func(block []byte, blocks int) []byte {
		size := 6 + len(block)*blocks + 1
		return join(length(uint64(size)), binary.LittleEndian.AppendUint32(nil, uint32(size)), []byte{255, 255})
	}
	for _, c := range []struct {
		name     string
		t        rdbparse.Type
		head     []byte
		block    []byte
		n        int
		tail     []byte
		elements int
		bytes    int64 // of long values
	}{
		{"zset", rdbparse.TypeZSet2, length(10_000_000), member, 10_000_000, nil, 10_000_000, 0},
		{"string", rdbparse.TypeString, length(1 << 30), make([]byte, 1<<20), 1 << 10, nil, 1, 1 << 30},
		{"lzf string", rdbparse.TypeString, join([]byte{0xc3}, lens(3<<21+2, 264<<21+1), []byte{0, 'a'}), reference, 1 << 21, nil, 1, 264<<21 + 1},
		{"listpack of small items", rdbparse.TypeSetListpack, lp(item, 1<<22), item, 1 << 22, []byte{255}, 1 << 22, 0},
		{"listpack of long items", rdbparse.TypeListQuicklist2, join(lens(1, 2), lp(long, 200)), long, 200, []byte{255}, 200, 200 << 20},
	} {
		in := &repeated{head: join([]byte("REDIS0011"), []byte{c.t.Byte()}, str("key"), c.head), block: c.block, n: c.n, tail: join(c.tail, end)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sc := rdbparse.NewScanner(in, rdbparse.Options{MaxValue: 1 << 20, SkipChecksum: true})
		if !sc.Next() {
			t.Fatal(sc.Err())
		}
		r := element.OfBig(sc.BigValue(), hold)
		n, size := 0, int64(0)
		for ; r.Next(); n++ {
			if err := r.Parts(func(p []byte) error { size += int64(len(p)); return nil }); err != nil {
				t.Fatal(c.name, err)
			}
		}
		runtime.ReadMemStats(&after)
		if n != c.elements || size != c.bytes || r.Err() != nil || sc.Next() || sc.Err() != nil {
			t.Errorf("%s: %d elements, %d bytes, %v, %v", c.name, n, size, r.Err(), sc.Err())
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%s: %d bytes allocated", c.name, used)
		}
	}
}

// FuzzBig reads any bytes as a big value of each type. The oracle is the reading of
// the same value held.
func FuzzBig(f *testing.F) {
	index := map[rdbparse.Type]uint8{}
	types := rdbparse.Types()
	for i, row := range types {
		index[row.Type] = uint8(i)
	}
	for _, c := range values {
		f.Add(index[c.t], c.raw, false, uint64(1))
	}
	f.Add(index[rdbparse.TypeHashTmplLPRef], str(listpack(number(3), text("v"), number(8))), true, uint64(2))
	f.Fuzz(func(t *testing.T, which uint8, raw []byte, fields bool, seed uint64) {
		v := element.Value{Type: &types[int(which)%len(types)], Raw: raw}
		if fields {
			v.Fields = join(str("f"), []byte{0xc0, 7})
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		data := inDump(v)
		if held, _, _ := heldValue(data); held.Type != nil {
			if whole, _ := render(element.Open(held)); len(whole) > 1<<22 {
				return // compressed to the extreme; the rest would take too long
			}
		}
		checkBig(t, v.Type.Name, data, 1<<rnd.IntN(12), rnd.IntN(4), rnd)
		if v.Type.Kind == rdbparse.KindHash {
			checkBigHash(t, data, 1<<rnd.IntN(12), rnd.IntN(4))
		}
	})
}
