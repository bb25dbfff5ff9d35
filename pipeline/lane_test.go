package pipeline

import (
	"context"
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
	lc, im := aloneImporter(t)
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

// TestLastLookSaysWhy: a master that cannot be asked at the end may be well, and the reason
// lie here.
func TestLastLookSaysWhy(t *testing.T) {
	lc, im := aloneImporter(t)
	addr := lc.Masters()[0].Addr
	if err := im.stillThere(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	if err := lc.Masters()[0].Client().ConfigSet(t.Context(), "maxclients", "1").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*askAgain)
	defer cancel()
	if err := im.stillThere(ctx, addr); err == nil || !strings.Contains(err.Error(), "max number of clients") {
		t.Errorf("it is told as: %v", err)
	}
}

// aloneImporter starts a standalone server, and an Importer into it that is given nothing.
func aloneImporter(t *testing.T) (*localcluster.Cluster, *Importer) {
	t.Helper()
	if _, err := localcluster.FindServer(); err != nil && os.Getenv("RDBIMPORT_CI") == "" {
		t.Skip(err)
	}
	lc, err := localcluster.Start(t.Context(), localcluster.Options{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lc.Stop() })
	to, err := slotter.ParseTarget(lc.URL())
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), to, slotter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	im, err := New(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = im.Close() })
	return lc, im
}
