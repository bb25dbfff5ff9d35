package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestVerifyConverted compares each server's dump with what each server holds
// after an import of it: only what the import has refused is missing, whatever
// had to be converted. Fields that could not keep their expiry are differences.
func TestVerifyConverted(t *testing.T) {
	servers := matrixServers(t)
	dumps := matrixDumps(t, servers)
	for _, to := range servers {
		t.Run("to "+to.name, func(t *testing.T) {
			lc := to.run(t, true)
			c := connect(t, lc.URL())
			for _, d := range dumps {
				if !d.lfu {
					continue
				}
				t.Run("from "+d.name, func(t *testing.T) {
					p := &matrixPair{t: t, matrixDump: d, to: to, lc: lc, c: c}
					to.empty(t, lc, true)
					refused := p.refused(maps.Clone(d.states[scopes(d.version, to.version)]))
					res, err := imports(t, c, d.dump, allOptions())
					noError(t, err)
					verify := func(dropped string) pipeline.VerifyResult {
						got, found := verifies(t, c, d.dump, verifyOpts())
						libraries := int64(0) // that differ
						if !hasFunctions(to.version) {
							libraries = got.Functions
						}
						if got.FunctionsDiffer != libraries {
							t.Errorf("%d function libraries differ, expected %d", got.FunctionsDiffer, libraries)
						}
						maps.DeleteFunc(found, func(_ string, f pipeline.KeyDifference) bool { return f.Kind == pipeline.Function })
						compareRefusedKeys(t, refused, found, dropped)
						return got
					}
					if got := verify(""); got.Same != res.Restored || got.Expired != res.Expired || got.Extra != 0 {
						t.Errorf("imported %+v, compared %+v", res, got)
					}
					opts := allOptions()
					opts.DropFieldTTL = true
					_, err = imports(t, c, d.dump, opts)
					noError(t, err)
					verify("its fields expire")
				})
			}
		})
	}
}

// compareRefusedKeys compares the keys found to differ with those refused. Those
// with the reason dropped are on the target now, without the expiry of fields.
func compareRefusedKeys(t *testing.T, refused map[string]string, found map[string]pipeline.KeyDifference, dropped string) {
	t.Helper()
	for key, reason := range refused {
		want := pipeline.Missing
		if dropped != "" && strings.HasPrefix(reason, dropped) {
			want = pipeline.Different
		}
		if d, ok := found[key]; !ok || d.Kind != want {
			t.Errorf("%q: reported %v as %v: %s, expected %v", key, ok, d.Kind, d.What, want)
		}
	}
	for key, d := range found {
		if _, ok := refused[key]; !ok {
			t.Errorf("%q: %v: %s", key, d.Kind, d.What)
		}
	}
}

// TestVerifyMoved moves slots after the slot map has been read.
func TestVerifyMoved(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 5000)
	v, err := pipeline.Verify(t.Context(), c, verifyOpts())
	noError(t, err)
	b := lc.Masters()[1]
	for slot := range uint16(200) {
		assign(t, slot, b, lc.Masters()...)
	}
	_, err = imports(t, connect(t, lc.URL()), dump, allOptions())
	noError(t, err)
	noError(t, v.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})))
	res, err := v.Close()
	if err != nil || res.Same != 5000 || res.Redirects == 0 || res.Extra != 0 {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestVerifyAsk compares while slots are being migrated.
func TestVerifyAsk(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 5000)
	m, err := c.Map(t.Context())
	noError(t, err)
	to := lc.Masters()[2]
	for slot := range uint16(100) {
		from := owner(t, lc, m, slot)
		migrate(t, slot, from, to)
	}
	_, err = imports(t, c, dump, allOptions())
	noError(t, err)
	res, found := verifies(t, c, dump, verifyOpts())
	if len(found) > 0 || res.Same != 5000 || res.Redirects == 0 {
		t.Errorf("%+v, %v", res, found)
	}
}

