package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
	"github.com/redis/go-redis/v9"
)

// A matrixServer is one of the servers between which the matrix imports.
type matrixServer struct {
	name    string
	version element.ServerVersion
	types   string // that it writes
	binary  string
}

// matrixServers returns the servers that are installed, in the folder that
// RDBIMPORT_SERVERS names. In CI all of them must be.
func matrixServers(t *testing.T) []matrixServer {
	t.Helper()
	dir := os.Getenv("RDBIMPORT_SERVERS")
	if dir == "" {
		dir = filepath.Join("..", ".servers")
	}
	all := []matrixServer{
		{name: "redis-6.0", version: element.ServerVersion{Version: 600}, types: "0 2 4 5 11 12 13 14 15"},
		{name: "redis-7.0", version: element.ServerVersion{Version: 700}, types: "0 2 4 5 11 16 17 18 19"},
		{name: "redis-8.0", version: element.ServerVersion{Version: 800}, types: "0 2 4 5 7 11 16 17 18 20 21 24 25"},
		{name: "valkey-8.1", version: element.ServerVersion{Valkey: true, Version: 801}, types: "0 2 4 5 11 16 17 18 20 21"},
		{name: "valkey-9.1", version: element.ServerVersion{Valkey: true, Version: 901}, types: "0 2 4 5 11 16 17 18 20 21 22"},
	}
	var missing []string
	all = slices.DeleteFunc(all, func(s matrixServer) bool {
		_, err := os.Stat(filepath.Join(dir, "bin", s.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err != nil {
			missing = append(missing, s.name)
		}
		return err != nil
	})
	for i := range all {
		path, err := filepath.Abs(filepath.Join(dir, "bin", all[i].name))
		if err != nil {
			t.Fatal(err)
		}
		all[i].binary = path
	}
	switch {
	case len(missing) == 0:
	case needs.Everything():
		t.Fatalf("servers not installed in %s: %v", dir, missing)
	case len(all) == 0:
		t.Skipf("no servers installed in %s (make servers): all of %s is left out", dir, t.Name())
	default:
		t.Logf("servers not installed in %s (make servers), so left out: %v", dir, missing)
	}
	return all
}

// matrixServerNamed returns one of the servers, or skips the test.
func matrixServerNamed(t *testing.T, name string) matrixServer {
	t.Helper()
	for _, s := range matrixServers(t) {
		if s.name == name {
			return s
		}
	}
	t.Skipf("%s is not installed (make servers)", name)
	return matrixServer{}
}

// run starts a server, or a cluster of three masters, that checks payloads
// deeply and remembers how keys are used.
func (s matrixServer) run(t *testing.T, standalone bool, config ...string) *localcluster.Cluster {
	t.Helper()
	// Without a limit on memory servers share small integers, and with them what
	// they know of their use.
	config = append([]string{"maxmemory 2gb", "maxmemory-policy allkeys-lru", "lfu-decay-time 0"}, config...)
	if s.version.Valkey || s.version.Version >= 602 {
		config = append(config, "sanitize-dump-payload yes")
	}
	return start(t, localcluster.Options{Binary: s.binary, Standalone: standalone, Config: config})
}

// empty removes all keys and functions, and sets how uses are counted.
func (s matrixServer) empty(t *testing.T, lc *localcluster.Cluster, lfu bool) {
	t.Helper()
	ctx := context.Background()
	policy := "allkeys-lru"
	if lfu {
		policy = "allkeys-lfu"
	}
	for _, m := range masters(lc) {
		noError(t, m.FlushAll(ctx).Err())
		noError(t, m.ConfigSet(ctx, "maxmemory-policy", policy).Err())
		if hasFunctions(s.version) {
			noError(t, m.FunctionFlush(ctx).Err())
		}
	}
}

// A matrixDump is what one server wrote, and what it held then.
type matrixDump struct {
	matrixServer
	lfu       bool
	dump      []byte
	states    map[state.Scope]state.State
	access    map[string]int64
	functions map[string]string // code by name
}

// scopes returns what can be compared between two servers.
func scopes(a, b element.ServerVersion) state.Scope {
	both := func(f func(element.ServerVersion) bool) bool { return f(a) && f(b) }
	return state.Scope{RoughExpiry: !both(hasFunctions), NoOffsets: !both(hasFunctions), NoActiveTime: !both(hasActiveTime)}
}

// matrixDumps makes one of everything on each server, and has it write that to
// two dumps: with idle times, and with the number of uses.
func matrixDumps(t *testing.T, all []matrixServer) (dumps []*matrixDump) {
	t.Helper()
	for _, s := range all {
		lc := s.run(t, true)
		n := lc.Nodes()[0]
		for _, lfu := range []bool{false, true} {
			s.empty(t, lc, lfu)
			d := &matrixDump{matrixServer: s, lfu: lfu, states: map[state.Scope]state.State{}}
			(&filler{t: t, c: n.Client(), v: s.version, lfu: lfu}).fill()
			d.dump = save(t, n, lfu)
			if got := typesIn(t, d.dump); got != s.types {
				t.Errorf("%s wrote types %s, expected %s", s.name, got, s.types)
			}
			var err error
			d.access, err = state.Access(t.Context(), n.Client())
			noError(t, err)
			for _, other := range all {
				scope := scopes(s.version, other.version)
				if d.states[scope] == nil {
					d.states[scope], err = scope.Read(t.Context(), n.Client())
					noError(t, err)
				}
			}
			d.functions = functionsOf(t, s.version, n.Client())
			dumps = append(dumps, d)
		}
		noError(t, lc.Stop())
	}
	return dumps
}

// save has a server write its dump, in the background or not, and returns it.
func save(t *testing.T, n *localcluster.Node, background bool) []byte {
	t.Helper()
	ctx, c := t.Context(), n.Client()
	if background {
		before := c.LastSave(ctx).Val()
		// LASTSAVE counts seconds.
		await(t, "the server's next second", func() bool { return c.Time(ctx).Val().Unix() > before })
		noError(t, c.BgSave(ctx).Err())
		await(t, "the dump to be saved", func() bool { return c.LastSave(ctx).Val() > before })
	} else {
		noError(t, c.Save(ctx).Err())
	}
	dump, err := os.ReadFile(filepath.Join(n.Dir, "dump.rdb"))
	noError(t, err)
	if !isDump(dump) {
		t.Fatalf("the server wrote %.20q", dump)
	}
	return dump
}

// functionsOf returns the code of the function libraries of a server by name.
func functionsOf(t *testing.T, v element.ServerVersion, c *redis.Client) map[string]string {
	t.Helper()
	out := map[string]string{}
	if !hasFunctions(v) {
		return out
	}
	libs, err := c.FunctionList(t.Context(), redis.FunctionListQuery{WithCode: true}).Result()
	noError(t, err)
	for _, l := range libs {
		out[l.Name] = l.Code
	}
	return out
}

// keysWith returns the keys of a state that begin with prefix, in order.
func keysWith(s state.State, prefix string) (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
			keys = append(keys, key)
		}
	}
	return keys
}

// sortedLines sorts the lines of a text.
func sortedLines(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// typesIn lists the type bytes in a dump, in order.
func typesIn(t *testing.T, dump []byte) string {
	t.Helper()
	seen := map[int]bool{}
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			seen[int(e.Type.Type.Byte())] = true
		}
	}
	noError(t, sc.Err())
	text := fmt.Sprint(slices.Sorted(maps.Keys(seen)))
	return strings.Trim(text, "[]")
}
