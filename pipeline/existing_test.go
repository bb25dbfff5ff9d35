package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestExistingWaitReplicas imports a dump for a second time, into a master whose replica
// has got none of it: keys that are there count no more than those that are written until
// the replica has them. Some servers say of a connection that has written nothing that
// all replicas have it.
func TestExistingWaitReplicas(t *testing.T) {
	t.Parallel()
	const n = 300
	for _, s := range matrixServers(t) {
		for _, big := range []int64{0, 1} {
			t.Run(fmt.Sprintf("%s, big %d", s.name, big), func(t *testing.T) {
				t.Parallel()
				lc := start(t, localcluster.Options{Binary: s.binary, Standalone: true, Replicas: 1, Config: []string{"repl-timeout 600"}})
				dump, replica := numbered(t, n), lc.Nodes()[1]
				c := connect(t, "redis://"+lc.Nodes()[0].Addr)
				noError(t, replica.Pause())
				defer replica.Resume() //nolint:errcheck // it has been, or the test has failed
				opts := all(pipeline.ConflictFail)
				opts.BigValue, opts.RetryTimeout = big, 2*time.Second
				res, err := bigImports(t, c, dump, opts)
				if err != nil || res.Restored != n || (res.Big > 0) != (big > 0) {
					t.Fatalf("%v: %+v", err, res)
				}
				opts.WaitReplicas = 1
				for _, policy := range []pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictSkip} {
					opts.Conflict = policy
					if res, err = bigImports(t, c, dump, opts); !errors.Is(err, pipeline.ErrNoProgress) || res.Existing != 0 {
						t.Errorf("%s: %v: %+v", policy, err, res)
					}
				}
				noError(t, replica.Resume())
				opts.RetryTimeout = time.Minute
				if res, err = bigImports(t, c, dump, opts); err != nil || res.Existing != n {
					t.Errorf("%v: %+v", err, res)
				}
				keys, err := replica.Client().Keys(t.Context(), "*").Result()
				noError(t, err)
				have := 0
				for _, key := range keys {
					if !pipeline.IsTemporary([]byte(key)) {
						have++
					}
				}
				if have != n {
					t.Errorf("the replica has %d of %d keys", have, n)
				}
				noTemporary(t, lc)
			})
		}
	}
}

// TestExistingLost restarts a master without persistence while an import finds that all
// keys are there: those that it loses have to be said, as those that it had accepted.
func TestExistingLost(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
	const n = 60_000
	dump := numbered(t, n)
	for round, policy := range []pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictSkip} {
		if res, err := imports(t, connect(t, lc.URL()), dump, all(policy)); err != nil || res.Restored+res.Existing != n {
			t.Fatalf("%v: %+v", err, res)
		}
		victim := lc.Masters()[round]
		g := part(dump, 0.7)
		r := begin(t, connect(t, lc.URL()), dump, all(policy), g)
		r.reach(n / 2)
		back(t, lc, victim)
		close(g.open)
		res := r.complete(n)
		absent := missing(t, lc, n)
		if absent < n/10 || absent > lost(res) {
			t.Errorf("%s: %d keys are missing, and reported are %+v", policy, absent, res.Losses)
		}
		repair(t, lc, dump, n, absent)
	}
}

// TestMergeInOrder puts the keys of two databases into one, all of which have the same
// names, through connections that break again and again. Those of the second one win.
func TestMergeInOrder(t *testing.T) {
	t.Parallel()
	const n = 2000
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	for db := range 2 {
		w.SelectDB(db)
		for i := range n {
			key := fmt.Appendf(nil, "key:%d", i)
			if db == 1 && i%100 == 0 { // a large one, which goes another way
				w.Key(dataset.TypeList, key, dataset.AppendStrings(nil, manyTexts("item", 500)))
				continue
			}
			w.Key(dataset.TypeString, key, dataset.AppendString(nil, fmt.Sprintf("database %d %1000d", db, i)))
		}
	}
	noError(t, w.Close())
	lc := start(t, localcluster.Options{})
	for name, to := range map[string]pipeline.Databases{
		"merged": {Only: pipeline.AllDatabases, Merge: true}, "prefix": {Only: pipeline.AllDatabases, Prefix: "p:"},
	} {
		flush(t, lc)
		g, c := behind(t, lc, 3)
		opts := all(pipeline.ConflictReplace)
		opts.Databases, opts.BigValue, opts.Memory = to, 4000, small
		g.Set(proxy.Plan{Faults: []proxy.Fault{proxy.Reset}, Up: 300 << 10})
		res, err := bigImports(t, c, buf.Bytes(), opts)
		if err != nil || res.Restored != 2*n || res.Reconnects == 0 || res.Big != n/100 {
			t.Errorf("%s: %v: %+v", name, err, res)
		}
		wrong := 0
		for _, m := range masters(lc) {
			for _, key := range m.Keys(t.Context(), "*").Val() {
				if m.GetRange(t.Context(), key, 0, 9).Val() == "database 0" {
					wrong++
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%s: %d keys have the value of the first database", name, wrong)
		}
	}
}

// TestExistingLongExpiry imports a key twice that expires as late as one can.
func TestExistingLongExpiry(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	for _, at := range []int64{1e18, 9223372036854775806} {
		flush(t, lc)
		dump := oneKey(t, dataset.TypeString, "key", dataset.AppendString(nil, "value"), at)
		for _, existing := range []int64{0, 1} {
			opts := all(pipeline.ConflictFail)
			opts.RetryTimeout = 3 * time.Second
			if res, err := imports(t, connect(t, lc.URL()), dump, opts); err != nil || res.Existing != existing || res.Restored != 1-existing {
				t.Errorf("%d: %v, %+v", at, err, res)
			}
		}
		if res, _ := verifies(t, connect(t, lc.URL()), dump, verifyOpts()); res.Same != 1 {
			t.Errorf("%d: %+v", at, res)
		}
	}
}