// TestVerifyConnectionsLost cuts all connections again and again while it compares.
func TestVerifyConnectionsLost(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 50_000)
	_, err := imports(t, c, dump, allOptions())
	noError(t, err)
	opts := verifyOpts()
	opts.Memory = small
	opts.Found = func(d pipeline.KeyDifference) { t.Errorf("%q: %s", d.Key, d.What) }
	v, err := pipeline.Verify(t.Context(), c, opts)
	noError(t, err)
	gates := []gate{part(dump, 0.3), part(dump, 0.6), part(dump, 0.9)}
	checked := make(chan error, 1)
	go func() {
		src := &gated{dump: dump, gates: gates, quit: v.Done()}
		checked <- v.Check(rdbparse.NewScanner(src, rdbparse.Options{}))
	}()
	for i, g := range gates {
		await(t, "keys to be compared", func() bool { return v.Snapshot().Same >= int64(10_000*(i+1)) })
		for _, m := range masters(lc) {
			noError(t, m.ClientKillByFilter(t.Context(), "TYPE", "normal").Err())
		}
		close(g.open)
	}
	cerr := <-checked
	res, err := v.Close()
	if err != nil || cerr != nil || res.Same != 50_000 || res.Extra != 0 || res.Reconnects == 0 {
		t.Errorf("%v, %v, %+v", err, cerr, res)
	}
}

// TestVerifyMasterGone compares with a cluster of which a master is gone for
// good.
func TestVerifyMasterGone(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 1000)
	opts := verifyOpts()
	opts.RetryTimeout = 300 * time.Millisecond
	v, err := pipeline.Verify(t.Context(), c, opts)
	noError(t, err)
	lc.Masters()[0].Kill()
	cerr := v.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{}))
	res, err := v.Close()
	if err == nil || !strings.Contains(err.Error(), "cannot be compared") || res.Unsettled == 0 {
		t.Errorf("%v, %v, %+v", err, cerr, res)
	}
}

// TestVerifyTroubled names a master that does not answer, as long as it does not.
func TestVerifyTroubled(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	v, err := pipeline.Verify(t.Context(), connect(t, lc.URL()), verifyOpts())
	noError(t, err)
	check := func() {
		t.Helper()
		noError(t, v.Check(rdbparse.NewScanner(bytes.NewReader(manyStrings(t, 100)), rdbparse.Options{})))
	}
	check()
	await(t, "the connection", func() bool { return v.Snapshot().Missing == 100 })
	frozen := lc.Masters()[0]
	noError(t, frozen.Pause())
	resume := sync.OnceValue(frozen.Resume)
	t.Cleanup(func() { _ = resume() })
	v.NewSource()
	check()
	await(t, "its name", func() bool {
		list := v.Troubled()
		return len(list) == 1 && list[0].Addr == lc.Addrs()[0] && list[0].State == pipeline.MasterSilent && list[0].For > 0
	})
	noError(t, resume())
	res, err := v.Close()
	if err != nil || res.Missing != 200 || len(v.Troubled()) != 0 {
		t.Errorf("%v, %+v, %+v", err, res, v.Troubled())
	}
}

