package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	barEvery    = 100 * time.Millisecond
	logEvery    = 5 * time.Second
	speedWindow = 5 * time.Second
)

// A view shows samples on standard error.
type view interface {
	show(m *meter, s sample)
	close()
}

// startProgress shows how a phase goes on until the returned function is called.
// total is in bytes, 0 if not known; take is called from another goroutine.
func startProgress(con *console, out outputFlags, phase string, total int64, take func() sample) (stop func()) {
	v, every := newView(con, out, phase, total)
	if v == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		m := newMeter(speedWindow, time.Now())
		for {
			select {
			case <-ticker.C:
				s := take()
				m.add(s)
				v.show(m, s)
			case <-ctx.Done():
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		work.Wait()
		v.close()
	})
}

// newView chooses what to show, nil for nothing.
func newView(con *console, out outputFlags, phase string, total int64) (view, time.Duration) {
	how := out.progress
	if out.quiet {
		how = "none"
	}
	if how == "auto" {
		how = "log"
		if f, ok := con.w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
			how = "bar"
		}
	}
	switch how {
	case "bar":
		return newBarView(con, phase, total), barEvery
	case "log":
		return &logView{con: con, phase: phase, total: total}, logEvery
	}
	return nil, 0
}

// A logView writes a line every few seconds.
type logView struct {
	con   *console
	phase string
	total int64
}

func (v *logView) show(m *meter, s sample) {
	v.con.line("%s %s: %s", formatClock(m.elapsed()), v.phase, logText(m, s, v.total))
}

func (v *logView) close() {}

// logText says how far a phase has come, in one line.
func logText(m *meter, s sample, total int64) string {
	var b strings.Builder
	b.WriteString(formatBytes(s.bytes))
	if total > 0 {
		fmt.Fprintf(&b, " of %s (%d %%)", formatBytes(total), percent(s.bytes, total))
	}
	bytes, keys := m.speed()
	fmt.Fprintf(&b, ", %s keys, %s keys/s, %s MB/s", formatCount(s.keys), formatShort(keys), formatMB(int64(bytes)))
	if left, ok := m.left(total); ok {
		fmt.Fprintf(&b, ", %s left", formatClock(left))
	}
	return b.String()
}

func percent(n, of int64) int {
	if of <= 0 {
		return 0
	}
	return int(min(100, 100*float64(n)/float64(of)))
}
