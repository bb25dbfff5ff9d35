package element_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

func TestPlan(t *testing.T) {
	redis := func(v int) element.ServerVersion { return element.ServerVersion{Version: v} }
	valkey := func(v int) element.ServerVersion { return element.ServerVersion{Valkey: true, Version: v} }
	type row struct {
		t  rdbparse.Type
		s  element.ServerVersion
		do element.Verb
		to rdbparse.Type
	}
	for _, c := range []row{
		{20, redis(700), element.Rewrite, 2}, {20, redis(702), element.AsIs, 20}, {20, valkey(801), element.AsIs, 20},
		{16, redis(602), element.Rewrite, 4}, {17, redis(600), element.Rewrite, 5}, {18, redis(600), element.Rewrite, 1},
		{17, redis(300), element.Rewrite, 3}, {14, redis(300), element.Rewrite, 1}, {10, redis(300), element.AsIs, 10},
		{21, redis(700), element.Rewrite, 19}, {21, redis(602), element.Rewrite, 15}, {19, redis(500), element.Rewrite, 15},
		{26, redis(804), element.Rewrite, 21}, {27, redis(806), element.Rewrite, 26}, {27, valkey(901), element.Rewrite, 21},
		{26, redis(600), element.Rewrite, 15}, {15, redis(400), element.Refuse, 0},
		{24, redis(704), element.AsIs, 24}, {24, valkey(900), element.Rewrite, rdbparse.TypeHash2}, {25, valkey(801), element.Rewrite, 4},
		{rdbparse.TypeHash2, redis(800), element.Rewrite, 24}, {rdbparse.TypeHash2, redis(702), element.Rewrite, 4}, {rdbparse.TypeHash2, valkey(900), element.AsIs, rdbparse.TypeHash2},
		{30, redis(810), element.Rewrite, 29}, {30, redis(808), element.Rewrite, 4}, {32, redis(810), element.Rewrite, 31}, {32, valkey(901), element.Rewrite, 4},
		{29, redis(810), element.AsIs, 29}, {29, redis(700), element.Rewrite, 4}, {31, valkey(702), element.Rewrite, 4},
		{28, redis(800), element.Refuse, 0}, {7, redis(600), element.AsIs, 7}, {7, redis(302), element.Refuse, 0}, {6, redis(800), element.Refuse, 0},
		{rdbparse.TypeKeyDBCron, redis(800), element.Refuse, 0}, {rdbparse.TypeDragonflyJSON, redis(800), element.Refuse, 0},
	} {
		got := element.Plan(c.t.Info(), c.s)
		if got.Verb != c.do || got.Verb == element.Rewrite && got.To != c.to || (got.Reason != "") != (c.do == element.Refuse) {
			t.Errorf("%v for %v: %+v", c.t, c.s, got)
		}
		loses := c.do == element.Rewrite && c.to == 4 && (c.t == 24 || c.t == 25 || c.t == rdbparse.TypeHash2)
		if got.FieldExpiry != loses {
			t.Errorf("%v for %v: field expiry lost %v", c.t, c.s, got.FieldExpiry)
		}
	}
	// What one release reads, every later one of the family reads.
	for _, row := range rdbparse.Types() {
		for v := 500; v < 1000; v++ {
			for _, s := range []element.ServerVersion{redis(v), valkey(v)} {
				if element.Plan(&row, s).Verb == element.AsIs && element.Plan(&row, element.ServerVersion{Valkey: s.Valkey, Version: v + 1}).Verb != element.AsIs {
					t.Errorf("%s: %v but not its successor", row.Name, s)
				}
			}
		}
	}
}

