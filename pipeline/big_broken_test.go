package pipeline_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// largeOfEach is a dump of one large value of each kind.
func largeOfEach(t *testing.T, n int) []byte {
	t.Helper()
	return written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		for i, k := range pieceKinds {
			if i%2 == 1 {
				w.ExpireMs(future)
			}
			size := n
			if k.name == "stream" {
				size = n / 4 // each entry is a command
			}
			w.Key(k.typ, []byte("large:"+k.name), k.value(size))
		}
	})
}

// whole expects all values of a dump on a cluster, and nothing else.
func whole(t *testing.T, lc *localcluster.Cluster, dump []byte) {
	t.Helper()
	keys := 0
	want := valuesIn(t, dump)
	for _, m := range masters(lc) {
		all, err := m.Keys(t.Context(), "*").Result()
		noError(t, err)
		keys += len(all)
		for _, key := range all {
			if v, ok := want[key]; ok {
				comparePieces(t, m, key, v)
			} else {
				t.Errorf("%.200q is there", key)
			}
		}
	}
	if keys != len(want) {
		t.Errorf("%d keys are there, %d in the dump", keys, len(want))
	}
}

// TestBigBadNetwork cuts the connections at random bytes in mid-value.
func TestBigBadNetwork(t *testing.T) {
	t.Parallel()
	dump := largeOfEach(t, 4_000)
	lc := start(t, localcluster.Options{})
	faults := 0
	for seed := range uint64(18) {
		policy := policies[seed%3]
		flush(t, lc)
		g, c := behind(t, lc, seed)
		early := part(dump, 0)
		opts := pieces(policy)
		r := begin(t, c, dump, opts, early)
		g.Set(proxy.Plan{Faults: []proxy.Fault{proxy.Reset, proxy.Finish, proxy.HalfClose}, Up: 200 << 10, Down: 20 << 10})
		close(early.open)
		res, err := r.end()
		if err != nil || int(res.Restored+res.Existing) != len(pieceKinds) || len(res.Losses) > 0 {
			t.Fatalf("%s, seed %d: %v, %+v", policy, seed, err, res)
		}
		whole(t, lc, dump)
		_, faulty := g.Counts()
		faults += faulty
		if t.Failed() {
			t.Fatalf("%s, seed %d", policy, seed)
		}
	}
	t.Logf("%d faults", faults)
	if faults < 60 {
		t.Errorf("only %d faults", faults)
	}
}

// TestBigUncertain cuts the connection at the command that gives the value its
// name: before the master gets it, and when it has carried it out. The value is
// there in the end, and counts as restored in either case.
func TestBigUncertain(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true, Replicas: 1})
	n := lc.Nodes()[0]
	for _, k := range pieceKinds {
		dump := oneKey(t, k.typ, "large", k.value(3000), future)
		for _, word := range []string{"RENAMENX", "EXEC", "ABSTTL", "WAIT"} {
			if (k.name == "string") != (word == "ABSTTL") && word != "WAIT" {
				continue
			}
			for _, answered := range []bool{false, true} {
				t.Run(fmt.Sprint(k.name, " ", word, " ", answered), func(t *testing.T) {
					flush(t, lc)
					words := `\r\n` + word + `\r\n`
					if word == "RENAMENX" {
						words += `\$\d+\r\nlarge` // and not where it is tried for the user's rights
					}
					cut := cutAt(t, n.Addr, words, answered)
					target, err := slotter.ParseTarget("redis://" + cut.listener.Addr().String())
					noError(t, err)
					c, err := slotter.Connect(t.Context(), target, slotter.Options{})
					noError(t, err)
					defer c.Close() //nolint:errcheck // nothing is lost
					opts := pieces(pipeline.ConflictFail)
					if word == "EXEC" {
						opts.Conflict = pipeline.ConflictReplace
						must(t, n, "SET", "large", "is there")
					}
					if word == "WAIT" {
						opts.WaitReplicas = 1
					}
					res, err := bigImports(t, c, dump, opts)
					if err != nil || res.Restored != 1 || res.Reconnects != 1 || !cut.cut {
						t.Errorf("%v, %+v", err, res)
					}
					comparePieces(t, n.Client(), "large", valuesIn(t, dump)["large"])
					noTemporary(t, lc) // before all keys are read: one that was written for WAIT is gone in a moment
					if is := contentOf(t, n.Client(), "large"); is.expiry != fmt.Sprint(future) {
						t.Errorf("it expires at %s", is.expiry)
					}
				})
			}
		}
	}
}

