package dataset

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hdt3213/rdb/core"
	"github.com/hdt3213/rdb/lzf"
	"github.com/hdt3213/rdb/model"
)

// decode opens a dump with an independent decoder.
func decode(t testing.TB, dump []byte) []model.RedisObject {
	t.Helper()
	var objects []model.RedisObject
	err := core.NewDecoder(bytes.NewReader(dump)).Parse(func(o model.RedisObject) bool {
		objects = append(objects, o)
		return true
	})
	if err != nil {
		t.Fatalf("the decoder stops after %d keys: %v", len(objects), err)
	}
	return objects
}

// decodeValue puts one value into a dump and returns it decoded.
func decodeValue(t testing.TB, magic string, typ Type, value []byte) model.RedisObject {
	t.Helper()
	var file bytes.Buffer
	w := NewWriter(&file, magic)
	w.SelectDB(0)
	w.Key(typ, []byte("key"), value)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkFooter(t, file.Bytes())
	objects := decode(t, file.Bytes())
	if len(objects) != 1 || objects[0].GetKey() != "key" {
		t.Fatalf("type %d: decoded %d keys, want one", typ, len(objects))
	}
	return objects[0]
}

// texts makes byte strings comparable.
func texts(elems [][]byte) []string {
	out := make([]string, len(elems))
	for i, e := range elems {
		out[i] = string(e)
	}
	return out
}

func sortedTexts(elems [][]byte) []string {
	out := texts(elems)
	slices.Sort(out)
	return out
}

// forSizes runs a test for values of several sizes and with several seeds.
func forSizes(t *testing.T, test func(t *testing.T, r *Rand, n int)) {
	t.Helper()
	for _, n := range []int{1, 2, 5, 17, 64, 130, 300} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("n=%d/seed=%d", n, seed), func(t *testing.T) { test(t, NewRand(seed), n) })
		}
	}
}

func TestListEncodings(t *testing.T) {
	forSizes(t, func(t *testing.T, r *Rand, n int) {
		elems := randomElems(r, n)
		half := elems[:n/2]
		nodes, packed := [][]byte{}, []Node{}
		for _, part := range [][][]byte{half, elems[n/2:]} {
			if len(part) > 0 {
				nodes = append(nodes, AppendZiplist(nil, part))
				packed = append(packed, Node{Data: AppendListpack(nil, part)})
			}
		}
		packed = append(packed, Node{Plain: true, Data: []byte("plain")})
		for typ, value := range map[Type][]byte{
			TypeList:           AppendStrings(nil, elems),
			TypeListZiplist:    AppendRawString(nil, AppendZiplist(nil, elems)),
			TypeListQuicklist:  AppendQuicklist(nil, nodes),
			TypeListQuicklist2: AppendQuicklist2(nil, packed),
		} {
			want := texts(elems)
			if typ == TypeListQuicklist2 {
				want = append(want, "plain")
			}
			got := decodeValue(t, "REDIS0010", typ, value).(*model.ListObject)
			if d := cmp.Diff(want, texts(got.Values)); d != "" {
				t.Errorf("type %d: %s", typ, d)
			}
		}
	})
}

func TestSetEncodings(t *testing.T) {
	forSizes(t, func(t *testing.T, r *Rand, n int) {
		elems, ints := distinctElems(r, n), randomInts(r, n)
		var digits [][]byte
		for _, v := range ints {
			digits = append(digits, strconv.AppendInt(nil, v, 10))
		}
		for typ, c := range map[Type]struct {
			value []byte
			want  [][]byte
		}{
			TypeSet:         {AppendStrings(nil, elems), elems},
			TypeSetListpack: {AppendLZFString(nil, AppendListpack(nil, elems)), elems},
			TypeSetIntset:   {AppendRawString(nil, AppendIntset(nil, ints)), digits},
		} {
			got := decodeValue(t, "REDIS0011", typ, c.value).(*model.SetObject)
			if d := cmp.Diff(sortedTexts(c.want), sortedTexts(got.Members)); d != "" {
				t.Errorf("type %d: %s", typ, d)
			}
		}
	})
}

