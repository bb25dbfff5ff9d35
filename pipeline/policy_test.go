package pipeline_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// strings3 is a dump of three strings, the second of which expires.
func strings3(t *testing.T, expiry int64) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	w.Key(dataset.TypeString, []byte("a"), dataset.AppendString(nil, "1"))
	w.ExpireMs(expiry)
	w.Key(dataset.TypeString, []byte("b"), dataset.AppendString(nil, "2"))
	w.Key(dataset.TypeString, []byte("c"), dataset.AppendString(nil, "3"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestConflicts(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	later := time.Now().Add(time.Hour).UnixMilli()
	dump := strings3(t, later)
	key := func(name string) (string, *localcluster.Node) {
		m, err := c.Map(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		addr := m.Masters[m.Owner(slotter.Slot([]byte(name)))].Addr
		for _, n := range lc.Masters() {
			if n.Addr == addr {
				return name, n
			}
		}
		t.Fatal("no master at", addr)
		return "", nil
	}
	tests := []struct {
		name     string
		policy   pipeline.Conflict
		alter    func(t *testing.T)
		conflict string // reason expected
		existing int64
		restored int64
		value    string // of key b afterwards
	}{
		{"the same", pipeline.ConflictFail, nil, "", 3, 0, "2"},
		{"another value", pipeline.ConflictFail, func(t *testing.T) {
			k, n := key("b")
			n.Client().Set(t.Context(), k, "other", time.Hour)
		}, `"2" against "other"`, 2, 0, "other"},
		{"another expiry", pipeline.ConflictFail, func(t *testing.T) {
			k, n := key("b")
			n.Client().PExpireAt(t.Context(), k, time.UnixMilli(later+2000))
		}, "it expires 2000 ms later", 2, 0, "2"},
		{"no expiry", pipeline.ConflictFail, func(t *testing.T) {
			k, n := key("b")
			n.Client().Persist(t.Context(), k)
		}, "it has no expiry", 2, 0, "2"},
		{"another type", pipeline.ConflictFail, func(t *testing.T) {
			k, n := key("b")
			n.Client().Del(t.Context(), k)
			n.Client().RPush(t.Context(), k, "x")
		}, "list", 2, 0, ""},
		{"missing", pipeline.ConflictFail, func(t *testing.T) {
			k, n := key("b")
			n.Client().Del(t.Context(), k)
		}, "", 2, 1, "2"},
		{"skip", pipeline.ConflictSkip, func(t *testing.T) {
			k, n := key("b")
			n.Client().Set(t.Context(), k, "other", 0)
		}, "", 3, 0, "other"},
		{"replace", pipeline.ConflictReplace, func(t *testing.T) {
			k, n := key("b")
			n.Client().Set(t.Context(), k, "other", 0)
		}, "", 0, 3, "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flush(t, lc)
			if _, err := imports(t, c, dump, all(pipeline.ConflictFail)); err != nil {
				t.Fatal(err)
			}
			if tt.alter != nil {
				tt.alter(t)
			}
			res, err := imports(t, c, dump, all(tt.policy))
			var conflict *pipeline.ConflictError
			if tt.conflict == "" && err != nil {
				t.Fatal(err)
			}
			if tt.conflict != "" && (!errors.As(err, &conflict) || string(conflict.Key) != "b" || !strings.Contains(conflict.Reason, tt.conflict)) {
				t.Errorf("error %v, expected %q", err, tt.conflict)
			}
			if res.Existing != tt.existing || res.Restored != tt.restored {
				t.Errorf("existing %d, restored %d; expected %d, %d", res.Existing, res.Restored, tt.existing, tt.restored)
			}
			k, n := key("b")
			if got := n.Client().Get(t.Context(), k).Val(); got != tt.value {
				t.Errorf("b is %q, expected %q", got, tt.value)
			}
		})
	}
}

func TestExpired(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	c := connect(t, lc.URL())
	for _, at := range []int64{1, 0, -5, time.Now().UnixMilli() - 1000} {
		flush(t, lc)
		res, err := imports(t, c, strings3(t, at), all(pipeline.ConflictFail))
		if err != nil || res.Expired != 1 || res.Restored != 2 {
			t.Errorf("expiry %d: %v, %+v", at, err, res)
		}
		if n := lc.Nodes()[0].Client().Exists(t.Context(), "b").Val(); n != 0 {
			t.Errorf("expiry %d: the key is there", at)
		}
	}
}

// databases is a dump with a key of its own and a common one in each database.
func databases(t *testing.T, dbs ...int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	for _, db := range dbs {
		w.SelectDB(db)
		w.Key(dataset.TypeString, []byte{'k', '0' + byte(db)}, dataset.AppendString(nil, "own"))
		w.Key(dataset.TypeString, []byte("common"), dataset.AppendString(nil, "same"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestDatabases(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	tests := []struct {
		name string
		opt  pipeline.Databases
		dump []byte
		want string // keys expected, in order
		fail bool
	}{
		{"one", pipeline.Databases{Only: -1}, databases(t, 0), "common k0", false},
		{"one, not the first", pipeline.Databases{Only: -1}, databases(t, 3), "common k3", false},
		{"two", pipeline.Databases{Only: -1}, databases(t, 0, 3), "common k0", true},
		{"pick", pipeline.Databases{Only: 3}, databases(t, 0, 3), "common k3", false},
		{"merge", pipeline.Databases{Only: -1, Merge: true}, databases(t, 0, 3), "common k0 k3", false},
		{"prefix", pipeline.Databases{Only: -1, Prefix: "db%d:"}, databases(t, 0, 3), "db0:common db0:k0 db3:common db3:k3", false},
		{"tagged prefix", pipeline.Databases{Only: -1, Prefix: "{%d}"}, databases(t, 0, 3), "{0}common {0}k0 {3}common {3}k3", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flush(t, lc)
			res, err := imports(t, c, tt.dump, pipeline.Options{Databases: tt.opt})
			if errors.Is(err, pipeline.ErrDatabases) != tt.fail || !tt.fail && err != nil {
				t.Errorf("%v, %+v", err, res)
			}
			var keys []string
			for k := range held(t, masters(lc)...) {
				keys = append(keys, k)
			}
			if got := sortedWords(keys); got != tt.want {
				t.Errorf("keys %q, expected %q", got, tt.want)
			}
		})
	}
}

// TestStandalone imports several databases into a server that has them.
func TestStandalone(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true})
	c := connect(t, lc.URL())
	if _, err := imports(t, c, databases(t, 0, 3, 9), all(pipeline.ConflictFail)); err != nil {
		t.Fatal(err)
	}
	for db, want := range map[int]string{0: "common k0", 3: "common k3", 9: "common k9"} {
		var keys []string
		for k := range held(t, c.ClientDB(lc.Addrs()[0], db)) {
			keys = append(keys, k)
		}
		if got := sortedWords(keys); got != want {
			t.Errorf("database %d: %q, expected %q", db, got, want)
		}
	}
	res, err := imports(t, c, databases(t, 0, 3, 9), all(pipeline.ConflictFail))
	if err != nil || res.Existing != 6 {
		t.Errorf("second import: %v, %+v", err, res)
	}
}

func TestFunctions(t *testing.T) {
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	lib := func(body string) []byte {
		var buf bytes.Buffer
		w := dataset.NewWriter(&buf, "REDIS0010")
		w.Aux("lua", "return 42")
		w.Function("#!lua name=mylib\nredis.register_function('f', function() return " + body + " end)")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	answers := func(want string) {
		t.Helper()
		for _, m := range masters(lc) {
			if got := m.FCall(t.Context(), "f", nil).Val(); got != want {
				t.Errorf("f returns %v, expected %s", got, want)
			}
		}
	}
	steps := []struct {
		policy   pipeline.Conflict
		body     string
		conflict bool
		want     string
	}{
		{pipeline.ConflictFail, "'one'", false, "one"},
		{pipeline.ConflictFail, "'one'", false, "one"},
		{pipeline.ConflictFail, "'two'", true, "one"},
		{pipeline.ConflictSkip, "'two'", false, "one"},
		{pipeline.ConflictReplace, "'two'", false, "two"},
	}
	for i, s := range steps {
		_, err := imports(t, c, lib(s.body), all(s.policy))
		var conflict *pipeline.ConflictError
		if errors.As(err, &conflict) != s.conflict || !s.conflict && err != nil {
			t.Errorf("step %d: %v", i, err)
		}
		answers(s.want)
	}
	for _, m := range masters(lc) {
		if ok := m.ScriptExists(t.Context(), "1fa00e76656cc152ad327c13fe365858fd7be306").Val(); len(ok) != 1 || !ok[0] {
			t.Error("the script is not loaded on every master")
		}
	}
	// What two masters refuse is one library that not all have.
	for i, m := range lc.Masters() {
		rights := "+@all"
		if i > 0 {
			rights = "-function"
		}
		must(t, m, "ACL", "SETUSER", "some", "reset", "on", ">secret", "~*", "+@all", rights)
	}
	c = connect(t, strings.Replace(lc.URL(), "redis://", "redis://some:secret@", 1))
	res, err := imports(t, c, lib("'three'"), all(pipeline.ConflictReplace))
	if err != nil || res.Functions != 0 || res.Libraries != 1 || res.Scripts != 1 || len(res.Errors) != 1 || res.Errors[0].Count != 1 || res.Errors[0].Example != "mylib" {
		t.Errorf("%v, %+v", err, res)
	}
	// A function of it is there in another library: then it is not, whatever the policy.
	for _, m := range masters(lc) {
		noError(t, m.FunctionFlush(t.Context()).Err())
		noError(t, m.FunctionLoad(t.Context(), "#!lua name=other\nredis.register_function('f', function() return 'other' end)").Err())
	}
	for _, policy := range policies {
		res, err = imports(t, connect(t, lc.URL()), lib("'four'"), all(policy))
		if err != nil || res.Functions != 0 || res.Libraries != 1 || len(res.Errors) != 1 || !strings.Contains(res.Errors[0].Reason, "already exists") {
			t.Errorf("%s: %v, %+v", policy, err, res)
		}
	}
}

// TestEmptyCollections expects collections without elements, which old bugs have
// left in dumps, to be left out as servers do when they load a dump.
func TestEmptyCollections(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	w.Key(dataset.TypeList, []byte("plain"), []byte{0})
	w.Key(dataset.TypeHashListpack, []byte("packed"), dataset.AppendString(nil, dataset.AppendListpack(nil, nil)))
	w.Key(dataset.TypeHashZiplist, []byte("old"), dataset.AppendString(nil, dataset.AppendZiplist(nil, nil)))
	w.Key(dataset.TypeString, []byte("empty"), []byte{0})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := loaded(t, buf.Bytes(), "")
	lc := start(t, localcluster.Options{Standalone: true})
	res, err := imports(t, connect(t, lc.URL()), buf.Bytes(), all(pipeline.ConflictFail))
	if err != nil || res.Restored != 1 || res.Filtered != 3 {
		t.Errorf("%v, %+v", err, res)
	}
	if d := state.Diff(want, held(t, lc.Nodes()[0].Client())); d != "" {
		t.Error(d)
	}
}

// TestRefused expects a value that the target cannot read to be counted with its
// reason, and the others to arrive.
func TestRefused(t *testing.T) {
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0010")
	w.SelectDB(0)
	w.Key(dataset.TypeString, []byte("good"), dataset.AppendString(nil, "x"))
	w.Key(dataset.TypeHashListpack, []byte("bad"), dataset.AppendString(nil, "this is no listpack"))
	w.Key(dataset.TypeString, []byte("fine"), dataset.AppendString(nil, "x"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lc := start(t, localcluster.Options{})
	c := connect(t, lc.URL())
	_, err := imports(t, c, buf.Bytes(), all(pipeline.ConflictFail))
	var damage *pipeline.DamagedError
	if !errors.As(err, &damage) || string(damage.Key) != "bad" || damage.Offset != 19 {
		t.Errorf("a damaged value: %v", err)
	}
	opts := all(pipeline.ConflictFail)
	opts.SkipDamaged = true
	res, err := imports(t, c, buf.Bytes(), opts)
	if err != nil || res.Restored+res.Existing != 2 || res.Failed != 1 || len(res.Errors) != 1 || res.Errors[0].Example != "bad" {
		t.Errorf("%v, %+v", err, res)
	}
}
