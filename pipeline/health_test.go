package pipeline

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// healthImport starts three masters and an import into them by some user, which is
// given nothing.
func healthImport(t *testing.T, user string, opts Options, acl ...any) (*localcluster.Cluster, *Importer) {
	t.Helper()
	lc := startServers(t, localcluster.Options{NodeTimeout: 30 * time.Second})
	for _, m := range lc.Masters() {
		if err := m.Client().Do(t.Context(), append([]any{"ACL", "SETUSER"}, acl...)...).Err(); err != nil && len(acl) > 0 {
			if !lc.Version().AtLeast(7, 0) {
				t.Skip("rights to subcommands came with Redis 7.0")
			}
			t.Fatal(err)
		}
	}
	return lc, importerInto(t, strings.Replace(lc.URL(), "redis://", "redis://"+user, 1), opts)
}

// TestStandingWithoutNodes asks about masters as a user who may not see CLUSTER NODES.
func TestStandingWithoutNodes(t *testing.T) {
	lc, im := healthImport(t, "some:secret@", Options{}, "some", "on", ">secret", "~*", "+@all", "-cluster|nodes")
	addr := lc.Masters()[0].Addr
	if got := im.standing(t.Context(), addr); got != standingMaster {
		t.Errorf("standing of a master is %d", got)
	}
	if got := im.agreed(t.Context(), lc.Addrs(), strings.Repeat("0", 40)); got != standingReplaced {
		t.Errorf("standing of a node that nobody knows is %d", got)
	}
}

// TestConfirmIsTrouble has the other nodes leave unsaid whether a master may be
// believed: the import must end when that has lasted for too long, and before that
// where the connection has to be given up.
func TestConfirmIsTrouble(t *testing.T) {
	lc, im := healthImport(t, "", Options{RetryTimeout: 500 * time.Millisecond})
	l := im.laneTo(place{addr: lc.Masters()[0].Addr})
	conn, err := l.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing is written by it
	for _, m := range lc.Masters()[1:] {
		m.Kill()
	}
	c := newConnection(l, conn)
	c.giveUp(errSilent)
	if err := c.confirm(); !errors.Is(err, errSilent) {
		t.Errorf("a connection that is given up: %v", err)
	}
	if err := newConnection(l, conn).confirm(); err == nil || !errors.Is(im.failure, ErrNoProgress) {
		t.Errorf("%v, and the import has ended because of %v", err, im.failure)
	}
}

// TestStopPatience: who has asked an import to stop waits for a master that accepts nothing
// for a time that counts from then on, however long it may last otherwise.
func TestStopPatience(t *testing.T) {
	lc, im := healthImport(t, "", Options{RetryTimeout: time.Hour})
	l := im.laneTo(place{addr: lc.Masters()[0].Addr})
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	im.Stop()
	var asked time.Time
	for _, s := range []struct {
		asked, since time.Duration
		ends         bool
	}{{0, 40 * time.Minute, false}, {40 * time.Minute, 0, false}, {40 * time.Minute, 2 * StopPatience, true}} {
		asked = ago(s.asked)
		im.asked.Store(&asked)
		l.since.Store(l.steady(ago(s.since)))
		l.latest.Store(l.steady(time.Now()))
		im.trouble(l, errSilent)
		if ended := im.ctx.Err() != nil; ended != s.ends {
			t.Errorf("asked %v ago, in trouble for %v: ended %v", s.asked, s.since, ended)
		}
	}
	if err := context.Cause(im.ctx); !errors.Is(err, ErrNoProgress) {
		t.Errorf("it ended because of %v", err)
	}
	im.Stop()
	if im.asked.Load() != &asked {
		t.Error("it begins anew when it is asked once more")
	}
}

