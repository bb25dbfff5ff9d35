package census_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/census"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// read counts a dump in memory.
func read(t *testing.T, dump []byte, opts census.Options, scan rdbparse.Options) (*census.Census, census.Dump) {
	t.Helper()
	c := census.New(opts)
	d, err := c.Read(rdbparse.NewScanner(bytes.NewReader(dump), scan))
	if err != nil {
		t.Fatal(err)
	}
	return c, d
}

// sample returns a dump with one of everything.
func sample(t *testing.T, flavor string) ([]byte, dataset.Stats) {
	t.Helper()
	f, err := dataset.FlavorByName(flavor)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	stats, err := dataset.Sample(&b, f)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), stats
}

// now is between the two expiry times of the data sets.
const now = (dataset.PastMs + dataset.FutureMs) / 2

// TestSample counts samples with and without values that are too big to be held,
// against what their writer counted and against plain sums over a scan.
func TestSample(t *testing.T) {
	for _, flavor := range []string{"redis-6.0", "redis-7.0", "redis-8.0", "valkey-8.1", "valkey-9.1"} {
		for _, limit := range []int{0, 100} {
			t.Run(fmt.Sprintf("%s/%d", flavor, limit), func(t *testing.T) {
				dump, want := sample(t, flavor)
				c, d := read(t, dump, census.Options{Now: now, Top: 5, Prefixes: 1000}, rdbparse.Options{MaxValue: limit, BufferSize: 4096})
				if c.Total.Keys != int64(want.Keys) || d.Keys != int64(want.Keys) {
					t.Errorf("%d keys, %d in the dump, want %d", c.Total.Keys, d.Keys, want.Keys)
				}
				x := c.Expiry
				if got := x.Day.Keys + x.Later.Keys + x.Expired.Keys; got != int64(want.Expiring) || x.None.Keys+got != int64(want.Keys) {
					t.Errorf("%d keys expire and %d do not, want %d of %d", got, x.None.Keys, want.Expiring, want.Keys)
				}
				if x.Expired.Keys < int64(want.Expired) || want.Expired == 0 {
					t.Errorf("%d keys have expired, want %d or more", x.Expired.Keys, want.Expired)
				}
				byType := [256]uint64{}
				for _, n := range c.Types() {
					byType[n.Type.Type.Byte()] += uint64(n.Keys)
				}
				if byType != want.Types {
					t.Errorf("by type %v, want %v", byType, want.Types)
				}
				if dbs := c.Databases(); len(dbs) != 1 || dbs[0].DB != 0 || dbs[0].Count != c.Total {
					t.Errorf("databases %v", dbs)
				}
				checkBytes(t, c, dump)
			})
		}
	}
}

// checkBytes compares bytes with the distances between the records of a scan.
func checkBytes(t *testing.T, c *census.Census, dump []byte) {
	t.Helper()
	var sizes []int64
	prefixes := map[string]census.Count{}
	sum := int64(0)
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			continue
		}
		size := sc.Offset() - e.Offset
		sizes = append(sizes, size)
		sum += size
		name := ""
		if i := bytes.IndexByte(e.Key, ':'); i >= 0 {
			name = string(e.Key[:min(i+1, 64)])
		}
		p := prefixes[name]
		prefixes[name] = census.Count{Keys: p.Keys + 1, Bytes: p.Bytes + size}
	}
	if c.Total.Bytes != sum {
		t.Errorf("%d bytes, want %d", c.Total.Bytes, sum)
	}
	slices.Sort(sizes)
	for _, p := range []int{1, 50, 90, 99, 100} {
		want := sizes[(len(sizes)*p+99)/100-1]
		if got := c.Sizes.Percentile(float64(p)); got < want || got > want+want/16 {
			t.Errorf("percentile %d is %d, want %d or up to a sixteenth more", p, got, want)
		}
	}
	slices.Reverse(sizes)
	for i, k := range c.Top() {
		if k.Bytes != sizes[i] {
			t.Errorf("key %d of the biggest, %q, has %d bytes, want %d", i, k.Key, k.Bytes, sizes[i])
		}
	}
	list, other, dropped := c.Prefixes()
	if len(list) != len(prefixes) || other.Keys != 0 || dropped != 0 {
		t.Errorf("%d prefixes, %d dropped, want %d", len(list), dropped, len(prefixes))
	}
	for i, p := range list {
		if p.Count != prefixes[p.Name] {
			t.Errorf("prefix %q: %v, want %v", p.Name, p.Count, prefixes[p.Name])
		}
		if i > 0 && p.Bytes > list[i-1].Bytes {
			t.Errorf("prefix %q is heavier than the one before", p.Name)
		}
	}
}

