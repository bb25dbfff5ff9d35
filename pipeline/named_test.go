package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// TestEverNewAddresses has a node name ever new addresses as that of a slot's owner.
func TestEverNewAddresses(t *testing.T) {
	lc, im := healthImport(t, "", Options{})
	addr := lc.Masters()[0].Addr
	moved := func(i int) string { return fmt.Sprintf("MOVED 1 127.1.%d.%d:1", i>>8, i&255) }
	const tries = 3 * mostNamed

	t.Run("import", func(t *testing.T) {
		l := im.laneTo(place{addr: addr})
		b := &batch{buf: appendTouch(nil, []byte("key")), lane: l}
		b.cmds = []command{{end: uint32(len(b.buf))}}
		for i := range tries {
			tl := tally{}
			l.redirected(b, 0, actMoved, []byte(moved(i)), &tl)
			if len(tl.moved) > 0 {
				im.movedTo(tl.moved)
			}
			if i < mostNamed && im.ctx.Err() != nil {
				t.Fatalf("%d addresses, and the import ends: %v", i+1, im.whyStopped())
			}
		}
		im.mu.Lock()
		lanes := len(im.lanes)
		im.mu.Unlock()
		if lanes > mostNamed+len(lc.Masters()) || !errors.Is(im.whyStopped(), ErrManyNodes) {
			t.Errorf("%d lanes; %v", lanes, im.whyStopped())
		}
	})
	t.Run("large value", func(t *testing.T) {
		_, im := healthImport(t, "", Options{})
		b := &bigValue{im: im, name: []byte("key"), f: im.NewFeeder(), e: &rdbparse.Entry{Type: rdbparse.TypeString.Info()}}
		for i := range mostNamed {
			if err := im.named.add(moved(i), addr); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := b.judgeReply(&replyError{addr: addr, text: moved(tries)}); again || !errors.Is(err, ErrManyNodes) {
			t.Errorf("again %v: %v", again, err)
		}
	})
	t.Run("verify", func(t *testing.T) {
		v, err := Verify(t.Context(), im.cluster, VerifyOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close() //nolint:errcheck // it is ended
		b := &verifyBatch{buf: []byte("key"), keys: []verifyKey{{value: 3, end: 3}}}
		for i := range tries {
			v.refused(addr, b, 0, moved(i))
		}
		if n := len(v.routes.Load().masters); n > mostNamed+len(lc.Masters())+1 || !errors.Is(context.Cause(v.ctx), ErrManyNodes) {
			t.Errorf("%d masters; %v", n, context.Cause(v.ctx))
		}
	})
}
