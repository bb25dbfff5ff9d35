package main

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A barView is a progress bar on the last line of a terminal.
type barView struct {
	con   *console
	total int64 // bytes, 0 if not known
	p     *mpb.Progress
	bar   *mpb.Bar
	text  atomic.Pointer[string]
}

func newBarView(con *console, phase string, total int64) *barView {
	v := &barView{con: con, total: total}
	empty := ""
	v.text.Store(&empty)
	v.p = mpb.New(mpb.WithOutput(con.w), mpb.WithAutoRefresh(), mpb.WithRefreshRate(2*barEvery))
	style := mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]").Build()
	name := decor.Any(func(s decor.Statistics) string {
		if total <= 0 {
			return phase + " "
		}
		return fmt.Sprintf("%s %3d %% ", phase, percent(s.Current, total))
	})
	text := decor.Any(func(decor.Statistics) string { return *v.text.Load() })
	if total <= 0 {
		v.bar = v.p.New(0, mpb.NopStyle(), mpb.PrependDecorators(name, text))
	} else {
		// One more than there is: the bar ends when the import does, not when all is read.
		v.bar = v.p.MustAdd(total+1, style, mpb.BarFillerTrim(), mpb.PrependDecorators(name), mpb.AppendDecorators(text))
	}
	con.putAbove(v.p)
	return v
}

func (v *barView) show(m *meter, s sample) {
	text := barText(m, s, v.total)
	v.text.Store(&text)
	if v.total > 0 {
		v.bar.SetCurrent(min(s.bytes, v.total))
	}
}

// close takes the bar away.
func (v *barView) close() {
	v.con.putAbove(nil)
	v.bar.Abort(true)
	v.p.Wait()
}

// barText is what stands behind the bar: it leaves a screen of 80 columns room
// for the bar. Its parts do not move when the numbers grow.
func barText(m *meter, s sample, total int64) string {
	bytes, keys := m.speed()
	text := fmt.Sprintf(" %11s keys %5s/s %6s MB/s", formatCount(s.keys), formatShort(keys), formatMB(int64(bytes)))
	if total <= 0 {
		return fmt.Sprintf("%7s%s %8s", formatBytes(s.bytes), text, formatClock(m.elapsed()))
	}
	left, known := m.left(total)
	if !known {
		return text + strings.Repeat(" ", len("   0:00 left"))
	}
	return fmt.Sprintf("%s %6s left", text, formatClock(left))
}
