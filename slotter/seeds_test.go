package slotter_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestSeeds: seeds that answer must belong together. One that is dead, or a replica, is well.
func TestSeeds(t *testing.T) {
	one := servers(t, localcluster.Options{Replicas: 1})
	other := servers(t, localcluster.Options{})
	alone := servers(t, localcluster.Options{Standalone: true, Replicas: 1})
	lone := servers(t, localcluster.Options{Standalone: true})
	silent := listen(t, func(conn net.Conn) { // until the client gives it up
		for _, err := conn.Read(make([]byte, 4096)); err == nil; _, err = conn.Read(make([]byte, 4096)) {
		}
	})
	a, b := one.Addrs()[0], other.Addrs()[1]
	for _, tc := range []struct {
		name, target, strange string
	}{
		{"one cluster", a + "," + one.Replicas(2)[0].Addr + ",127.0.0.1:1", ""},
		{"two clusters", a + "," + one.Addrs()[1] + "," + b, b},
		{"behind a dead one", "127.0.0.1:1," + b + "," + a, a},
		{"a cluster and a server", a + "," + lone.Addrs()[0], lone.Addrs()[0]},
		{"a server and a cluster", lone.Addrs()[0] + "," + a, a},
		{"two servers", alone.Addrs()[0] + "," + lone.Addrs()[0], lone.Addrs()[0]},
		{"a server and its replica", alone.Addrs()[0] + "," + alone.Replicas(0)[0].Addr, ""},
		{"a silent one", a + "," + silent, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			began := time.Now()
			c, err := slotter.Connect(t.Context(), parse(t, tc.target), slotter.Options{DialTimeout: time.Minute})
			if tc.strange == "" {
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, slotter.ErrOtherCluster) || !strings.HasPrefix(err.Error(), tc.strange+": ") {
				t.Fatalf("error %v, want one about %s", err, tc.strange)
			}
			for _, addr := range []string{a, b, alone.Addrs()[0], lone.Addrs()[0]} {
				if strings.Contains(tc.target, addr) && !strings.Contains(err.Error(), addr) {
					t.Errorf("error %q does not name %s", err, addr)
				}
			}
		})
	}
}
