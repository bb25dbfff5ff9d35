package figure

import (
	"runtime"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	self := func(f float64) float64 { return f }
	for _, tc := range []struct {
		in   []float64
		want Spread
		text string
	}{
		{[]float64{2}, Spread{2, 2, 2}, "2.00"},
		{[]float64{3, 1, 2}, Spread{2, 1, 3}, "2.00 (1.00-3.00)"},
		{[]float64{4, 1, 2, 3}, Spread{2.5, 1, 4}, "2.50 (1.00-4.00)"},
	} {
		if got := SpreadOf(tc.in, self); got != tc.want || got.String() != tc.text {
			t.Errorf("%v: %v", tc.in, got)
		}
	}
}

// TestPeakMemory holds much for a moment, which must be seen, and no more after a
// reset where the system can do that.
func TestPeakMemory(t *testing.T) {
	ResetPeak()
	before := PeakMemory()
	const size = 64 << 20
	held := make([]byte, size)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	peak := PeakMemory()
	runtime.KeepAlive(held)
	if peak < before+size*9/10 {
		t.Errorf("peak of %d bytes, %d before, with %d held", peak, before, size)
	}
	if _, ok := highWater(); ok {
		ResetPeak()
		if after := PeakMemory(); after > peak-size/2 {
			t.Errorf("peak of %d bytes after the reset, %d before it", after, peak)
		}
	}
}

func TestProcessorTime(t *testing.T) {
	before := ProcessorTime()
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
	}
	if used := ProcessorTime() - before; used <= 0 {
		t.Errorf("%v used", used)
	}
}
