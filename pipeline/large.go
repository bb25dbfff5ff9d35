package pipeline

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// large is the memory for commands that are larger than a batch: most bytes in all.
// One that is larger than that has it alone. Buffers that have been given back are
// kept for commands of about the same size, since memory that was used before is
// faster than memory that the garbage collector and the kernel have to provide.
type large struct {
	most int64
	free *semaphore.Weighted

	mu     sync.Mutex
	total  int64    // bytes of all buffers, given out and spare
	spare  [][]byte // oldest first
	counts *memory  // what is spare is counted there
}

// spareShare bounds how much larger than a command its buffer may be: by one part in
// so many.
const spareShare = 8

func newLarge(most int64, counts *memory) *large {
	return &large{most: most, free: semaphore.NewWeighted(most), counts: counts}
}

// take waits until there is room for a command of size bytes, and returns a buffer
// of at least that capacity. The room is what has to be given back with it.
func (l *large) take(ctx context.Context, size int) (buf []byte, room int64, err error) {
	room = min(int64(size), l.most)
	if err := l.free.Acquire(ctx, room); err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	best := -1
	for i, b := range l.spare {
		if n := cap(b); n >= size && n-size <= size/spareShare && (best < 0 || n < cap(l.spare[best])) {
			best = i
		}
	}
	if best >= 0 {
		buf = l.remove(best)
		l.mu.Unlock()
		return buf[:0], room, nil
	}
	for len(l.spare) > 0 && l.total+int64(size) > l.most {
		l.total -= int64(cap(l.remove(0)))
	}
	l.total += int64(size)
	l.mu.Unlock()
	return make([]byte, 0, size), room, nil
}

// remove takes a buffer out of those that are spare. l.mu is held.
func (l *large) remove(i int) []byte {
	buf := l.spare[i]
	l.spare = slices.Delete(l.spare, i, i+1)
	l.counts.add(-int64(cap(buf)))
	return buf
}

// give takes back a buffer and its room.
func (l *large) give(buf []byte, room int64) {
	l.mu.Lock()
	if l.total <= l.most {
		l.spare = append(l.spare, buf)
		l.counts.add(int64(cap(buf)))
	} else {
		l.total -= int64(cap(buf))
	}
	l.mu.Unlock()
	l.free.Release(room)
}
