package pipeline

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// TestEarlyLane expects a lane that is opened before there is a batch for it to be
// tried again where the master takes no connection at first.
func TestEarlyLane(t *testing.T) {
	lc, im := aloneImporter(t, Options{})
	admin := lc.Masters()[0].Client()
	set := func(most string) {
		t.Helper()
		if err := admin.ConfigSet(t.Context(), "maxclients", most).Err(); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, cond func() bool) {
		t.Helper()
		tick, end := time.NewTicker(time.Millisecond), time.After(20*time.Second)
		defer tick.Stop()
		for !cond() {
			select {
			case <-tick.C:
			case <-end:
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
	lc, im := aloneImporter(t, Options{})
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

// TestStopWhileFull: an import that waits until a master has memory ends when it is to.
func TestStopWhileFull(t *testing.T) {
	full := make(chan struct{})
	lc, im := aloneImporter(t, Options{
		Databases: Databases{Only: AllDatabases}, WaitOnOOM: true, Warn: func(string) { close(full) }, // once for each master
	})
	if err := lc.Masters()[0].Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	var dump bytes.Buffer
	if _, err := dataset.Mixed(&dump, 100, 1); err != nil {
		t.Fatal(err)
	}
	if err := im.NewFeeder().Feed(rdbparse.NewScanner(&dump, rdbparse.Options{})); err != nil {
		t.Fatal(err)
	}
	<-full
	im.Stop()
	type closed struct {
		res Result
		err error
	}
	ended := make(chan closed, 1)
	go func() {
		res, err := im.Close()
		ended <- closed{res, err}
	}()
	select {
	case c := <-ended:
		if c.res.Restored != 0 || c.res.Unsettled == 0 || !errors.Is(c.err, ErrStopped) {
			t.Errorf("%d restored, %d unsettled, %v", c.res.Restored, c.res.Unsettled, c.err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for memory after it was stopped")
		_ = lc.Masters()[0].Client().ConfigSet(context.Background(), "maxmemory", "0").Err()
		<-ended
	}
}

// aloneImporter starts a standalone server, and an Importer into it that is given nothing.
func aloneImporter(t *testing.T, opts Options) (*localcluster.Cluster, *Importer) {
	t.Helper()
	lc := startServers(t, localcluster.Options{Standalone: true})
	return lc, importerInto(t, lc.URL(), opts)
}

// startServers starts servers that the end of the test stops.
func startServers(t *testing.T, opt localcluster.Options) *localcluster.Cluster {
	t.Helper()
	_, err := localcluster.FindServer()
	needs.Have(t, err)
	lc, err := localcluster.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lc.Stop() })
	return lc
}

// importerInto returns an Importer that is given nothing.
func importerInto(t *testing.T, url string, opts Options) *Importer {
	t.Helper()
	to, err := slotter.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := slotter.Connect(t.Context(), to, slotter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	im, err := New(t.Context(), c, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = im.Close() })
	return im
}