// TestBigMasterKilled kills the master that a value is being written to, whose
// replica takes over.
func TestBigMasterKilled(t *testing.T) {
	t.Parallel()
	lc := start(t, replicated)
	for _, policy := range policies {
		all, replicas := nodes(t, lc)
		flushNodes(t, all)
		c, _, err := look(t.Context(), lc)
		noError(t, err)
		dump := oneKey(t, dataset.TypeZset2, "large", pieceKinds[3].value(60_000), 0)
		g := part(dump, 0.8)
		r := begin(t, c, dump, pieces(policy), g)
		victim, _ := inPieces(t, lc)
		victim.Kill()
		for i := range all {
			if all[i] == victim {
				takenOver(t, lc, victim, replicas[i])
			}
		}
		close(g.open)
		res := r.complete(1)
		if res.Failovers != 1 || len(res.Losses) > 0 {
			t.Errorf("%s: %+v", policy, res)
		}
		back(t, lc, victim)
		noTemporary(t, lc)
		found := 0
		now, _ := nodes(t, lc)
		for _, n := range now {
			if n.Client().Exists(t.Context(), "large").Val() == 1 {
				found++
				comparePieces(t, n.Client(), "large", valuesIn(t, dump)["large"])
			}
		}
		if found != 1 {
			t.Errorf("%s: %d masters have the key", policy, found)
		}
		_ = c.Close()
	}
}

// TestBigMasterRestartedEmpty restarts the master without its data in mid-value.
func TestBigMasterRestartedEmpty(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
	for i, policy := range policies {
		flush(t, lc)
		k := pieceKinds[1+i]
		dump := oneKey(t, k.typ, "large", k.value(60_000), 0)
		g := part(dump, 0.8)
		r := begin(t, connect(t, lc.URL()), dump, pieces(policy), g)
		victim, _ := inPieces(t, lc)
		back(t, lc, victim)
		close(g.open)
		r.complete(1)
		whole(t, lc, dump)
	}
}

// TestBigLoading has the master load its data again in mid-value, for longer than
// the retry timeout.
func TestBigLoading(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{NodeTimeout: 30 * time.Second})
	dump := oneKey(t, dataset.TypeList, "large", pieceKinds[1].value(60_000), 0)
	for _, policy := range policies {
		flush(t, lc)
		g := part(dump, 0.8)
		opts := pieces(policy)
		opts.RetryTimeout = time.Second
		r := begin(t, connect(t, lc.URL()), dump, opts, g)
		busy, _ := inPieces(t, lc)
		// So many that loading them, with a rest after each, takes 2 s.
		for i, n := 0, 0; n < 50; i++ {
			if busy.Client().Set(t.Context(), fmt.Sprint("filler", i), noise(1, 2048), 0).Err() == nil {
				n++
			}
		}
		loaded := reload(t, busy, 40_000)
		close(g.open)
		loaded()
		must(t, busy, "CONFIG", "SET", "key-load-delay", 0)
		if res := r.complete(1); res.Retries == 0 {
			t.Errorf("%s: nothing met a master that was loading: %+v", policy, res)
		}
		comparePieces(t, busy.Client(), "large", valuesIn(t, dump)["large"])
		noTemporary(t, lc)
	}
}