// TestElements counts the elements of each type in the sample, whose keys name
// how many they have; but for streams, in which some entries are deleted.
func TestElements(t *testing.T) {
	for _, flavor := range []string{"redis-7.0", "redis-8.0", "valkey-9.1"} {
		dump, _ := sample(t, flavor)
		c, _ := read(t, dump, census.Options{Top: 1000}, rdbparse.Options{})
		seen := map[rdbparse.Type]bool{}
		for _, k := range c.Top() {
			_, text, ok := strings.Cut(string(k.Key), "{")
			n := int64(0)
			if _, err := fmt.Sscanf(text, "%d}", &n); !ok || err != nil || !strings.HasPrefix(string(k.Key), "type:") {
				continue
			}
			seen[k.Type.Type] = true
			if k.Type.Kind == rdbparse.KindStream {
				n = streamEntries(t, dump, string(k.Key))
			}
			if k.Elements != n {
				t.Errorf("%s: %q has %d elements", flavor, k.Key, k.Elements)
			}
		}
		if len(seen) < 14 {
			t.Errorf("%s: only %d types seen", flavor, len(seen))
		}
	}
}

// streamEntries walks a stream.
func streamEntries(t *testing.T, dump []byte, key string) (n int64) {
	t.Helper()
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey || string(e.Key) != key {
			continue
		}
		r := element.Open(element.Value{Type: e.Type, Raw: e.Value})
		for r.Next() {
			if r.Element().Kind == element.Entry {
				n++
			}
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
	}
	return n
}

