package pipeline_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestVerifyFunctions expects the libraries of a dump on every master, with their code.
func TestVerifyFunctions(t *testing.T) {
	lc := start(t, localcluster.Options{})
	library := func(name, body string) string {
		return fmt.Sprintf("#!lua name=%s\nredis.register_function('%s', function() return '%s' end)", name, name, body)
	}
	var dump bytes.Buffer
	w := dataset.NewWriter(&dump, "REDIS0011")
	w.Function(library("one", "1"))
	w.Function(library("two", "2"))
	w.Function(library("one", "1")) // as of another dump of the same cluster
	w.Key(dataset.TypeString, []byte("k"), dataset.AppendString(nil, "v"))
	noError(t, w.Close())
	_, err := imports(t, connect(t, lc.URL()), dump.Bytes(), allOptions())
	noError(t, err)
	all := lc.Masters()
	must(t, all[0], "ACL", "SETUSER", "some", "reset", "on", ">secret", "~*", "+@all", "-function")
	steps := []struct {
		name string
		user string
		do   func()
		want map[string]string // what is said, by library
	}{
		{"imported", "", func() {}, nil},
		{"one that the dump does not have", "", func() { must(t, all[0], "FUNCTION", "LOAD", library("three", "3")) }, nil},
		{"deleted", "", func() { must(t, all[1], "FUNCTION", "DELETE", "one") }, map[string]string{"one": all[1].Addr + " does not have it"}},
		{"other code", "", func() { must(t, all[2], "FUNCTION", "LOAD", "REPLACE", library("two", "other")) }, map[string]string{
			"one": all[1].Addr + " does not have it", "two": all[2].Addr + " has other code"}},
		{"nowhere", "", func() {
			must(t, all[0], "FUNCTION", "FLUSH")
			must(t, all[2], "FUNCTION", "DELETE", "one")
		}, map[string]string{
			"one": all[0].Addr + " does not have it (one of 3 masters where it is not as in the dump)",
			"two": all[0].Addr + " does not have it (one of 2 masters where it is not as in the dump)"}},
		{"not told", "some:secret@", func() {
			for _, m := range all[1:] {
				must(t, m, "ACL", "SETUSER", "some", "reset", "on", ">secret", "~*", "+@all")
				must(t, m, "FUNCTION", "LOAD", "REPLACE", library("one", "1"))
				must(t, m, "FUNCTION", "LOAD", "REPLACE", library("two", "2"))
			}
		}, map[string]string{
			"one": all[0].Addr + " does not tell: NOPERM",
			"two": all[0].Addr + " does not tell: NOPERM"}},
	}
	for _, s := range steps {
		s.do()
		c := connect(t, strings.Replace(lc.URL(), "redis://", "redis://"+s.user, 1))
		res, found := verifies(t, c, dump.Bytes(), verifyOpts())
		if res.Functions != 2 || res.FunctionsDiffer != int64(len(s.want)) || res.Differences() != res.FunctionsDiffer || len(found) != len(s.want) || res.Same != 1 {
			t.Errorf("%s: %+v, found %v", s.name, res, found)
		}
		for name, what := range s.want {
			if d := found[name]; d.Kind != pipeline.Function || !strings.HasPrefix(d.What, what) || d.Offset <= 0 {
				t.Errorf("%s: %s: %+v, expected %s", s.name, name, d, what)
			}
		}
	}
}

// TestVerifyFunctionsLater asks for a library while a master is busy.
func TestVerifyFunctionsLater(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{})
	c, dump := connect(t, lc.URL()), oneLibrary(t)
	_, err := imports(t, c, dump, allOptions())
	noError(t, err)
	opts := verifyOpts()
	opts.Found = func(d pipeline.KeyDifference) { t.Errorf("%v %s: %s", d.Kind, d.Key, d.What) }
	v, err := pipeline.Verify(t.Context(), c, opts)
	noError(t, err)
	end := busy(t, lc.Masters()[1])
	var checking sync.WaitGroup
	checking.Go(func() {
		if err := v.Check(rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})); err != nil {
			t.Error(err)
		}
	})
	await(t, "another try", func() bool { return v.Snapshot().Reconnects >= 2 })
	end()
	checking.Wait()
	if res, err := v.Close(); err != nil || res.Functions != 1 || res.FunctionsDiffer != 0 {
		t.Errorf("%v, %+v", err, res)
	}
}
