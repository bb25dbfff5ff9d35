package pipeline

import "sync"

// A queue carries batches from one owner to the next. It has room for all
// batches there are, because they are its links, so that put never blocks.
type queue struct {
	mu          sync.Mutex
	first, last *batch
	ready       chan struct{} // has a token when batches may be there
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// put appends b, which the queue now owns.
func (q *queue) put(b *batch) {
	q.mu.Lock()
	if q.last == nil {
		q.first = b
	} else {
		q.last.next = b
	}
	q.last = b
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take removes the first batch and returns it, nil if there is none: the next
// one is announced on ready.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.first
	if b == nil {
		return nil
	}
	q.first = b.next
	if q.first == nil {
		q.last = nil
	}
	b.next = nil
	return b
}