func TestHashEncodings(t *testing.T) {
	forSizes(t, func(t *testing.T, r *Rand, n int) {
		pairs := randomPairs(r, n)
		want, longest := map[string]string{}, 0
		for i := 0; i < len(pairs); i += 2 {
			want[string(pairs[i])] = string(pairs[i+1])
			longest = max(longest, len(pairs[i]), len(pairs[i+1]))
		}
		values := map[Type][]byte{
			TypeHash:         AppendHash(nil, pairs),
			TypeHashZipmap:   AppendRawString(nil, AppendZipmap(nil, pairs)),
			TypeHashZiplist:  AppendRawString(nil, AppendZiplist(nil, pairs)),
			TypeHashListpack: AppendRawString(nil, AppendListpack(nil, pairs)),
		}
		if longest > 252 || n > 253 {
			delete(values, TypeHashZipmap) // misread by this decoder; TestServerLoadsRandomValues has them
		}
		for typ, value := range values {
			got := map[string]string{}
			for f, v := range decodeValue(t, "REDIS0010", typ, value).(*model.HashObject).Hash {
				got[f] = string(v)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("type %d: %s", typ, d)
			}
		}
	})
}

func TestHashFieldExpiryEncodings(t *testing.T) {
	forSizes(t, func(t *testing.T, r *Rand, n int) {
		fields := RandomFields(r, n)
		type field struct {
			Value string
			At    int64
		}
		want := map[string]field{}
		for _, f := range fields {
			want[string(f.Name)] = field{string(f.Value), f.ExpireMs}
		}
		for _, c := range []struct {
			magic string
			typ   Type
			value []byte
		}{
			{"REDIS0012", TypeHashMetadata, AppendHashMetadata(nil, fields)},
			{"REDIS0012", TypeHashListpackEx, AppendHashListpackEx(nil, fields)},
			{"VALKEY080", TypeHash2Valkey, AppendHash2Valkey(nil, fields)},
		} {
			o := decodeValue(t, c.magic, c.typ, c.value).(*model.HashObject)
			got := map[string]field{}
			for f, v := range o.Hash {
				got[f] = field{string(v), max(o.FieldExpirations[f], 0)}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("type %d: %s", c.typ, d)
			}
		}
	})
}

func TestZsetEncodings(t *testing.T) {
	forSizes(t, func(t *testing.T, r *Rand, n int) {
		members := RandomMembers(r, n)
		want := map[string]float64{}
		for _, m := range members {
			want[string(m.Name)] = m.Score
		}
		for typ, value := range map[Type][]byte{
			TypeZset:         AppendZset(nil, members),
			TypeZset2:        AppendZset2(nil, members),
			TypeZsetZiplist:  AppendRawString(nil, AppendZiplist(nil, ZsetElems(members))),
			TypeZsetListpack: AppendRawString(nil, AppendListpack(nil, ZsetElems(members))),
		} {
			got := map[string]float64{}
			for _, e := range decodeValue(t, "REDIS0010", typ, value).(*model.ZSetObject).Entries {
				got[e.Member] = e.Score
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("type %d: %s", typ, d)
			}
		}
	})
}

func TestStreamEncodings(t *testing.T) {
	forSizes(t, func(t *testing.T, r *Rand, n int) {
		s := RandomStream(r, n)
		for _, typ := range []Type{TypeStream, TypeStream2, TypeStream3} {
			got := decodeValue(t, "REDIS0011", typ, AppendStream(nil, typ, s)).(*model.StreamObject)
			live := uint64(0)
			for _, node := range got.Entries {
				for _, m := range node.Msgs {
					if !m.Deleted {
						live++
					}
				}
			}
			if got.Length != s.Length || live != s.Length || *got.LastId != (model.StreamId{Ms: s.LastID.Ms, Sequence: s.LastID.Seq}) {
				t.Errorf("type %d: length %d, %d entries, last id %v; want %d entries to %v", typ, got.Length, live, *got.LastId, s.Length, s.LastID)
			}
			if typ >= TypeStream2 && (got.AddedEntriesCount != s.EntriesAdded || got.FirstId.Ms != s.FirstID.Ms || got.MaxDeletedId.Ms != s.MaxDeletedID.Ms) {
				t.Errorf("type %d: added %d, first %v, deleted %v; want %+v", typ, got.AddedEntriesCount, *got.FirstId, *got.MaxDeletedId, s)
			}
			compareGroups(t, typ, s.Groups, got.Groups)
		}
	})
}

