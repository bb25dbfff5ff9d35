package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hdt3213/rdb/core"
	"github.com/hdt3213/rdb/model"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
	"github.com/rdbimport/rdbimport/slotter"
)

func sampleDump(t *testing.T, flavor string) []byte {
	t.Helper()
	f, err := dataset.FlavorByName(flavor)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := dataset.Sample(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestProfiler compares the estimates of single keys with those that the decoder
// gives when it reads the whole dump.
func TestProfiler(t *testing.T) {
	for _, flavor := range []string{"redis-7.0", "redis-8.0", "valkey-9.1"} {
		dump := sampleDump(t, flavor)
		want := map[string]int64{}
		err := core.NewDecoder(bytes.NewReader(dump)).Parse(func(o model.RedisObject) bool {
			want[o.GetKey()] = int64(o.GetSize())
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		p := newProfiler()
		sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
		seen := 0
		for sc.Next() {
			e := sc.Entry()
			if e.Record != rdbparse.RecordKey {
				continue
			}
			seen++
			n, ok := p.estimate(e)
			if !ok || n != want[string(e.Key)] || n <= 0 {
				t.Errorf("%s: %q, %s: %d, %v, want %d", flavor, e.Key, e.Type.Name, n, ok, want[string(e.Key)])
			}
		}
		if seen != len(want) || seen < 200 {
			t.Errorf("%s: %d keys, want %d", flavor, seen, len(want))
		}
	}
}

// TestProfilerClosed gives the profiler what it cannot open. A header that claims
// more than there is must not be believed.
func TestProfilerClosed(t *testing.T) {
	intset := dataset.AppendIntset(nil, []int64{1, 2, 3})
	copy(intset[4:], "\xff\xff\xff\xff")
	plain := dataset.Node{Plain: true, Data: []byte("plain")}
	packed := dataset.Node{Data: dataset.AppendListpack(nil, [][]byte{[]byte("packed")})}
	for name, e := range map[string]rdbparse.Entry{
		"intset with 4 billion members":    {Type: rdbparse.TypeSetIntset.Info(), Value: dataset.AppendRawString(nil, intset)},
		"module":                           {Type: rdbparse.TypeModule2.Info(), Value: moduleValue()},
		"array":                            {Type: rdbparse.TypeArray.Info(), Value: []byte{0}},
		"hash of a Valkey to come":         {Type: rdbparse.TypePathHash.Info(), Value: []byte{0}},
		"cut string":                       {Type: rdbparse.TypeString.Info(), Value: []byte{9, 'x'}},
		"list with a packed node at last":  {Type: rdbparse.TypeListQuicklist2.Info(), Value: dataset.AppendQuicklist2(nil, []dataset.Node{plain, packed})},
		"value that is not held":           {Type: rdbparse.TypeString.Info(), Big: true},
		"stream of nothing but its length": {Type: rdbparse.TypeStreamListpacks3.Info(), Value: []byte{5}},
	} {
		e.Key = []byte("k")
		if n, ok := newProfiler().estimate(&e); ok {
			t.Errorf("%s: estimated at %d bytes", name, n)
		}
	}
}

// TestByMaster spreads keys over masters, one slot of which nobody has.
func TestByMaster(t *testing.T) {
	var b bytes.Buffer
	w := dataset.NewWriter(&b, "REDIS0009")
	const n = 5000
	for i := range n {
		w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendRawString(nil, "value"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lost := slotter.Slot([]byte("key:7"))
	masters, err := slotter.NewMap([]slotter.Master{{Addr: "a:1"}, {Addr: "b:2"}}, [][]slotter.Range{
		{{First: 0, Last: lost - 1}}, {{First: lost + 1, Last: slotter.Slots - 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &inspection{inspectSettings: &inspectSettings{memory: true, top: 3, hasTarget: true}, masters: masters, inputs: []*inspectSource{{name: "dump.rdb"}}}
	r.census = census.New(r.censusOptions(t.Context()))
	if _, err := r.census.Read(rdbparse.NewScanner(&b, rdbparse.Options{})); err != nil {
		t.Fatal(err)
	}
	rep := &r.report
	rep.finish(r, nil)
	keys, bytes, memory := rep.Unowned.Keys, rep.Unowned.Bytes, int64(0)
	for _, m := range rep.Masters {
		keys += m.Keys
		bytes += m.Bytes
		memory += *m.Memory
	}
	first := int64(0)
	for i := range n {
		if slotter.Slot(fmt.Appendf(nil, "key:%d", i)) < lost {
			first++
		}
	}
	if keys != n || bytes != rep.Bytes || rep.Masters[0].Keys != first || rep.Unowned.Keys < 1 {
		t.Errorf("%d keys, %d bytes of %d, master a:1 has %d keys, want %d; %d are nobody's",
			keys, bytes, rep.Bytes, rep.Masters[0].Keys, first, rep.Unowned.Keys)
	}
	if memory <= 0 || memory >= rep.Memory.Bytes {
		t.Errorf("memory of the masters %d, of all %d", memory, rep.Memory.Bytes)
	}
	var text strings.Builder
	rep.write(r, &text)
	for _, want := range []string{"the fullest, ", "in slots that no master has: "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

func TestJSONText(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "plain:1": `"plain:1"`, `a"b\`: `"a\"b\\"`, "tab\t": `"tab\t"`, "clé": `"clé"`, "\x7f": "\"\x7f\"",
	} {
		if got := string(appendJSONText(nil, []byte(in))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
