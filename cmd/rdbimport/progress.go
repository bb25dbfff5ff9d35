package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/rdbimport/rdbimport/pipeline"
)

const (
	screenEvery = 100 * time.Millisecond
	logEvery    = 5 * time.Second
	speedWindow = 5 * time.Second
)

// A status is how far a phase has come, and how the masters stand.
type status struct {
	sample
	masters []pipeline.MasterResult // nil where none take part
	large   string                  // the value that takes long, "" if none does
}

// A view shows on standard error how it goes on.
type view interface {
	show(phase string, m *meter, s status)
	close()
}

// A progress shows how something goes on until it is stopped.
type progress struct {
	view  view
	take  func() status
	phase atomic.Pointer[string]
	end   context.CancelFunc
	work  sync.WaitGroup
}

// startProgress shows how a phase goes on until the returned function is called.
// total is in bytes, 0 if not known; take is called from another goroutine.
func startProgress(con *console, out outputFlags, phase string, total int64, take func() sample) (stop func()) {
	return watchProgress(con, out, phase, total, func() status { return status{sample: take()} }).stop
}

// watchProgress is startProgress for what has masters or more than one phase.
func watchProgress(con *console, out outputFlags, phase string, total int64, take func() status) *progress {
	p := &progress{take: take, end: func() {}}
	p.now(phase)
	v, every := newView(con, out, total)
	if v == nil {
		return p
	}
	p.view = v
	ctx, cancel := context.WithCancel(context.Background())
	p.end = cancel
	p.work.Go(func() { p.run(ctx, every) })
	return p
}

// now names the phase that has begun.
func (p *progress) now(phase string) { p.phase.Store(&phase) }

// run shows samples until ctx ends.
func (p *progress) run(ctx context.Context, every time.Duration) {
	resumed := make(chan os.Signal, 1) // after Ctrl-Z somebody else has written to the terminal
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	m := newMeter(speedWindow, time.Now())
	for {
		select {
		case <-ticker.C:
		case <-resumed:
			if t, ok := p.view.(*terminalView); ok {
				t.con.forget()
			}
		case <-ctx.Done():
			return
		}
		s := p.take()
		m.add(s.sample)
		phase := *p.phase.Load()
		if s.skipping {
			phase = "skipping"
		}
		p.view.show(phase, m, s)
	}
}

// stop ends the showing. More calls than one do no harm.
func (p *progress) stop() {
	p.end()
	p.work.Wait()
	if p.view != nil {
		p.view.close()
	}
}

// newView chooses what to show, nil for nothing.
func newView(con *console, out outputFlags, total int64) (view, time.Duration) {
	how := out.progress
	if out.quiet {
		how = "none"
	}
	if how == "auto" {
		how = "log"
		if isTerminal(con.w) && os.Getenv("TERM") != "dumb" {
			how = "bar"
		}
	}
	switch how {
	case "bar":
		return newTerminalView(con, total), screenEvery
	case "log":
		return &logView{con: con, total: total}, logEvery
	}
	return nil, 0
}

func isTerminal(w io.Writer) bool {
	if out, ok := w.(*checkedOutput); ok {
		w = out.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A logView writes a line every few seconds.
type logView struct {
	con   *console
	total int64
}

func (v *logView) show(phase string, m *meter, s status) {
	text := logText(m, s.sample, v.total)
	if s.large != "" {
		text += "; " + s.large
	}
	v.con.line("%s %s: %s%s", formatClock(m.elapsed()), phase, text, troubleText(s.masters))
}

func (v *logView) close() {}

// waitingText is shown while a stream has given nothing: redis-cli --rdb is silent until
// the server has forked, some seconds at least.
const waitingText = "waiting for the first byte"

// logText says how far a phase has come, in one line.
func logText(m *meter, s sample, total int64) string {
	if s.bytes == 0 && total <= 0 {
		return waitingText
	}
	var b strings.Builder
	b.WriteString(formatBytes(s.bytes))
	if total > 0 {
		fmt.Fprintf(&b, " of %s (%d %%)", formatBytes(total), percent(s.bytes, total))
	}
	bytes, keys := m.speed()
	fmt.Fprintf(&b, ", %s, %s keys/s, %s MB/s", plural(s.keys, "key"), formatShort(keys), formatMB(int64(bytes)))
	if left, ok := m.left(total); ok {
		fmt.Fprintf(&b, ", %s left", formatClock(left))
	}
	return b.String()
}

// troubleText names the masters that keep keys waiting, at the end of a line.
func troubleText(masters []pipeline.MasterResult) string {
	const most = 3
	var b strings.Builder
	n := 0
	for _, m := range masters {
		if !m.State.Trouble() {
			continue
		}
		if n++; n <= most {
			fmt.Fprintf(&b, "; %s %s", m.Addr, stateText(m, " for "))
		}
	}
	if n > most {
		fmt.Fprintf(&b, "; and %d more in trouble", n-most)
	}
	return b.String()
}

// stateText says how a master stands, and behind joint for how long, if it keeps
// keys waiting.
func stateText(m pipeline.MasterResult, joint string) string {
	if !m.State.Trouble() || m.For < time.Second {
		return m.State.String()
	}
	return m.State.String() + joint + formatClock(m.For)
}

func percent(n, of int64) int {
	if of <= 0 {
		return 0
	}
	return int(min(100, 100*float64(n)/float64(of)))
}