func compareGroups(t *testing.T, typ Type, want []Group, got []*model.StreamGroup) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("type %d: %d groups, want %d", typ, len(got), len(want))
	}
	for i, g := range want {
		if got[i].Name != g.Name || got[i].LastId.Ms != g.LastID.Ms || len(got[i].Pending) != len(g.Pending) || len(got[i].Consumers) != len(g.Consumers) {
			t.Errorf("type %d: group %+v, want %+v", typ, got[i], g)
			continue
		}
		if typ >= TypeStream2 && got[i].EntriesRead != g.EntriesRead {
			t.Errorf("type %d: group %s has read %d, want %d", typ, g.Name, got[i].EntriesRead, g.EntriesRead)
		}
		for j, c := range g.Consumers {
			if d := got[i].Consumers[j]; d.Name != c.Name || d.SeenTime != uint64(c.SeenMs) || len(d.Pending) != len(c.Pending) {
				t.Errorf("type %d: consumer %+v, want %+v", typ, d, c)
			}
		}
	}
}

// TestLengthEdges has one element of each length at which an encoding changes its form.
func TestLengthEdges(t *testing.T) {
	r := NewRand(1)
	var elems [][]byte
	for _, n := range slices.Concat(edgeLens, longLens, []int{16382, 1<<16 - 1, 1 << 16, 1<<21 - 9, 1<<21 - 2, 1 << 21}) {
		elems = append(elems, r.AppendText(nil, n))
	}
	for typ, value := range map[Type][]byte{
		TypeList:           AppendStrings(nil, elems),
		TypeListZiplist:    AppendRawString(nil, AppendZiplist(nil, elems)),
		TypeListQuicklist2: AppendQuicklist2(nil, []Node{{Data: AppendListpack(nil, elems)}}),
	} {
		got := decodeValue(t, "REDIS0010", typ, value).(*model.ListObject)
		if !slices.Equal(texts(elems), texts(got.Values)) {
			t.Errorf("type %d: the elements differ", typ)
		}
	}
}

func FuzzLZF(f *testing.F) {
	r := NewRand(3)
	for _, n := range []int{1, 3, 4, 32, 33, 263, 264, 265, 266, 9000} {
		f.Add(bytes.Repeat([]byte{'a'}, n))
		f.Add(r.AppendText(nil, n))
	}
	far := append(r.AppendText(nil, 300), bytes.Repeat([]byte{0}, lzfMaxOffset-300)...)
	f.Add(append(far, far[:100]...))
	f.Add(append(append(far, 1), far[:100]...))
	var used Compressor
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) == 0 {
			return
		}
		out := new(Compressor).Append(nil, p)
		if again := used.Append(nil, p); !bytes.Equal(out, again) {
			t.Fatal("what was compressed before changes the output")
		}
		if len(out) > len(p)+len(p)/lzfMaxLiteral+1 {
			t.Fatalf("%d bytes became %d", len(p), len(out))
		}
		back, err := lzf.Decompress(out, len(out), len(p))
		if err != nil || !bytes.Equal(back, p) {
			t.Fatalf("%x is decompressed to %x, %v", p, back, err)
		}
	})
}

func TestLZFShrinksWhatRepeats(t *testing.T) {
	p := bytes.Repeat([]byte("rdb-import "), 1000)
	if out := new(Compressor).Append(nil, p); len(out) > len(p)/50 {
		t.Errorf("%d bytes became %d", len(p), len(out))
	}
}
