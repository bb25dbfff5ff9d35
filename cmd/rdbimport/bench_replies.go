package main

import (
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse/census"
)

// replyTimes are how long masters took to answer batches. The zero value is ready.
type replyTimes struct {
	mu     sync.Mutex
	byAddr map[string]*masterReplies
}

// masterReplies are those of one master, in nanoseconds.
type masterReplies struct {
	batches int64
	times   census.Histogram
}

// note counts a batch. It is called from several goroutines.
func (r *replyTimes) note(addr string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.byAddr[addr]
	if m == nil {
		if r.byAddr == nil {
			r.byAddr = make(map[string]*masterReplies)
		}
		m = &masterReplies{}
		r.byAddr[addr] = m
	}
	m.batches++
	m.times.Add(int64(took))
}

// warnOnce tells each warning once: every import has the same ones.
type warnOnce struct {
	warn func(text string)
	mu   sync.Mutex
	told map[string]bool
}

func (w *warnOnce) say(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[text] {
		return
	}
	if w.told == nil {
		w.told = make(map[string]bool)
	}
	w.told[text] = true
	w.warn(text)
}
