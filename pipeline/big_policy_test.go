package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestBigConflicts imports large values whose keys are on the target already. What
// is there stays as it is, unless it is replaced, and no temporary key is left.
func TestBigConflicts(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	c, n := connect(t, lc.URL()), lc.Nodes()[0]
	later := time.Now().Add(time.Hour).UnixMilli()
	const key = "{tag}large"
	alterations := []struct {
		name    string
		alter   func(k pieceKind) [][]any
		differs bool
	}{
		{"the same", func(pieceKind) [][]any { return nil }, false},
		{"missing", func(pieceKind) [][]any { return [][]any{{"DEL", nil}} }, false},
		{"another value", func(k pieceKind) [][]any { return [][]any{k.change} }, true},
		{"another type", func(k pieceKind) [][]any {
			if k.name == "list" {
				return [][]any{{"DEL", nil}, {"SADD", nil, "x"}}
			}
			return [][]any{{"DEL", nil}, {"RPUSH", nil, "x"}}
		}, true},
		{"another expiry", func(pieceKind) [][]any { return [][]any{{"PEXPIREAT", nil, later + 5000}} }, true},
		{"no expiry", func(pieceKind) [][]any { return [][]any{{"PERSIST", nil}} }, true},
	}
	for _, k := range pieceKinds {
		dump := oneKey(t, k.typ, key, k.value(300), later)
		want := valuesIn(t, dump)[key]
		for _, a := range alterations {
			for _, policy := range policies {
				t.Run(fmt.Sprint(k.name, " ", a.name, " ", policy), func(t *testing.T) {
					flush(t, lc)
					_, err := bigImports(t, c, dump, pieces(pipeline.ConflictFail))
					noError(t, err)
					for _, command := range a.alter(k) {
						must(t, n, on(key, command)...)
					}
					before := contentOf(t, n.Client(), key)
					res, err := bigImports(t, c, dump, pieces(policy))
					noTemporary(t, lc)
					after := contentOf(t, n.Client(), key)

					var conflict *pipeline.ConflictError
					switch {
					case policy == pipeline.ConflictReplace || before == content{}:
						noError(t, err)
						if res.Restored != 1 || res.Big != 1 {
							t.Errorf("%+v", res)
						}
						comparePieces(t, n.Client(), key, want)
						if after.expiry != fmt.Sprint(later) {
							t.Errorf("it expires at %s, at %d in the dump", after.expiry, later)
						}
						return
					case policy == pipeline.ConflictFail && a.differs:
						if !errors.As(err, &conflict) || string(conflict.Key) != key || conflict.Reason == "" || res.Failed != 1 {
							t.Errorf("%v, %+v", err, res)
						}
					case err != nil || res.Existing != 1:
						t.Errorf("%v, %+v", err, res)
					}
					if after != before {
						t.Errorf("the key was %.200q, and is %.200q", before, after)
					}
				})
			}
		}
	}
}

// TestBigTaken has somebody else write the key while its value is written in
// pieces: the policy decides, as if it had been there from the start.
func TestBigTaken(t *testing.T) {
	t.Parallel()
	const key = "large"
	zset := pieceKinds[3]
	dump := oneKey(t, zset.typ, key, zset.value(60_000), 0)
	lc := start(t, localcluster.Options{Standalone: true})
	c, n := connect(t, lc.URL()), lc.Nodes()[0]
	_, err := bigImports(t, c, dump, pieces(pipeline.ConflictFail))
	noError(t, err)
	must(t, n, "RENAME", key, "copy")
	for _, same := range []bool{true, false} {
		for _, policy := range policies {
			t.Run(fmt.Sprintf("same %v %s", same, policy), func(t *testing.T) {
				must(t, n, "DEL", key)
				g := part(dump, 0.8)
				r := begin(t, c, dump, pieces(policy), g)
				inPieces(t, lc)
				if same {
					must(t, n, "COPY", "copy", key)
				} else {
					must(t, n, "SET", key, "other")
				}
				before := contentOf(t, n.Client(), key)
				close(g.open)
				res, err := r.end()
				noTemporary(t, lc)
				var conflict *pipeline.ConflictError
				switch {
				case policy == pipeline.ConflictReplace:
					if err != nil || res.Restored != 1 {
						t.Errorf("%v, %+v", err, res)
					}
					comparePieces(t, n.Client(), key, valuesIn(t, dump)[key])
					return
				case policy == pipeline.ConflictFail && !same:
					if !errors.As(err, &conflict) || res.Failed != 1 {
						t.Errorf("%v, %+v", err, res)
					}
				case err != nil || res.Existing != 1:
					t.Errorf("%v, %+v", err, res)
				}
				if contentOf(t, n.Client(), key) != before {
					t.Error("the key is not as it was")
				}
			})
		}
	}
}

