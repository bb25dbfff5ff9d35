package dataset

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
	"github.com/redis/go-redis/v9"
)

// serverCommand finds the server of a flavor: a wrapper in the folder RDBIMPORT_SERVERS (default .servers of the repository) or, for Redis 7.0, the
// redis-check-rdb of Debian's redis-tools, which is the server's binary under another name.
func serverCommand(t *testing.T, flavor string) *exec.Cmd {
	t.Helper()
	folder := os.Getenv("RDBIMPORT_SERVERS")
	if folder == "" {
		folder = filepath.Join("..", "..", ".servers")
	}
	if path, err := filepath.Abs(filepath.Join(folder, "bin", flavor)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return exec.Command(path)
		}
	}
	if path, err := exec.LookPath("redis-check-rdb"); err == nil && flavor == "redis-7.0" {
		cmd := exec.Command(path)
		cmd.Args[0] = "redis-server"
		out, err := (&exec.Cmd{Path: path, Args: []string{"redis-server", "--version"}}).Output()
		if err == nil && strings.Contains(string(out), "v=7.0.") {
			return cmd
		}
	}
	needs.Have(t, fmt.Errorf("no server %s in %s", flavor, folder))
	return nil
}

// startServer has a server load a dump, with its deep checks of packed values on.
func startServer(t *testing.T, flavor string, dump []byte) *redis.Client {
	t.Helper()
	cmd := serverCommand(t, flavor)
	dir, err := os.MkdirTemp("", "ds") // shorter than t.TempDir, as the path of a socket has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), dump, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd.Args = append(cmd.Args, "--port", "0", "--unixsocket", socket, "--dir", dir, "--dbfilename", "dump.rdb", "--save", "", "--loglevel", "warning")
	if flavor != "redis-6.0" {
		cmd.Args = append(cmd.Args, "--sanitize-dump-payload", "yes")
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-exited })

	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, Protocol: 2, DisableIdentity: true, PoolSize: 1, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for client.Ping(t.Context()).Err() != nil {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server does not answer")
		case <-exited:
			t.Fatalf("the server refuses the dump:\n%s", log.String())
		}
	}
	return client
}

// quietLog drops what go-redis prints about a socket that is not there yet.
type quietLog struct{}

func (quietLog) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(quietLog{})
	os.Exit(m.Run())
}

// checkLoaded compares the server's keys with those wanted.
func checkLoaded(t *testing.T, f Flavor, client *redis.Client, want map[string]content) {
	t.Helper()
	if n, err := client.DBSize(t.Context()).Result(); err != nil || n != int64(len(want)) {
		t.Errorf("the server holds %d keys (%v), want %d", n, err, len(want))
	}
	for key, w := range want {
		got, err := fetch(t.Context(), f, client, key)
		if err != nil {
			t.Fatalf("reading key %.80q: %v", key, err)
		}
		if f.Name == "redis-6.0" { // has no PEXPIRETIME
			w.ExpireMs, got.ExpireMs = min(w.ExpireMs, 1), min(got.ExpireMs, 1)
		}
		if d := cmp.Diff(w, got); d != "" {
			t.Fatalf("key %.80q: %s", key, d)
		}
	}
}

// TestServerLoadsSets has servers load small forms of each data set and compares every value with what an independent decoder reads.
func TestServerLoadsSets(t *testing.T) {
	f, err := FlavorByName("redis-7.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range sets() {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			stats, err := write(&file, 11)
			if err != nil {
				t.Fatal(err)
			}
			checkRDB(t, file.Bytes())
			want := contents(t, file.Bytes())
			if uint64(len(want)) != stats.Keys {
				t.Fatalf("decoded %d keys, wrote %d", len(want), stats.Keys)
			}
			checkLoaded(t, f, startServer(t, f.Name, file.Bytes()), want)
		})
	}
}

