package pipeline

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
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
	set("1") // and those that are there stay
	im.flow.lanes.Store(2)
	l := im.laneTo(place{addr: lc.Masters()[0].Addr, n: 1})
	eventually(t, "no connection is refused", func() bool {
		return !strings.Contains(admin.Info(t.Context(), "stats").Val(), "rejected_connections:0\r")
	})
	if l.conn.Load() != nil {
		t.Error("there is a connection")
	}
	set("1000")
	eventually(t, "there is no connection", func() bool { return l.conn.Load() != nil })
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
	res := stopsSoon(t, im)
	if res.Restored != 0 || res.Unsettled == 0 {
		t.Errorf("%d restored, %d unsettled", res.Restored, res.Unsettled)
	}
}

// TestStopWhileLoading: an import that waits until a master has loaded its data ends when it
// is to, and says why keys are not settled.
func TestStopWhileLoading(t *testing.T) {
	var warned atomic.Value
	lc, im := aloneImporter(t, Options{
		Databases: Databases{Only: AllDatabases}, RetryTimeout: time.Hour, Warn: func(text string) { warned.Store(text) },
	})
	admin := lc.Masters()[0].Client()
	for _, command := range [][]any{
		{"DEBUG", "POPULATE", 20_000, "filler", 100},
		// It looks after its clients after every KB, and takes minutes.
		{"CONFIG", "SET", "loading-process-events-interval-bytes", 1024},
		{"CONFIG", "SET", "key-load-delay", 10_000},
	} {
		if err := admin.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var reload sync.WaitGroup
	defer reload.Wait()
	defer lc.Masters()[0].Kill()
	reload.Go(func() { _ = admin.Do(t.Context(), "DEBUG", "RELOAD").Err() }) // which the end of the server ends
	eventually(t, "it does not load", func() bool {
		err := admin.DBSize(t.Context()).Err()
		return err != nil && strings.HasPrefix(err.Error(), "LOADING")
	})
	var dump bytes.Buffer
	if _, err := dataset.Mixed(&dump, 100, 1); err != nil {
		t.Fatal(err)
	}
	if err := im.NewFeeder().Feed(rdbparse.NewScanner(&dump, rdbparse.Options{})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is tried again", func() bool { return im.Snapshot().Retries > 0 })
	res := stopsSoon(t, im)
	if res.Restored != 0 || res.Unsettled == 0 {
		t.Errorf("%d restored, %d unsettled", res.Restored, res.Unsettled)
	}
	if text, _ := warned.Load().(string); !strings.Contains(text, lc.Masters()[0].Addr+": LOADING") {
		t.Errorf("warned is %q", text)
	}
}

// stopsSoon stops an import that waits, and returns what has become of it.
func stopsSoon(t *testing.T, im *Importer) Result {
	t.Helper()
	im.Stop()
	ended := make(chan struct{})
	var res Result
	var err error
	go func() {
		defer close(ended)
		res, err = im.Close()
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it waits after it was stopped")
		im.abort(ErrStopped)
		<-ended
	}
	if !errors.Is(err, ErrStopped) {
		t.Errorf("it ends with %v", err)
	}
	return res
}

// eventually waits until cond holds.
func eventually(t *testing.T, not string, cond func() bool) {
	t.Helper()
	tick, end := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(not)
		}
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