// TestBigCompareEndsEarly has on the target a hash with another value than in the
// dump that is longer than what is held: the comparison ends in the middle of an
// answer. Another large value follows on the same way.
func TestBigCompareEndsEarly(t *testing.T) {
	t.Parallel()
	long := [][]byte{[]byte("field"), []byte(noise(1, 300_000)), []byte("other"), []byte("x")}
	dump := written(t, "REDIS0011", func(w *dataset.Writer) {
		w.SelectDB(0)
		w.Key(dataset.TypeHash, []byte("hash"), dataset.AppendHash(nil, long))
		w.Key(dataset.TypeSet, []byte("set"), pieceKinds[2].value(300))
	})
	lc := start(t, localcluster.Options{Standalone: true})
	g, c := behind(t, lc, 1)
	n := lc.Nodes()[0]
	for _, policy := range policies {
		flush(t, lc)
		opts := pieces(policy)
		opts.Memory = small // 64 KiB of a value are held
		must(t, n, "HSET", "hash", "field", noise(2, 300_000), "other", "x")
		res, err := bigImports(t, c, dump, opts)
		var conflict *pipeline.ConflictError
		switch {
		case policy == pipeline.ConflictFail:
			if !errors.As(err, &conflict) || !strings.Contains(conflict.Reason, "another value") {
				t.Errorf("%s: %v, %+v", policy, err, res)
			}
		case err != nil || res.Restored+res.Existing != 2 || res.Reconnects > 0:
			t.Errorf("%s: %v, %+v", policy, err, res)
		}
		noTemporary(t, lc)
	}
	made, _ := g.Counts()
	if made == 0 {
		t.Error("nothing went through the proxy")
	}
}

// TestBigDatabases puts large values of several databases where they belong.
func TestBigDatabases(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	n := lc.Nodes()[0]
	value := func(db int) []byte {
		return dataset.AppendStrings(nil, manyTexts(fmt.Sprint("of ", db, " item"), 100+db))
	}
	dump := written(t, "REDIS0011", func(w *dataset.Writer) {
		for _, db := range []int{0, 3, 9} {
			w.SelectDB(db)
			w.Key(dataset.TypeList, []byte("large"), value(db))
			w.Key(dataset.TypeString, []byte("small"), dataset.AppendString(nil, fmt.Sprint("of ", db)))
			w.Key(dataset.TypeString, []byte("mixed"), dataset.AppendString(nil, fmt.Sprint("of ", db)))
		}
		// Small ones in the other databases, before and behind.
		w.SelectDB(5)
		w.Key(dataset.TypeList, []byte("mixed"), value(5))
		w.SelectDB(6)
		w.Key(dataset.TypeString, []byte("mixed"), dataset.AppendString(nil, "of 6"))
		w.SelectDB(7)
		w.Key(dataset.TypeList, []byte("mixed"), value(7))
	})
	c := connect(t, lc.URL())
	length := func(db int, key string) int64 { return c.ClientDB(n.Addr, db).LLen(t.Context(), key).Val() }

	res, err := bigImports(t, c, dump, pieces(pipeline.ConflictFail))
	if err != nil || res.Restored != 12 || length(0, "large") != 100 || length(3, "large") != 103 || length(9, "large") != 109 || length(5, "mixed") != 105 {
		t.Errorf("%v, %+v", err, res)
	}
	if res, err = bigImports(t, c, dump, pieces(pipeline.ConflictFail)); err != nil || res.Existing != 12 {
		t.Errorf("again: %v, %+v", err, res)
	}

	flush(t, lc)
	opts := pieces(pipeline.ConflictFail)
	opts.Databases.Prefix = "db%d{x}:"
	res, err = bigImports(t, c, dump, opts)
	if err != nil || res.Restored != 12 || length(0, "db9{x}:large") != 109 || length(0, "db5{x}:mixed") != 105 {
		t.Errorf("with a prefix: %v, %+v", err, res)
	}

	for round := range 5 {
		flush(t, lc)
		opts = pieces(pipeline.ConflictReplace)
		opts.Databases.Merge, opts.Lanes = true, 1+round%2
		res, err = bigImports(t, c, dump, opts)
		if err != nil || res.Restored != 12 || length(0, "large") != 109 || length(0, "mixed") != 107 || n.Client().Get(t.Context(), "small").Val() != "of 9" {
			t.Errorf("merged: %v, %+v, %d items, %d mixed", err, res, length(0, "large"), length(0, "mixed"))
		}
	}
	flush(t, lc)
	opts.Conflict = pipeline.ConflictSkip
	res, err = bigImports(t, c, dump, opts)
	if err != nil || length(0, "large") != 100 || n.Client().Get(t.Context(), "mixed").Val() != "of 0" {
		t.Errorf("merged, the first one stays: %v, %+v", err, res)
	}
	flush(t, lc)
	opts.Conflict = pipeline.ConflictFail
	var conflict *pipeline.ConflictError
	if _, err = bigImports(t, c, dump, opts); !errors.As(err, &conflict) {
		t.Errorf("merged, and different: %v", err)
	}
	for _, db := range []int{0, 3, 5, 9} {
		keys := c.ClientDB(n.Addr, db).Keys(t.Context(), "*rdbimport-tmp*").Val()
		if len(keys) > 0 {
			t.Errorf("%q is left in database %d", keys, db)
		}
	}
}