// TestBigForbidden imports as users who may do all but one thing: the error names
// it, and the key stays as it was.
func TestBigForbidden(t *testing.T) {
	t.Parallel()
	tests := []struct {
		command string
		policy  pipeline.Conflict
		kind    int
	}{
		{"exists", pipeline.ConflictFail, 3}, {"zadd", pipeline.ConflictFail, 3}, {"pexpireat", pipeline.ConflictFail, 3}, {"zcard", pipeline.ConflictReplace, 3},
		{"renamenx", pipeline.ConflictSkip, 3}, {"watch", pipeline.ConflictReplace, 3}, {"multi", pipeline.ConflictReplace, 3}, {"exec", pipeline.ConflictReplace, 3},
		{"rename", pipeline.ConflictReplace, 3}, {"unlink", pipeline.ConflictReplace, 3}, {"xgroup|create", pipeline.ConflictFail, 5}, {"xclaim", pipeline.ConflictReplace, 5},
		{"xsetid", pipeline.ConflictReplace, 5},
	}
	servers := []matrixServer{{name: "default"}}
	for _, s := range matrixServers(t) {
		if s.name == "redis-6.0" || s.name == "valkey-9.1" {
			servers = append(servers, s)
		}
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			lc := start(t, localcluster.Options{Standalone: true, Binary: s.binary})
			n := lc.Nodes()[0]
			for _, tt := range tests {
				t.Run(tt.command, func(t *testing.T) {
					flush(t, lc)
					command := tt.command
					if s.name == "redis-6.0" {
						command, _, _ = strings.Cut(command, "|")
					}
					must(t, n, "ACL", "SETUSER", "some", "reset", "on", ">secret", "~*", "+@all", "-"+command)
					if tt.policy == pipeline.ConflictReplace {
						must(t, n, "SET", "large", "is there")
					}
					c := connect(t, strings.Replace(lc.URL(), "redis://", "redis://some:secret@", 1))
					k := pieceKinds[tt.kind]
					typ, value := k.typ, k.value(3000)
					if k.name == "stream" {
						typ, value = dataset.TypeStream, dataset.AppendStream(nil, dataset.TypeStream, manyEntries(3000))
					}
					res, err := bigImports(t, c, oneKey(t, typ, "large", value, future), pieces(tt.policy))
					if !errors.Is(err, slotter.ErrNoPermission) || !strings.Contains(err.Error(), "'"+command+"'") || res.Read != 0 {
						t.Errorf("%v, %+v", err, res)
					}
					if got := n.Client().Get(t.Context(), "large").Val(); tt.policy == pipeline.ConflictReplace && got != "is there" {
						t.Errorf("the key is %.100q", got)
					}
					if tt.command != "unlink" {
						noTemporary(t, lc)
					}
				})
			}
		})
	}
}

// TestBigMigrates moves the slot of a key whose value is being written: before it
// begins, with the part that is there, or when only its name is missing.
func TestBigMigrates(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	dump := oneKey(t, dataset.TypeZset2, "large", pieceKinds[3].value(60_000), future)
	slot := slotter.Slot([]byte("large"))
	for _, when := range []string{"before", "with its part", "at its name", "with the old key"} {
		for _, policy := range policies {
			t.Run(when+" "+policy.String(), func(t *testing.T) {
				flush(t, lc)
				from, to := neighbours(t, lc, c, slot)
				old := when == "with the old key"
				if old {
					if policy != pipeline.ConflictReplace {
						return
					}
					must(t, from, "SET", "large", "is there")
				}
				migrating := func() { migrate(t, slot, from, to) }
				move := func(key string) {
					host, port, err := net.SplitHostPort(to.Addr)
					noError(t, err)
					must(t, from, "MIGRATE", host, port, key, 0, 10_000)
				}
				g := part(dump, 0.8)
				if when == "before" {
					migrating()
				}
				r := begin(t, c, dump, pieces(policy), g)
				if when != "before" {
					_, temporary := inPieces(t, lc)
					migrating()
					switch when {
					case "with its part":
						move(temporary)
					case "with the old key":
						move("large")
					}
				}
				close(g.open)
				await(t, "the import to be refused", func() bool { return r.im.Snapshot().Retries >= 2 })
				for _, key := range from.Client().ClusterGetKeysInSlot(t.Context(), int(slot), 10).Val() {
					if !old || key != "large" {
						move(key)
					}
				}
				assign(t, slot, to, to, from, lc.Masters()[2])
				r.complete(1)
				whole(t, lc, dump)
				if to.Client().Exists(t.Context(), "large").Val() != 1 {
					t.Error("it is not where its slot is")
				}
			})
		}
	}
}