// TestBarred: a master whose password is changed meanwhile is tried again, and the user
// told once what it says.
func TestBarred(t *testing.T) {
	var warned []string
	opts := Options{RetryTimeout: time.Hour, Warn: func(text string) { warned = append(warned, text) }}
	lc, im := healthImport(t, "some:secret@", opts, "some", "on", ">secret", "~*", "+@all")
	m := lc.Masters()[0]
	if err := m.Client().Do(t.Context(), "ACL", "SETUSER", "some", "resetpass", ">other").Err(); err != nil {
		t.Fatal(err)
	}
	l := im.laneTo(place{addr: m.Addr})
	for range 3 {
		_, err := l.dial()
		im.trouble(l, err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], m.Addr+": authentication failed: WRONGPASS") {
		t.Errorf("warnings %q", warned)
	}
	if s := l.view(false).state; s != MasterBarred {
		t.Errorf("state %v", s)
	}
}

// TestIdleIsNoSilence: a master to which nothing is sent has nothing to answer, so its
// silence begins with the next batch, and not with one that follows while it has that.
func TestIdleIsNoSilence(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()  //nolint:errcheck // nobody reads it
	defer near.Close() //nolint:errcheck // nor this
	im := &Importer{ctx: t.Context(), wait: []byte("x")}
	c := newConnection(newLane(im, place{addr: "a:1"}, 0), near)
	go func() { _, _ = far.Read(make([]byte, 8)); _ = far.Close() }() // the second batch does not get through
	old := time.Now().Add(-time.Hour).UnixNano()
	c.heard.Store(old)
	c.lane.queue.put(&batch{how: sendWait})
	if err := c.write(&batch{how: sendWait}); err == nil {
		t.Fatal("both are written")
	}
	heard := c.heard.Load()
	if time.Since(time.Unix(0, heard)) > time.Minute {
		t.Error("the time in which nothing was asked counts as a silence")
	}
	c.heard.Store(old)
	c.lane.queue.put(&batch{how: sendWait})
	if err := c.write(nil); err == nil || c.heard.Load() != old {
		t.Errorf("%v; a batch behind others ends a silence", err)
	}
}

// TestDetourProgress: keys may be sent on for as long as somebody moves what their slot
// has.
func TestDetourProgress(t *testing.T) {
	lc, im := healthImport(t, "", Options{})
	key := []byte("{key}")
	slot := slotter.Slot(key)
	master := lc.Masters()[0]
	for _, m := range lc.Masters() {
		if at := im.slotMap.Load(); at.Masters[at.Owner(slot)].Addr == m.Addr {
			master = m
		}
	}
	if err := master.Client().MSet(t.Context(), "{key}1", 1, "{key}2", 2).Err(); err != nil {
		t.Fatal(err)
	}
	var d detour
	for _, move := range []bool{false, true, true, false} {
		if move {
			if err := master.Client().Unlink(t.Context(), master.Client().ClusterGetKeysInSlot(t.Context(), int(slot), 1).Val()...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		err := im.sentAway(&d, key, slot, master.Addr, "elsewhere")
		if late := !move && d.since.Before(time.Now().Add(-time.Minute)); late != errors.Is(err, ErrNoProgress) {
			t.Fatalf("moved %v: %v", move, err)
		}
		if move && d.keys < 0 {
			t.Fatal("the keys of the slot are not counted")
		}
		d.since = d.since.Add(-time.Hour)
	}
}

// TestLoadingSlowly: the answers to one batch may come over a time that is longer than the
// retry timeout. A master that is loading is alive at each of them.
func TestLoadingSlowly(t *testing.T) {
	im, stop := newSink(1, Options{RetryTimeout: time.Nanosecond})
	defer stop()
	l, n := im.lanes[0], 3
	r := newReplyReader(strings.NewReader(strings.Repeat("-LOADING Redis is loading the dataset in memory\r\n", n)))
	b := &batch{cmds: make([]command, n), open: n}
	var got tally
	if err := l.readReplies(r, b, &got); err != nil || im.ctx.Err() != nil || got.answered != int64(n) {
		t.Errorf("%v, %v, %+v", err, context.Cause(im.ctx), got)
	}
}