// TestBigSeveralFeeders merges the databases of several sources at the same time:
// one that waits for its own batches must not wait for the others'.
func TestBigSeveralFeeders(t *testing.T) {
	t.Parallel()
	const feeders, keys = 4, 3000
	lc := start(t, localcluster.Options{})
	opts := pieces(pipeline.ConflictSkip)
	opts.Databases.Merge, opts.Memory = true, small
	im, err := pipeline.New(t.Context(), connect(t, lc.URL()), opts)
	noError(t, err)
	var work sync.WaitGroup
	for i := range feeders {
		dump := written(t, "REDIS0011", func(w *dataset.Writer) {
			for j := range keys {
				w.Key(dataset.TypeString, fmt.Appendf(nil, "small:%d:%d", i, j), dataset.AppendString(nil, "value"))
				if j%100 == 0 {
					w.Key(dataset.TypeSet, fmt.Appendf(nil, "large:%d:%d", i, j), pieceKinds[2].value(50))
				}
			}
		})
		f := im.NewFeeder()
		work.Go(func() {
			sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{MaxValue: opts.HeldValue(), Again: bytes.NewReader(dump)})
			if err := f.Feed(sc); err != nil {
				t.Error(err)
			}
		})
	}
	fed := make(chan struct{})
	go func() { work.Wait(); close(fed) }()
	select {
	case <-fed:
	case <-time.After(patience):
		t.Errorf("they wait for each other: %+v", im.Snapshot())
		im.Stop()
		<-fed
	}
	res, err := im.Close()
	if err != nil || res.Restored != feeders*(keys+keys/100) {
		t.Errorf("%v, %+v", err, res)
	}
}

// TestBigKeys writes large values under all sorts of names into a cluster.
func TestBigKeys(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	keys := []string{"", "plain", "{", "}", "{}", "}{", "{}{}", "a{b}c", "a{b", "a}b", "a{}b", "a{}{x}", "{{", "{{}", "{{}}", "a{b{c", "}a{b}", "x{", "\x00", "\r\n{\xff}",
		"{\x00}", "*?[a]\\", "a:rdbimport-tmp:", strings.Repeat("long", 16<<10), strings.Repeat("{", 1000), "\xff\xfe binary"}
	dump := written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		for i, key := range keys {
			k := pieceKinds[i%len(pieceKinds)]
			w.Key(k.typ, []byte(key), k.value(60))
		}
	})
	want := loaded(t, dump, "")
	for _, policy := range policies {
		flush(t, lc)
		for _, again := range []bool{false, true} {
			opts := pieces(policy)
			res, err := bigImports(t, c, dump, opts)
			if err != nil || int(res.Restored+res.Existing) != len(keys) || int(res.Big) != len(keys) || again != (res.Existing > 0) && policy != pipeline.ConflictReplace {
				t.Errorf("%s, again %v: %v, %+v", policy, again, err, res)
			}
		}
		noTemporary(t, lc)
		have := held(t, masters(lc)...)
		if len(have) != len(want) {
			t.Errorf("%s: %d keys, %d in the dump", policy, len(have), len(want))
		}
		for key := range want {
			if strings.HasPrefix(want[key], "stream") {
				continue // when its consumers were seen cannot be set
			}
			if have[key] != want[key] {
				t.Errorf("%s: key %.50q differs", policy, key)
			}
		}
	}
}

// spooledImport imports a dump that can be read only once, with a spool or none.
func spooledImport(t *testing.T, lc *localcluster.Cluster, dump []byte, opts pipeline.Options, spool bool) (pipeline.Result, error) {
	t.Helper()
	scan := rdbparse.Options{MaxValue: opts.HeldValue()}
	if spool {
		dir := t.TempDir()
		scan.Spool = func() (rdbparse.Spool, error) { return source.NewKeep(dir) }
	}
	im, err := pipeline.New(t.Context(), connect(t, lc.URL()), opts)
	noError(t, err)
	sc := rdbparse.NewScanner(io.MultiReader(bytes.NewReader(dump)), scan)
	ferr := im.NewFeeder().Feed(sc)
	noError(t, sc.Close())
	res, err := im.Close()
	return res, errors.Join(err, ferr)
}
