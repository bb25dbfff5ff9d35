package pipeline_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts servers for a test.
func start(t *testing.T, opt localcluster.Options) *localcluster.Cluster {
	t.Helper()
	if opt.Binary == "" {
		_, err := localcluster.FindServer()
		needs.Have(t, err)
	}
	c, err := localcluster.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// connect opens the way to a running cluster.
func connect(t *testing.T, url string) *slotter.Cluster {
	t.Helper()
	target, err := slotter.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), target, slotter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// imports runs an import of a dump and returns its result.
func imports(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options) (pipeline.Result, error) {
	t.Helper()
	im, err := pipeline.New(t.Context(), c, opts)
	if err != nil {
		t.Fatal(err)
	}
	f := im.NewFeeder()
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	ferr := f.Feed(sc)
	res, err := im.Close()
	if ferr != nil && err == nil {
		t.Fatalf("feed: %v", ferr)
	}
	if sum := res.Restored + res.Existing + res.Expired + res.Filtered + res.Failed + res.Unsettled; sum != res.Read {
		t.Errorf("%d keys read, but the counts add up to %d: %+v", res.Read, sum, res)
	}
	return res, err
}

// all is the options that change nothing.
func all(c pipeline.Conflict) pipeline.Options {
	return pipeline.Options{Conflict: c, Databases: pipeline.Databases{Only: pipeline.AllDatabases}}
}

// sample returns the dump of one of everything of a server.
func sample(t testing.TB, flavor string) []byte {
	t.Helper()
	f, err := dataset.FlavorByName(flavor)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := dataset.Sample(&buf, f); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// loaded starts a server that loads a dump itself, and returns what it holds.
func loaded(t *testing.T, dump []byte, binary string) state.State {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(file, dump, 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, localcluster.Options{Standalone: true, DumpFile: file, Binary: binary})
	return held(t, c.Nodes()[0].Client())
}

func held(t *testing.T, clients ...*redis.Client) state.State {
	t.Helper()
	s, err := state.Read(t.Context(), clients...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// masters returns clients for all masters of a cluster.
func masters(c *localcluster.Cluster) []*redis.Client {
	var all []*redis.Client
	for _, n := range c.Masters() {
		all = append(all, n.Client())
	}
	return all
}

func flush(t *testing.T, c *localcluster.Cluster) {
	t.Helper()
	for _, m := range masters(c) {
		if err := m.FlushAll(context.Background()).Err(); err != nil && !strings.Contains(err.Error(), "READONLY") {
			t.Fatal(err)
		}
	}
}

// sortedWords joins words in order.
func sortedWords(words []string) string {
	slices.Sort(words)
	return strings.Join(words, " ")
}