func TestBeside(t *testing.T) {
	dump, _ := sample(t, "redis-7.0")
	c := census.New(census.Options{})
	for range 2 {
		d, err := c.Read(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if d.AuxValue("redis-ver") != "7.0.0" || d.AuxValue("lua") != "" || d.Version != 10 || d.Valkey || d.Checksum != rdbparse.ChecksumOK || d.Offset != int64(len(dump)) {
			t.Errorf("the dump: %+v", d)
		}
	}
	if c.Scripts != 2 || len(c.Libraries) != 2 || c.Libraries["samplelib"] != 2 || c.Libraries["samplelib2"] != 2 {
		t.Errorf("%d scripts, libraries %v", c.Scripts, c.Libraries)
	}
}

// TestDay puts expiries at the edges of what is told apart.
func TestDay(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	var b bytes.Buffer
	w := dataset.NewWriter(&b, "REDIS0009")
	for i, at := range []int64{-1, 0, now, now + 1, now + day, now + day + 1} {
		w.ExpireMs(at)
		w.Key(dataset.TypeString, fmt.Appendf(nil, "k%d", i), dataset.AppendString(nil, "v"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	c, _ := read(t, b.Bytes(), census.Options{Now: now, Estimate: func(*rdbparse.Entry) (int64, bool) { asked++; return 10, true }}, rdbparse.Options{})
	if x := c.Expiry; x.Expired.Keys != 3 || x.Day.Keys != 2 || x.Later.Keys != 1 || x.None.Keys != 0 {
		t.Errorf("%+v", x)
	}
	if asked != 3 || c.Memory != 30 || c.Estimated.Keys != 3 {
		t.Errorf("estimated %d times, %d bytes, %v", asked, c.Memory, c.Estimated)
	}
}

// TestBigAtEnds has values that are not held before another database, before
// another key and at the end of the dump.
func TestBigAtEnds(t *testing.T) {
	var b bytes.Buffer
	w := dataset.NewWriter(&b, "REDIS0009")
	long := dataset.AppendRawString(nil, strings.Repeat("x", 20_000))
	for db := range 2 {
		w.SelectDB(db)
		for i := range 2 {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "%d.%d", db, i), long)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	c, _ := read(t, b.Bytes(), census.Options{
		Slot: func(key []byte) uint16 { return uint16(key[0]-'0')*10 + uint16(key[2]-'0') },
		Each: func(k *census.Key) error {
			keys = append(keys, fmt.Sprintf("%d %s %d %d %v", k.DB, k.Key, k.Bytes, k.Slot, k.Big))
			return nil
		},
		Estimate: func(*rdbparse.Entry) (int64, bool) { t.Error("asked about a value that is not held"); return 0, false },
	}, rdbparse.Options{MaxValue: 10, BufferSize: 64})
	const one = 1 + 4 + 5 + 20_000
	want := []string{
		fmt.Sprintf("0 0.0 %d 0 true", one), fmt.Sprintf("0 0.1 %d 1 true", one),
		fmt.Sprintf("1 1.0 %d 10 true", one), fmt.Sprintf("1 1.1 %d 11 true", one),
	}
	if !slices.Equal(keys, want) {
		t.Errorf("got  %q\nwant %q", keys, want)
	}
	if u := c.Unestimated(); len(u) != 1 || u[0].Keys != 4 {
		t.Errorf("not estimated: %v", u)
	}
	for _, slot := range []int{0, 1, 10, 11} {
		if c.Slots()[slot].Keys != 1 {
			t.Errorf("slot %d: %v", slot, c.Slots()[slot])
		}
	}
}

// TestDamaged keeps what was seen before the fault.
func TestDamaged(t *testing.T) {
	dump, want := sample(t, "redis-7.0")
	half := dump[:len(dump)/2]
	c := census.New(census.Options{Now: now})
	d, err := c.Read(rdbparse.NewScanner(bytes.NewReader(half), rdbparse.Options{}))
	if !errors.Is(err, rdbparse.ErrTruncated) {
		t.Fatalf("error %v", err)
	}
	if d.Keys == 0 || d.Keys >= int64(want.Keys) || d.Keys != c.Total.Keys || d.Checksum != rdbparse.ChecksumPending || d.Version != 10 {
		t.Errorf("%+v", d)
	}
}

// TestStops: errors of the caller's functions end the reading.
func TestStops(t *testing.T) {
	var b bytes.Buffer
	if _, err := dataset.Small(&b, 5000, 1); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	for name, opts := range map[string]census.Options{
		"each":  {Each: func(*census.Key) error { return stop }},
		"every": {Every: func(int64) error { return stop }},
	} {
		c := census.New(opts)
		_, err := c.Read(rdbparse.NewScanner(bytes.NewReader(b.Bytes()), rdbparse.Options{}))
		if !errors.Is(err, stop) || c.Total.Keys == 0 || c.Total.Keys > 1024 {
			t.Errorf("%s: error %v after %d keys", name, err, c.Total.Keys)
		}
	}
}

// TestManyPrefixes holds no more prefixes than it should, and the heavy ones
// whenever they come.
func TestManyPrefixes(t *testing.T) {
	var b bytes.Buffer
	w := dataset.NewWriter(&b, "REDIS0009")
	value := dataset.AppendString(nil, "v")
	const n = 1000
	for i := range n {
		w.Key(dataset.TypeString, fmt.Appendf(nil, "user%d:x", i), value)
		if i > n/2 {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "late:%d", i), value)
		}
	}
	w.Key(dataset.TypeString, []byte(strings.Repeat("a", 70)+":b"), value)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, _ := read(t, b.Bytes(), census.Options{Prefixes: 10}, rdbparse.Options{})
	list, other, dropped := c.Prefixes()
	if len(list) > 20 || list[0].Name != "late:" || list[0].Keys != n/2-1 {
		t.Errorf("%d prefixes, the first %+v", len(list), list[0])
	}
	sum := other.Keys
	for _, p := range list {
		sum += p.Keys
	}
	if sum != c.Total.Keys || dropped+int64(len(list)) != n+2 {
		t.Errorf("%d keys of %d, %d dropped and %d held", sum, c.Total.Keys, dropped, len(list))
	}
	if i := slices.IndexFunc(list, func(p census.Prefix) bool { return p.Name == strings.Repeat("a", 64) }); i < 0 {
		t.Error("a long prefix is not cut")
	}
}

// TestHistogram compares percentiles of random sizes with exact ones.
func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h census.Histogram
		sizes := make([]int64, 1+r.IntN(300))
		for i := range sizes {
			sizes[i] = r.Int64() >> r.IntN(63)
			h.Add(sizes[i])
		}
		slices.Sort(sizes)
		if h.Max() != sizes[len(sizes)-1] {
			t.Fatalf("max %d, want %d", h.Max(), sizes[len(sizes)-1])
		}
		for p := 1; p <= 100; p++ {
			want := sizes[(len(sizes)*p+99)/100-1]
			got := h.Percentile(float64(p))
			if got < want || got-want > want/16 {
				t.Fatalf("percentile %d of %d is %d, want %d", p, len(sizes), got, want)
			}
			if want < 32 && got != want {
				t.Fatalf("a small size is exact: %d, want %d", got, want)
			}
		}
	}
	var none census.Histogram
	if none.Percentile(50) != 0 || none.Max() != 0 {
		t.Error("sizes of nothing")
	}
}

// TestAllocs: counting a key allocates nothing.
func TestAllocs(t *testing.T) {
	var small, large bytes.Buffer
	for b, n := range map[*bytes.Buffer]int{&small: 2000, &large: 20000} {
		if _, err := dataset.Mixed(b, n, 3); err != nil {
			t.Fatal(err)
		}
	}
	allocs := func(dump []byte) float64 {
		return testing.AllocsPerRun(3, func() {
			c := census.New(census.Options{Top: 20, Slot: func(key []byte) uint16 { return uint16(len(key)) }})
			if _, err := c.Read(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := allocs(small.Bytes()), allocs(large.Bytes())
	if many-few > 100 {
		t.Errorf("%.0f allocations for 2,000 keys, %.0f for 20,000", few, many)
	}
}