// TestServerLoadsSample has each server load its sample.
func TestServerLoadsSample(t *testing.T) {
	for _, f := range Flavors() {
		t.Run(f.Name, func(t *testing.T) {
			var file bytes.Buffer
			stats, err := Sample(&file, f)
			if err != nil {
				t.Fatal(err)
			}
			client := startServer(t, f.Name, file.Bytes())
			checkExtras(t, f, client) // first, since reading a key ends its idle time
			want := contents(t, file.Bytes())
			if uint64(len(want)) != stats.Keys-stats.Expired {
				t.Fatalf("%d keys are live, stats %+v", len(want), stats)
			}
			checkLoaded(t, f, client, want)
		})
	}
}

// checkExtras looks for what the sample holds beside keys.
func checkExtras(t *testing.T, f Flavor, client *redis.Client) {
	t.Helper()
	if idle, err := client.ObjectIdleTime(t.Context(), "idle:16384").Result(); err != nil || idle < 16384*time.Second {
		t.Errorf("idle for %v, %v", idle, err)
	}
	if !f.Functions {
		sum := client.ScriptLoad(t.Context(), "return ARGV[1]").Val()
		if got, err := client.EvalSha(t.Context(), sum, nil, "x").Result(); err != nil || got != "x" {
			t.Errorf("script: %v, %v", got, err)
		}
		return
	}
	if got, err := client.FCall(t.Context(), "sample_echo", nil, "hello").Result(); err != nil || got != "hello" {
		t.Errorf("sample_echo: %v, %v", got, err)
	}
	if got, err := client.FCall(t.Context(), "sample_get", []string{"foo{bar}{zap}"}).Result(); err != nil || got != `value of "foo{bar}{zap}"` {
		t.Errorf("sample_get: %v, %v", got, err)
	}
}

// TestServerLoadsRandomValues writes the same elements in every form there is for them and has each server compare itself with them. It holds what
// the independent decoder cannot read: long strings in zipmaps, packed list nodes behind plain ones.
func TestServerLoadsRandomValues(t *testing.T) {
	for _, f := range Flavors() {
		t.Run(f.Name, func(t *testing.T) {
			var file bytes.Buffer
			w := NewWriter(&file, f.Magic)
			w.SelectDB(0)
			want := map[string]content{}
			for seed := range uint64(2) {
				for _, n := range []int{1, 3, 20, 150, 400} {
					for typ, v := range randomForms(NewRand(seed), n) {
						if sample := (&sample{flavor: f}); !sample.reads(typ) || v.magic != "" && v.magic != f.Magic {
							continue
						}
						key := fmt.Sprintf("%d:%d:%d", seed, n, typ)
						w.Key(typ, []byte(key), v.value)
						want[key] = v.want
					}
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			checkLoaded(t, f, startServer(t, f.Name, file.Bytes()), want)
		})
	}
}

// TestServerLoadsAppendRandom has each server load values as AppendRandom makes them for the tests of other packages.
func TestServerLoadsAppendRandom(t *testing.T) {
	for _, f := range Flavors() {
		t.Run(f.Name, func(t *testing.T) {
			var file bytes.Buffer
			w := NewWriter(&file, f.Magic)
			w.SelectDB(0)
			r := NewRand(5)
			for i := range 12 {
				for _, typ := range f.Types {
					w.Key(typ, fmt.Appendf(nil, "%d:%d", i, typ), AppendRandom(nil, r, typ, i*i*3))
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			client := startServer(t, f.Name, file.Bytes())
			if n, err := client.DBSize(t.Context()).Result(); err != nil || n != int64(12*len(f.Types)) {
				t.Errorf("the server holds %d keys (%v), want %d", n, err, 12*len(f.Types))
			}
		})
	}
}

// checkRDB runs redis-check-rdb where it is installed; the tests with a server do not depend on it.
func checkRDB(t *testing.T, dump []byte) {
	t.Helper()
	path, err := exec.LookPath("redis-check-rdb")
	if err != nil {
		return
	}
	name := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(name, dump, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, name).CombinedOutput(); err != nil {
		t.Errorf("redis-check-rdb: %v\n%s", err, out)
	}
}