// TestVerifyStopped stops a comparison: what has been read is compared, no more is read,
// and nothing is said of extra keys.
func TestVerifyStopped(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	v, err := pipeline.Verify(t.Context(), connect(t, lc.URL()), verifyOpts())
	noError(t, err)
	noError(t, v.Check(rdbparse.NewScanner(bytes.NewReader(manyStrings(t, 20_000)), rdbparse.Options{})))
	v.Stop()
	<-v.Done()
	v.NewSource()
	if err := v.Check(rdbparse.NewScanner(bytes.NewReader(manyStrings(t, 10)), rdbparse.Options{})); !errors.Is(err, pipeline.ErrStopped) {
		t.Errorf("Check: %v", err)
	}
	res, err := v.Close()
	if !errors.Is(err, pipeline.ErrStopped) || res.Read != 20_000 || res.Missing != 20_000 || res.Unsettled != 0 || res.ExtraKnown {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestVerifySample compares a tenth of the slots.
func TestVerifySample(t *testing.T) {
	lc := start(t, localcluster.Options{})
	opts := verifyOpts()
	opts.Sample = 0.1
	opts.Extra = true
	res, found := verifies(t, connect(t, lc.URL()), manyStrings(t, 20_000), opts)
	slots := map[uint16]bool{}
	for key := range found {
		slots[slotter.Slot([]byte(key))] = true
	}
	if res.Missing+res.Skipped != 20_000 || res.Missing < 1000 || res.Missing > 3000 || len(slots) > 1639 {
		t.Errorf("%+v, %d slots", res, len(slots))
	}
	for i := range 20_000 { // every key of such a slot is there
		key := fmt.Sprintf("key:%d", i)
		if _, ok := found[key]; ok != slots[slotter.Slot([]byte(key))] {
			t.Fatalf("%s: reported %v", key, ok)
		}
	}
	m := masters(lc)
	for i := range 1000 {
		key := fmt.Sprintf("extra:%d", i)
		for _, c := range m {
			_ = c.Set(t.Context(), key, "x", 0).Err() // one of them takes it
		}
	}
	res, _ = verifies(t, connect(t, lc.URL()), manyStrings(t, 20_000), opts)
	if res.Extra < 50 || res.Extra > 200 || !res.ExtraListed {
		t.Errorf("extra keys of a sample: %+v", res)
	}
}

// TestVerifyMemory compares values that are larger than the budget, and more keys
// than it has room for hashes of.
func TestVerifyMemory(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	c := connect(t, lc.URL())
	n := lc.Nodes()[0]
	for i := range 4 {
		noError(t, n.Client().Set(t.Context(), fmt.Sprint("large", i), bytes.Repeat([]byte{byte(i), 7, 9, byte(i * i)}, 1<<20), 0).Err())
	}
	for i := range 3 {
		must(t, n, "EVAL", "for i = 1, 15000 do redis.call('SET', KEYS[1] .. ':' .. i, i) end return 1", 1, fmt.Sprint("key", i))
	}
	dump := save(t, n, false)
	noError(t, n.Client().Append(t.Context(), "large2", "x").Err())
	opts := verifyOpts()
	opts.Memory, opts.Lanes, opts.Extra = 1<<20, 3, true
	var warned []string
	opts.Warn = func(text string) { warned = append(warned, text) }
	res, found := verifies(t, c, dump, opts)
	if d := found["large2"]; len(found) != 1 || d.Kind != pipeline.Different || res.ExtraListed || res.Extra != 0 {
		t.Errorf("%+v, %v", res, found)
	}
	if text := strings.Join(warned, "\n"); !strings.Contains(text, "extra keys are not listed: 45004 keys are compared") || !strings.Contains(text, "; --memory 2MiB has room") {
		t.Errorf("warned of %q", text)
	}
	opts.Memory, warned = 2<<20, nil
	if res, _ := verifies(t, c, dump, opts); !res.ExtraListed || len(warned) > 1 { // that idle times are reset, if at all
		t.Errorf("%+v, warned of %q", res, warned)
	}
}

// TestVerifyDatabases compares a dump of several databases with a server that has
// as many.
func TestVerifyDatabases(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	c := connect(t, lc.URL())
	n := lc.Nodes()[0]
	for _, db := range []int{0, 3, 9} {
		noError(t, c.ClientDB(n.Addr, db).Set(t.Context(), fmt.Sprint("key", db), "value", 0).Err())
	}
	dump := save(t, n, false)
	noError(t, c.ClientDB(n.Addr, 3).Set(t.Context(), "key3", "other", 0).Err())
	noError(t, c.ClientDB(n.Addr, 5).Set(t.Context(), "key0", "value", 0).Err())
	noError(t, c.ClientDB(n.Addr, 9).Del(t.Context(), "key9").Err())
	opts := verifyOpts()
	opts.Extra = true
	res, found := verifies(t, c, dump, opts)
	for key, want := range map[string]pipeline.KeyDifference{
		"key3": {Kind: pipeline.Different, DB: 3}, "key0": {Kind: pipeline.Extra, DB: 5}, "key9": {Kind: pipeline.Missing, DB: 9},
	} {
		if d := found[key]; d.Kind != want.Kind || d.DB != want.DB {
			t.Errorf("%s: %+v, expected %+v", key, d, want)
		}
	}
	if len(found) != 3 || res.Same != 1 {
		t.Errorf("%+v, %v", res, found)
	}
}

// TestSlowLine compares what expires, and what waits for somebody, with a server that
// tells only for how long, over a line on which its answers take longer than an expiry may
// be off.
func TestSlowLine(t *testing.T) {
	t.Parallel()
	lc := matrixServerNamed(t, "redis-6.0").run(t, true)
	g, c := behind(t, lc, 1)
	target := altered{t, lc}
	const keys, entries = 600, 500
	for i := range keys {
		target.run(fmt.Sprintf("string:%d", i), cmd("SET", noise(uint64(i), 40)))
		target.run(fmt.Sprintf("string:%d", i), cmd("PEXPIREAT", future))
	}
	for i := range entries {
		target.run("stream", cmd("XADD", fmt.Sprintf("%d-1", i+1), "f", "v"))
	}
	target.run("stream", cmd("XGROUP CREATE", "group", "0"))
	target.run("stream", cmd("XREADGROUP GROUP group "+strings.Repeat("n", 60)+" STREAMS", ">"))
	dump := save(t, lc.Nodes()[0], false)
	g.Set(proxy.Plan{Rate: 16 << 10})
	opts := verifyOpts()
	opts.TTLTolerance = time.Millisecond
	if res, found := verifies(t, c, dump, opts); res.Same != keys+1 {
		t.Errorf("%+v, %d differ", res, len(found))
	}
	if _, found := bigVerifies(t, c, dump, small); len(found) > 0 {
		t.Errorf("%d differ: %v", len(found), found["stream"])
	}
	if res, err := imports(t, c, dump, all(pipeline.ConflictFail)); err != nil || res.Existing != keys+1 {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestVerifyStray puts keys on a master that does not own them: that is counted, and
// listed, unless their slot is being migrated there.
func TestVerifyStray(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := manyStrings(t, 300)
	_, err := imports(t, c, dump, allOptions())
	noError(t, err)
	stray := func(key string, migrating bool) *localcluster.Node {
		slot := slotter.Slot([]byte(key))
		from, to := neighbours(t, lc, c, slot)
		must(t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID)
		conn := to.Client().Conn()
		defer conn.Close()
		noError(t, conn.Do(t.Context(), "ASKING").Err())
		noError(t, conn.Do(t.Context(), "RESTORE", key, 0, from.Client().Dump(t.Context(), key).Val()).Err())
		if migrating {
			must(t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID)
			must(t, from, "DEL", key)
		} else {
			must(t, to, "CLUSTER", "SETSLOT", slot, "STABLE")
		}
		return from
	}
	stray("key:1", true)
	stray("key:2", false)
	must(t, stray("key:3", false), "DEL", "key:3")
	for _, list := range []bool{false, true} {
		var found []string
		opts := verifyOpts()
		opts.Extra = list
		opts.Found = func(d pipeline.KeyDifference) { found = append(found, fmt.Sprintf("%v %s: %s", d.Kind, d.Key, d.What)) }
		v, err := pipeline.Verify(t.Context(), c, opts)
		noError(t, err)
		noError(t, v.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})))
		res, err := v.Close()
		text := strings.Join(found, "\n")
		if err != nil || res.Same != 299 || res.Missing != 1 || res.Extra != 2 || res.ExtraListed != list {
			t.Errorf("%v, %+v, found\n%s", err, res, text)
		}
		for _, key := range []string{"key:2", "key:3"} {
			if list != strings.Contains(text, "extra "+key+": it is on 127.0.0.1:") {
				t.Errorf("listed %v: %s", list, text)
			}
		}
	}
}
