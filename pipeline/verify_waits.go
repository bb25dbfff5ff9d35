package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A verifyWait notes that answers of a master are waited for, and since when.
type verifyWait struct {
	state MasterState // what the master is, once that takes long
	wait  atomic.Pointer[verifyWaiting]
	large atomic.Pointer[verifyLarge] // what is compared in ranges
}

type verifyWaiting struct {
	addr  string
	since time.Time
}

// A verifyLarge is a key whose value is compared in ranges since then.
type verifyLarge struct {
	key   []byte
	since time.Time
}

func (w *verifyWait) begin(addr string) { w.wait.Store(&verifyWaiting{addr, time.Now()}) }
func (w *verifyWait) end()              { w.wait.Store(nil) }

// goOn is begin, unless the same master is waited for already.
func (w *verifyWait) goOn(addr string) {
	if on := w.wait.Load(); on == nil || on.addr != addr {
		w.begin(addr)
	}
}

// verifyWaits are the waits of all lanes, and of what asks once more.
type verifyWaits struct {
	mu   sync.Mutex
	list []*verifyWait
}

// add returns one more.
func (w *verifyWaits) add(state MasterState) *verifyWait {
	one := &verifyWait{state: state}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, one)
	return one
}

// Large returns the key whose value has been compared in ranges for longest, the address of
// its master, and for how long that has been so. It reports false if there is none that
// takes long.
func (v *Verifier) Large() (key []byte, addr string, lasts time.Duration, ok bool) {
	v.waits.mu.Lock()
	defer v.waits.mu.Unlock()
	for _, w := range v.waits.list {
		if on := w.large.Load(); on != nil {
			if d := time.Since(on.since); d > max(lasts, silenceLimit) {
				key, lasts = on.key, d
			}
		}
	}
	if key == nil {
		return nil, "", 0, false
	}
	return key, v.ownerOf(key), lasts, true
}

// Troubled returns the masters that have left keys waiting for long, by their addresses,
// with how and for how long.
func (v *Verifier) Troubled() []MasterResult {
	v.waits.mu.Lock()
	defer v.waits.mu.Unlock()
	var out []MasterResult
	for _, w := range v.waits.list {
		on := w.wait.Load()
		if on == nil {
			continue
		}
		m := MasterResult{Addr: on.addr, State: w.state, For: time.Since(on.since)}
		if m.For <= silenceLimit {
			continue
		}
		at := slices.IndexFunc(out, func(o MasterResult) bool { return o.Addr == m.Addr })
		if at < 0 {
			out = append(out, m)
		} else if m.For > out[at].For {
			out[at] = m
		}
	}
	slices.SortFunc(out, func(a, b MasterResult) int { return cmp.Compare(a.Addr, b.Addr) })
	return out
}
