package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"
)

// TestLargeReuse expects a buffer that was given back to serve the next command of
// about its size, and no other.
func TestLargeReuse(t *testing.T) {
	const most = 1000 << 10
	for _, c := range []struct {
		name        string
		first, next int
		reused      bool
	}{
		{"the same size", 400 << 10, 400 << 10, true},
		{"a little less", 400 << 10, 360 << 10, true},
		{"much less", 400 << 10, 300 << 10, false},
		{"more", 400 << 10, 420 << 10, false},
		{"more than all", 400 << 10, 2000 << 10, false},
		{"more than all twice", 2000 << 10, 2000 << 10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var counts memory
			l := newLarge(most, &counts)
			buf, room, err := l.take(t.Context(), c.first)
			if err != nil || cap(buf) < c.first || room != int64(min(c.first, most)) {
				t.Fatalf("%d bytes, %d of room, %v", cap(buf), room, err)
			}
			first := unsafe.SliceData(buf)
			l.give(append(buf, "of the last command"...), room)
			if got, want := counts.now.Load(), int64(cap(buf)); c.first <= most && got != want || c.first > most && got != 0 {
				t.Errorf("%d bytes are counted as spare, not %d", got, want)
			}
			buf, room, err = l.take(t.Context(), c.next)
			if err != nil || cap(buf) < c.next || len(buf) != 0 {
				t.Fatalf("%d of %d bytes, %v", len(buf), cap(buf), err)
			}
			if reused := unsafe.SliceData(buf) == first; reused != c.reused {
				t.Errorf("reused: %v", reused)
			}
			l.give(buf, room)
		})
	}
}

// TestLargeFull expects a command for which there is no room to wait, and to give up
// with the context.
func TestLargeFull(t *testing.T) {
	var counts memory
	l := newLarge(1000, &counts)
	buf, room, err := l.take(t.Context(), 5000)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := l.take(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	l.give(buf, room)
	if _, _, err := l.take(t.Context(), 1000); err != nil {
		t.Error(err)
	}
}

// TestLargeBound takes and gives buffers of many sizes from several goroutines: what
// is held stays within the bound, and an eighth for what is larger than was asked for.
func TestLargeBound(t *testing.T) {
	const most = 4 << 20
	var counts memory
	l := newLarge(most, &counts)
	var work sync.WaitGroup
	for seed := range uint64(4) {
		work.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			for range 500 {
				size := 256<<10 + rnd.IntN(700<<10)
				buf, room, err := l.take(t.Context(), size)
				if err != nil || cap(buf) < size || cap(buf) > size+size/spareShare+16<<10 {
					t.Errorf("%d bytes for %d, %v", cap(buf), size, err)
					return
				}
				l.mu.Lock()
				if l.total > most+most/spareShare+64<<10 {
					t.Errorf("%d bytes are held", l.total)
				}
				l.mu.Unlock()
				l.give(buf, room)
			}
		})
	}
	work.Wait()
	spare := int64(0)
	for _, b := range l.spare {
		spare += int64(cap(b))
	}
	if spare != l.total || spare != counts.now.Load() || spare > most+most/spareShare+64<<10 {
		t.Errorf("%d bytes are spare, %d held, %d counted", spare, l.total, counts.now.Load())
	}
}
