package localcluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// binary returns a server binary.
func binary(t *testing.T) string {
	t.Helper()
	path, err := FindServer()
	needs.Have(t, err)
	return path
}

// start starts servers that the end of the test stops.
func start(t *testing.T, opt Options) *Cluster {
	t.Helper()
	if opt.Binary == "" {
		opt.Binary = binary(t)
	}
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	began := time.Now()
	c, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started %d servers of version %s in %v", len(c.Nodes()), c.Version(), time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestStartStopCluster(t *testing.T) {
	dir := t.TempDir()
	c := start(t, Options{Dir: dir})
	if got := len(c.Nodes()); got != 3 {
		t.Fatalf("%d nodes, want 3", got)
	}
	nodes, err := c.Nodes()[1].Client().ClusterNodes(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" 0-5460\n", " 5461-10921\n", " 10922-16383\n"} {
		if !strings.Contains(nodes, want) {
			t.Errorf("no master with %q in\n%s", want, nodes)
		}
	}
	for i, n := range c.Nodes() {
		// The first slot of each node must be writable there.
		key := keyFor(t, uint16(i*slotter.Slots/3))
		if err := n.Client().Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Errorf("SET on %s: %v", n.Addr, err)
		}
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Fatalf("Stop: %v", err)
		}
	}
	for _, n := range c.Nodes() {
		if !gone(n.PID()) {
			t.Errorf("process %d lives after Stop", n.PID())
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// keyFor finds a key in slot.
func keyFor(t *testing.T, slot uint16) string {
	t.Helper()
	key := []byte("aaaa")
	for range 1 << 20 {
		if slotter.Slot(key) == slot {
			return string(key)
		}
		for i := range key {
			if key[i]++; key[i] <= 'z' {
				break
			}
			key[i] = 'a'
		}
	}
	t.Fatalf("no key for slot %d", slot)
	return ""
}

func TestReplicasAndFailover(t *testing.T) {
	c := start(t, Options{Replicas: 1, NodeTimeout: 1500 * time.Millisecond})
	if len(c.Nodes()) != 6 || len(c.Replicas(2)) != 1 {
		t.Fatalf("%d nodes", len(c.Nodes()))
	}
	dead, heir := c.Nodes()[0], c.Replicas(0)[0]
	dead.Kill()
	dead.Kill() // twice is fine
	if !gone(dead.PID()) {
		t.Error("process lives after Kill")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := poll(ctx, func() error {
		role, err := heir.info(ctx)
		if err == nil && role["role"] != "master" {
			err = errors.New("not promoted yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	info, err := dead.info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info["role"] != "slave" {
		t.Errorf("the old master came back as %s", info["role"])
	}
}

// TestEveryServer starts a cluster of each server in $RDBIMPORT_SERVERS/bin.
func TestEveryServer(t *testing.T) {
	folder := os.Getenv("RDBIMPORT_SERVERS")
	for _, name := range []string{"redis-6.0", "redis-7.0", "redis-8.0", "valkey-8.1", "valkey-9.1"} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(folder, "bin", name)
			_, err := os.Stat(binary)
			needs.Have(t, err)
			start(t, Options{Binary: binary, Replicas: 1})
			start(t, Options{Binary: binary, Standalone: true})
		})
	}
}

func TestPauseResume(t *testing.T) {
	c := start(t, Options{Standalone: true})
	n := c.Nodes()[0]
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := n.Client().Ping(ctx).Err(); err == nil {
		t.Error("a paused server answered")
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := n.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("after Resume: %v", err)
	}
	if err := n.Pause(); err != nil { // Stop ends a paused one too
		t.Fatal(err)
	}
}

func TestStandaloneReplicaAndPassword(t *testing.T) {
	c := start(t, Options{Standalone: true, Replicas: 1, Password: "p@ss, word"})
	info, err := c.Replicas(0)[0].info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info["role"] != "slave" || info["master_link_status"] != "up" {
		t.Errorf("role %s, link %s", info["role"], info["master_link_status"])
	}
	target, err := slotter.ParseTarget(c.URL())
	if err != nil || target.Password != "p@ss, word" {
		t.Errorf("URL %q: %v", c.URL(), err)
	}
}

func TestDumpFile(t *testing.T) {
	dump := filepath.Join(t.TempDir(), "some.rdb")
	c := start(t, Options{Standalone: true})
	n := c.Nodes()[0]
	if err := n.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := n.Client().Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(n.Dir, "dump.rdb"), dump); err != nil {
		t.Fatal(err)
	}
	loaded := start(t, Options{Standalone: true, DumpFile: dump}).Nodes()[0]
	for range 2 {
		if got, err := loaded.Client().Get(t.Context(), "k").Result(); got != "v" {
			t.Errorf("GET k = %q, %v", got, err)
		}
		if err := loaded.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dump); err != nil {
		t.Error(err)
	}
}

func TestStartFails(t *testing.T) {
	bin := binary(t)
	dir := t.TempDir()
	damaged := filepath.Join(t.TempDir(), "damaged.rdb")
	if err := os.WriteFile(damaged, []byte("REDIS0009 this is no dump"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		opt  Options
		want string
	}{
		"unknown config":       {Options{Config: []string{"no-such-setting yes"}}, "no-such-setting"},
		"damaged dump":         {Options{Standalone: true, DumpFile: damaged}, "RDB"},
		"missing dump":         {Options{Standalone: true, DumpFile: damaged + "x"}, "no such file"},
		"dump for cluster":     {Options{DumpFile: damaged}, "standalone"},
		"no server":            {Options{Binary: "/bin/true"}, "no server"},
		"binary missing":       {Options{Binary: "/nonexistent/redis-server"}, "no such file"},
		"two standalone":       {Options{Standalone: true, Masters: 2}, "one master"},
		"TLS without a client": {Options{TLS: &TLS{}}, "client"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.opt.Dir = dir
			if tc.opt.Binary == "" {
				tc.opt.Binary = bin
			}
			c, err := Start(t.Context(), tc.opt)
			if err == nil {
				_ = c.Stop()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not mention %q", err, tc.want)
			}
		})
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("failed starts left %v", left)
	}
}

func TestStartCancelled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // masters need 2 s
	defer cancel()
	c, err := Start(ctx, Options{Binary: binary(t), Dir: dir})
	if err == nil {
		_ = c.Stop()
		t.Fatal("started")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
