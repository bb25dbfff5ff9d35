package main

import (
	"cmp"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/rdbimport/rdbimport/pipeline"
)

// A terminal of unknown size is taken for one of this size.
const (
	usualWidth  = 80
	usualHeight = 24
)

// rankEvery is how often it is looked which masters have the most to do: a table
// whose rows change places cannot be read.
const rankEvery = 2 * time.Second

// A terminalView draws a screen at the bottom of a terminal.
type terminalView struct {
	con    *console
	total  int64 // bytes, 0 if not known
	size   func() (width, height int)
	meters map[string]*meter // by address of a master
	ranked time.Time
	rank   map[string]int // by address: 0 is the busiest
}

func newTerminalView(con *console, total int64) *terminalView {
	return &terminalView{con: con, total: total, size: sizeOf(con.w), meters: make(map[string]*meter)}
}

// sizeOf returns what asks for the size of the terminal that w writes to.
func sizeOf(w io.Writer) func() (width, height int) {
	if out, ok := w.(*checkedOutput); ok {
		w = out.w
	}
	f, ok := w.(*os.File)
	return func() (width, height int) {
		if ok {
			if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
				return w, h
			}
		}
		return usualWidth, usualHeight
	}
}

func (v *terminalView) show(phase string, m *meter, s status) {
	width, height := v.size()
	v.con.draw(v.screen(phase, m, s).lines(width, height), width)
}

// close takes the screen away.
func (v *terminalView) close() { v.con.draw(nil, 0) }

// screen gathers what is to be shown.
func (v *terminalView) screen(phase string, m *meter, s status) *screen {
	sc := &screen{phase: phase, done: s.bytes, total: v.total, keys: s.keys, elapsed: m.elapsed(), large: s.large}
	sc.bytesRate, sc.keysRate = m.speed()
	sc.left, sc.leftKnown = m.left(v.total)
	for _, master := range s.masters {
		own := v.meters[master.Addr]
		if own == nil {
			own = newMeter(speedWindow, m.begun.at)
			v.meters[master.Addr] = own
		}
		own.add(sample{at: s.at, bytes: master.Bytes, keys: master.Keys})
		row := screenMaster{MasterResult: master}
		row.bytesRate, row.keysRate = own.speed()
		sc.masters = append(sc.masters, row)
	}
	if s.at.Sub(v.ranked) >= rankEvery {
		v.ranked, v.rank = s.at, rankMasters(s.masters)
	}
	for i := range sc.masters {
		sc.masters[i].rank = v.rank[sc.masters[i].Addr]
	}
	return sc
}

// rankMasters orders masters by what they have taken.
func rankMasters(masters []pipeline.MasterResult) map[string]int {
	order := slices.SortedStableFunc(slices.Values(masters), func(a, b pipeline.MasterResult) int {
		return cmp.Compare(b.Bytes, a.Bytes)
	})
	rank := make(map[string]int, len(order))
	for i, m := range order {
		rank[m.Addr] = i
	}
	return rank
}