// TestConvert rewrites each value to everything that it can be rewritten to, and
// compares in meaning.
func TestConvert(t *testing.T) {
	tried := 0
	for _, c := range values {
		v := value(c.t, c.raw)
		for _, to := range rdbparse.Types() {
			raw, err := element.Convert([]byte("x"), v, to.Type, element.Options{DropFieldExpiry: true})
			if errors.Is(err, element.ErrConversion) {
				if string(raw) != "x" {
					t.Errorf("%s: dst became %q", c.name, raw)
				}
				continue
			}
			if err != nil || raw[0] != 'x' {
				t.Errorf("%s to %s: %v", c.name, to.Name, err)
				continue
			}
			tried++
			got := element.Value{Type: &to, Raw: raw[1:]}
			text, err := render(element.Open(got))
			if err != nil {
				t.Errorf("%s to %s: %v", c.name, to.Name, err)
			}
			if diff, err := element.Diff(v, got); (err != nil || !diff.Same()) && !(to.Type == rdbparse.TypeHash && bytes.Contains([]byte(c.name), []byte("hash"))) {
				t.Errorf("%s to %s: %v, %v\n%s", c.name, to.Name, diff, err, text)
			}
			if _, err := element.Convert(nil, value(c.t, c.raw[:len(c.raw)-1]), to.Type, element.Options{DropFieldExpiry: true}); to.Type != c.t && !errors.Is(err, element.ErrDamaged) {
				t.Errorf("%s to %s, cut short: %v", c.name, to.Name, err)
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d conversions", tried)
	}
}

func TestConvertScores(t *testing.T) {
	scores := []float64{0, math.Copysign(0, -1), 1, 0.1, 1.0 / 3, math.MaxFloat64, -math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), 1 << 53, 123456789012345678}
	raw := length(uint64(len(scores)))
	for i, x := range scores {
		raw = join(raw, str(string(rune('a'+i))), f64(x))
	}
	old, err := element.Convert(nil, value(rdbparse.TypeZSet2, raw), rdbparse.TypeZSet, element.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := element.Open(value(rdbparse.TypeZSet, old))
	for _, x := range scores {
		if !r.Next() || math.Float64bits(r.Element().Score) != math.Float64bits(x) {
			t.Errorf("%v became %v, %v", x, r.Element().Score, r.Err())
		}
	}
}

func TestConvertFieldExpiry(t *testing.T) {
	v := value(rdbparse.TypeHash2, join(lens(3), str("f"), str("v"), u64(100), str("g"), str("w"), u64(200), str("h"), str("x"), u64(-1)))
	if _, err := element.Convert(nil, v, rdbparse.TypeHash, element.Options{}); !errors.Is(err, element.ErrFieldExpiry) {
		t.Errorf("expiry lost: %v", err)
	}
	for now, want := range map[int64]string{
		99:  "\"f\"=\"v\" @0\n\"g\"=\"w\" @0\n\"h\"=\"x\" @0\n",
		100: "\"g\"=\"w\" @0\n\"h\"=\"x\" @0\n",
		200: "\"h\"=\"x\" @0\n",
	} {
		raw, err := element.Convert(nil, v, rdbparse.TypeHash, element.Options{DropFieldExpiry: true, Now: now})
		if got, err2 := render(element.Open(value(rdbparse.TypeHash, raw))); err != nil || err2 != nil || got != want {
			t.Errorf("at %d: %v, %v\n%s", now, err, err2, got)
		}
	}
	all := value(rdbparse.TypeHash2, join(lens(1), str("f"), str("v"), u64(100)))
	if _, err := element.Convert(nil, all, rdbparse.TypeHash, element.Options{DropFieldExpiry: true, Now: 100}); !errors.Is(err, element.ErrEmpty) {
		t.Errorf("all expired: %v", err)
	}
	if _, err := element.Convert(nil, all, rdbparse.TypeHash, element.Options{Now: 100}); !errors.Is(err, element.ErrEmpty) {
		t.Errorf("all expired, none to be dropped: %v", err)
	}
	if _, err := element.Convert(nil, all, rdbparse.TypeHash, element.Options{Now: 99}); !errors.Is(err, element.ErrFieldExpiry) {
		t.Errorf("not yet expired: %v", err)
	}
	late := value(rdbparse.TypeHash2, join(lens(1), str("f"), str("v"), u64(1<<48)))
	if _, err := element.Convert(nil, late, rdbparse.TypeHashMetadata, element.Options{}); !errors.Is(err, element.ErrFieldExpiry) {
		t.Errorf("later than Redis can hold: %v", err)
	}
	none := value(rdbparse.TypeHash2, join(lens(1), str("f"), str("v"), u64(-1)))
	raw, err := element.Convert(nil, none, rdbparse.TypeHash, element.Options{})
	if err != nil || !bytes.Equal(raw, join(lens(1), str("f"), str("v"))) {
		t.Errorf("no field expires: %q, %v", raw, err)
	}
}

func TestConvertEmpty(t *testing.T) {
	for _, v := range []element.Value{
		value(rdbparse.TypeSetListpack, str(listpack())), value(rdbparse.TypeListQuicklist2, lens(0)), value(rdbparse.TypeListQuicklist, join(lens(1), str(ziplist()))),
	} {
		to := map[rdbparse.Kind]rdbparse.Type{rdbparse.KindSet: rdbparse.TypeSet, rdbparse.KindList: rdbparse.TypeList}[v.Type.Kind]
		if raw, err := element.Convert(nil, v, to, element.Options{}); !errors.Is(err, element.ErrEmpty) || len(raw) != 0 {
			t.Errorf("%s: %q, %v", v.Type.Name, raw, err)
		}
	}
}

// TestConvertReturned looks at the entries given back, in streams for servers
// that know none: they get a consumer, a new one or the one that is there.
func TestConvertReturned(t *testing.T) {
	const typ = rdbparse.TypeStreamListpacks5
	raw := stream(typ)
	adopted := bytes.Replace(raw, str("bo"), str(element.NackConsumer), 1)
	for _, to := range []rdbparse.Type{rdbparse.TypeStreamListpacks4, rdbparse.TypeStreamListpacks3, rdbparse.TypeStreamListpacks2, rdbparse.TypeStreamListpacks} {
		for _, from := range [][]byte{raw, adopted} {
			out, err := element.Convert(nil, value(typ, from), to, element.Options{})
			if err != nil {
				t.Fatal(err)
			}
			diff, err := element.Diff(value(typ, from), value(to, out))
			if err != nil || !diff.Same() {
				t.Errorf("to %v: %v, %v", to, diff, err)
			}
			var consumers, owned int
			r := element.Open(value(to, out))
			for r.Next() {
				switch r.Element().Kind {
				case element.Consumer:
					consumers++
				case element.Owned:
					owned++
				}
			}
			if want := 3 - bytes.Count(from, []byte(element.NackConsumer)); consumers != want || owned != 3 || r.Err() != nil {
				t.Errorf("to %v: %d consumers of %d, %d entries, %v", to, consumers, want, owned, r.Err())
			}
		}
	}
	orphan := bytes.Replace(raw, join(lens(1), rawID(8, 1)), lens(0), 1)
	if _, err := element.Convert(nil, value(typ, orphan), rdbparse.TypeStreamListpacks3, element.Options{}); !errors.Is(err, element.ErrDamaged) {
		t.Errorf("a pending entry that nobody has: %v", err)
	}
}

func TestParsePayload(t *testing.T) {
	seal := func(version uint16, body ...byte) []byte {
		body = binary.LittleEndian.AppendUint16(body, version)
		return binary.LittleEndian.AppendUint64(body, crc64.Update(0, body))
	}
	meta := []byte{243, 1, 9, 9, 9, 9, 5, 2, 'm', 'm', 2, 7, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	zero := seal(9, 0, 1, 'a')
	copy(zero[len(zero)-8:], make([]byte, 8))
	for name, c := range map[string]struct {
		p    []byte
		t    rdbparse.Type
		meta int
	}{
		"string":       {seal(9, 0, 1, 'a'), rdbparse.TypeString, 0},
		"no checksum":  {zero, rdbparse.TypeString, 0},
		"22 of Redis":  {seal(12, 22, 1), rdbparse.TypeHashMetadataPreGA, 0},
		"22 of Valkey": {seal(80, 22, 1), rdbparse.TypeHash2, 0},
		"23 of Valkey": {seal(81, 23, 1), rdbparse.TypePathHash, 0},
		"metadata":     {seal(13, append(bytes.Clone(meta), 0, 1, 'a')...), rdbparse.TypeString, len(meta)},
	} {
		v, err := element.ParsePayload(c.p)
		if err != nil || v.Type.Type != c.t || len(v.Meta) != c.meta || len(v.Raw) != len(c.p)-11-c.meta {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	bad := seal(9, 0, 1, 'a')
	bad[1] ^= 1
	for name, p := range map[string][]byte{
		"empty": nil, "footer only": seal(9), "checksum": bad, "type 8": seal(9, 8, 1), "24 of Valkey": seal(80, 24, 1),
		"metadata only": seal(13, meta...), "metadata cut": seal(13, meta[:9]...), "metadata of Valkey": seal(80, meta...),
	} {
		if v, err := element.ParsePayload(p); !errors.Is(err, element.ErrPayload) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}
