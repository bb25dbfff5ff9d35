package slotter_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "s3cret pass,w@rd"

// servers starts servers that the end of the test stops.
func servers(t *testing.T, opt localcluster.Options) *localcluster.Cluster {
	t.Helper()
	_, err := localcluster.FindServer()
	needs.Have(t, err)
	opt.Dir = t.TempDir()
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

func parse(t *testing.T, s string) slotter.Target {
	t.Helper()
	target, err := slotter.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func connect(t *testing.T, url string, opt slotter.Options) *slotter.Cluster {
	t.Helper()
	c, err := slotter.Connect(t.Context(), parse(t, url), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// exchange sends commands in RESP's inline form and returns the first line of each reply.
func exchange(t *testing.T, conn net.Conn, commands ...string) []string {
	t.Helper()
	if _, err := conn.Write([]byte(strings.Join(commands, "\r\n") + "\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	var out []string
	for range commands {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line[0] == '$' && line[1] != '-' {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, strings.TrimRight(line, "\r\n"))
	}
	return out
}

func TestCluster(t *testing.T) {
	local := servers(t, localcluster.Options{Replicas: 1})
	// Any node will do, a replica too, and a dead seed before it.
	c := connect(t, "redis://127.0.0.1:1,"+local.Replicas(1)[0].Addr, slotter.Options{ClientName: "rdbimport"})
	if c.Standalone() || !c.Seed().Cluster || c.Seed().Role != "slave" {
		t.Errorf("Standalone %v, seed %+v", c.Standalone(), c.Seed())
	}
	m, err := c.Map(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Masters) != 3 || m.Missing() != nil {
		t.Fatalf("masters %v, missing %v", m.Masters, m.Missing())
	}
	for i, n := range local.Masters() {
		got := m.Masters[i]
		if got.Addr != n.Addr || got.ID != n.ID || len(got.Replicas) != 1 || got.Replicas[0].Addr != local.Replicas(i)[0].Addr {
			t.Errorf("master %d is %+v, want %s %s", i, got, n.Addr, n.ID)
		}
	}
	if local.Version().AtLeast(7, 0) { // makes every host of CLUSTER SLOTS nil: the one that was asked
		for _, n := range local.Nodes() {
			if err := n.Client().ConfigSet(t.Context(), "cluster-preferred-endpoint-type", "unknown-endpoint").Err(); err != nil {
				t.Fatal(err)
			}
		}
		again, err := c.Map(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.Masters, again.Masters); diff != "" {
			t.Errorf("without hosts (-want +got):\n%s", diff)
		}
	}
	for _, key := range []string{"foo", "{tag}x", "bar", ""} {
		want, err := c.Client(m.Masters[0].Addr).ClusterKeySlot(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if got := slotter.Slot([]byte(key)); int64(got) != want {
			t.Errorf("Slot(%q) = %d, server says %d", key, got, want)
		}
	}
	server, err := c.Server(t.Context(), m.Masters[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	if server.Version != local.Version() || server.Family == slotter.Unknown || server.Role != "master" || len(server.RunID) != 40 {
		t.Errorf("server %+v", server)
	}
	now, err := c.Time(t.Context(), m.Masters[0].Addr)
	if err != nil || time.Since(now).Abs() > time.Minute {
		t.Errorf("Time = %v, %v", now, err)
	}
	if info, err := c.Info(t.Context(), m.Masters[0].Addr, "cluster_info"); err != nil || info["cluster_state"] != "ok" {
		t.Errorf("Info = %v, %v", info, err)
	}
	if a, b := c.Client(m.Masters[0].Addr), c.Client(m.Masters[0].Addr); a != b {
		t.Error("two clients for one node")
	}
	if _, err := slotter.Connect(t.Context(), parse(t, local.URL()+"/1"), slotter.Options{}); !errors.Is(err, slotter.ErrDatabase) {
		t.Errorf("database 1 of a cluster: %v", err)
	}
}

func TestStandalone(t *testing.T) {
	local := servers(t, localcluster.Options{Standalone: true, Replicas: 1})
	c := connect(t, local.URL()+"/2", slotter.Options{ClientName: "rdbimport"})
	m, err := c.Map(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !c.Standalone() || len(m.Masters) != 1 || m.Masters[0].Addr != local.Addrs()[0] || m.Missing() != nil {
		t.Fatalf("standalone %v, map %+v", c.Standalone(), m.Masters)
	}
	conn, err := c.Dial(t.Context(), m.Masters[0].Addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // end of the test
	if _, ok := conn.(*net.TCPConn); !ok {
		t.Errorf("Dial returned a %T", conn)
	}
	got := exchange(t, conn, "CLIENT GETNAME", "SET k v", "DBSIZE")
	if want := []string{"rdbimport", "+OK", ":1"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("replies %q, want %q", got, want)
	}
	if v, err := c.Client(m.Masters[0].Addr).Get(t.Context(), "k").Result(); v != "v" {
		t.Errorf("the client of the target's database: %q, %v", v, err)
	}
	if n, err := c.ClientDB(m.Masters[0].Addr, 0).DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("database 0: %d keys, %v", n, err)
	}
	if _, err := c.Dial(t.Context(), m.Masters[0].Addr, 16); !errors.Is(err, slotter.ErrDatabase) {
		t.Errorf("database 16: %v", err)
	}
	// The connection outlives the Cluster and has no deadline left over.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, conn, "PING"); got[0] != "+PONG" {
		t.Errorf("after Close: %q", got)
	}

	_, err = slotter.Connect(t.Context(), parse(t, local.Replicas(0)[0].Addr), slotter.Options{})
	if !errors.Is(err, slotter.ErrReplica) || !strings.Contains(err.Error(), local.Addrs()[0]) {
		t.Errorf("replica: %v", err)
	}
	connect(t, local.Replicas(0)[0].Addr+","+local.Addrs()[0], slotter.Options{}) // its master is a seed too
}

func TestDialHasNoDeadline(t *testing.T) {
	local := servers(t, localcluster.Options{Standalone: true})
	c := connect(t, local.URL(), slotter.Options{DialTimeout: 400 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := c.Dial(ctx, local.Addrs()[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // end of the test
	cancel()           // the context is for the dial only
	if got := exchange(t, conn, "BLPOP nothing 0.8"); got[0] != "*-1" {
		t.Errorf("reply %q", got)
	}
}

func TestPassword(t *testing.T) {
	local := servers(t, localcluster.Options{Standalone: true, Password: secret})
	addr := local.Addrs()[0]
	admin := local.Nodes()[0].Client()
	for _, acl := range []string{
		"ACL SETUSER writer on >" + "wr1ter %RW~* +restore +select +info +ping +cluster",
		"ACL SETUSER blind on >bl1nd ~* +restore",
		"ACL SETUSER open on nopass ~* +@all",
	} {
		acl = strings.ReplaceAll(acl, "%RW~", "~")
		var args []any
		for _, a := range strings.Fields(acl) {
			args = append(args, a)
		}
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}

	connect(t, local.URL(), slotter.Options{})
	c := connect(t, addr, slotter.Options{Password: secret})
	conn, err := c.Dial(t.Context(), addr, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, conn, "SET k v"); got[0] != "+OK" {
		t.Errorf("SET: %q", got)
	}
	_ = conn.Close()

	// An ACL user that may not CLIENT SETNAME is let through.
	c = connect(t, "redis://writer:wr1ter@"+addr, slotter.Options{ClientName: "rdbimport", User: "default", Password: secret})
	if conn, err = c.Dial(t.Context(), addr, 3); err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, conn, `RESTORE k 0 ""`, "GET k"); !strings.HasPrefix(got[0], "-ERR") || !strings.HasPrefix(got[1], "-NOPERM") {
		t.Errorf("as writer: %q", got)
	}
	_ = conn.Close()

	// A user without a password is that user, and not the default one.
	c = connect(t, "redis://open@"+addr, slotter.Options{})
	if conn, err = c.Dial(t.Context(), addr, 3); err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, conn, "ACL WHOAMI"); got[0] != "open" {
		t.Errorf("as open: %q", got)
	}
	_ = conn.Close()
	if who, err := c.ClientDB(addr, 3).Do(t.Context(), "ACL", "WHOAMI").Text(); who != "open" || err != nil {
		t.Errorf("as open: %q, %v", who, err)
	}

	for _, tc := range []struct {
		name, url string
		opt       slotter.Options
		want      error
	}{
		{"no password", addr, slotter.Options{}, slotter.ErrAuth},
		{"wrong password", addr, slotter.Options{Password: "wr0ng"}, slotter.ErrAuth},
		{"wrong user", "nobody@" + addr, slotter.Options{Password: secret}, slotter.ErrAuth},
		{"no password for the user", "writer@" + addr, slotter.Options{}, slotter.ErrAuth},
		{"user may not INFO", "blind:bl1nd@" + addr, slotter.Options{}, slotter.ErrNoPermission},
	} {
		_, err := slotter.Connect(t.Context(), parse(t, tc.url), tc.opt)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
			continue
		}
		for _, s := range []string{secret, "wr0ng", "bl1nd"} {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error shows the password: %v", tc.name, err)
			}
		}
	}

	// Dial itself finds out too: the password is changed behind its back.
	c = connect(t, local.URL(), slotter.Options{})
	if err := admin.ConfigSet(t.Context(), "requirepass", "an0ther").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Dial(t.Context(), addr, 0); !errors.Is(err, slotter.ErrAuth) {
		t.Errorf("Dial: %v", err)
	}
}

func TestMaxClients(t *testing.T) {
	local := servers(t, localcluster.Options{Standalone: true, Config: []string{"maxclients 3"}})
	c := connect(t, local.URL(), slotter.Options{})
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for range 5 {
		conn, err := c.Dial(t.Context(), local.Addrs()[0], 0)
		if err != nil {
			if !strings.Contains(err.Error(), "max number of clients") || !errors.Is(err, slotter.ErrUnreachable) {
				t.Errorf("error %v", err)
			}
			return
		}
		open = append(open, conn)
	}
	t.Error("more connections than maxclients")
}

func TestTLS(t *testing.T) {
	certs := makeCerts(t)
	local := servers(t, localcluster.Options{Masters: 1, TLS: certs, Password: secret})
	addr := local.Addrs()[0]
	c := connect(t, local.URL(), slotter.Options{TLS: certs.Client})
	conn, err := c.Dial(t.Context(), addr, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := conn.(*tls.Conn); !ok {
		t.Errorf("Dial returned a %T", conn)
	}
	if got := exchange(t, conn, "SET k v", "GET k"); got[0] != "+OK" || got[1] != "v" {
		t.Errorf("replies %q", got)
	}
	_ = conn.Close()
	if err := c.Client(addr).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	if certs.Client.ServerName != "" {
		t.Error("the caller's TLS configuration was changed")
	}

	if _, err := slotter.Connect(t.Context(), parse(t, local.URL()), slotter.Options{DialTimeout: 30 * time.Second}); !errors.Is(err, slotter.ErrTLS) {
		t.Errorf("unknown authority: %v", err)
	}
	other := certs.Client.Clone()
	other.ServerName = "elsewhere.example"
	if _, err := slotter.Connect(t.Context(), parse(t, local.URL()), slotter.Options{TLS: other}); !errors.Is(err, slotter.ErrTLS) {
		t.Errorf("wrong name: %v", err)
	}
	_, err = slotter.Connect(t.Context(), parse(t, addr), slotter.Options{Password: secret})
	if !errors.Is(err, slotter.ErrUnreachable) && !errors.Is(err, slotter.ErrNotRedis) || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("plain to a TLS port: %v", err)
	}
}
