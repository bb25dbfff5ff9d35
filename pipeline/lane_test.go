package pipeline

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestEarlyLane expects a lane that is opened before there is a batch for it to be
// tried again where the master takes no connection at first.
func TestEarlyLane(t *testing.T) {
	if _, err := localcluster.FindServer(); err != nil && os.Getenv("RDBIMPORT_CI") == "" {
		t.Skip(err)
	}
	lc, err := localcluster.Start(t.Context(), localcluster.Options{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer lc.Stop() //nolint:errcheck // its error is of no test
	to, err := slotter.ParseTarget(lc.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), to, slotter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing is written by it
	im, err := New(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close() //nolint:errcheck // it is given nothing
	admin := lc.Masters()[0].Client()
	set := func(most string) {
		t.Helper()
		if err := admin.ConfigSet(t.Context(), "maxclients", most).Err(); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, cond func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	set("1") // and those that are there stay
	im.flow.lanes.Store(2)
	l := im.laneTo(place{addr: lc.Masters()[0].Addr, n: 1})
	until("no connection is refused", func() bool {
		return !strings.Contains(admin.Info(t.Context(), "stats").Val(), "rejected_connections:0\r")
	})
	if l.conn.Load() != nil {
		t.Error("there is a connection")
	}
	set("1000")
	until("there is no connection", func() bool { return l.conn.Load() != nil })
}
