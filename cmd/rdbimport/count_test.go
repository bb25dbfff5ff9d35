package main

import (
	"testing"
	"time"
)

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "100000": 100_000, "100k": 100_000, "100K": 100_000, " 1.5M ": 1_500_000, "2 g": 2_000_000_000, "-5": -5,
		"9223372036854775807": 1<<63 - 1,
	} {
		if got, err := parseCount(text); err != nil || got != want {
			t.Errorf("parseCount(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "1e5", "Inf", "NaN", "1.5", "0x10", "10kk", "1.0001k", "99999999999999999999", "9999999999G", "-1k", "many"} {
		if got, err := parseCount(text); err == nil {
			t.Errorf("parseCount(%q) = %d, want an error", text, got)
		}
	}
}

func TestTimeFlag(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "90s": 90 * time.Second, "5m": 5 * time.Minute, "5min": 5 * time.Minute, "5 minutes": 5 * time.Minute,
		"90 sec": 90 * time.Second, "1 hour": time.Hour, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "1H": time.Hour,
	} {
		var f timeFlag
		if err := f.Set(text); err != nil || time.Duration(f) != want {
			t.Errorf("%q is %v, %v, want %v", text, time.Duration(f), err, want)
		}
	}
	for _, text := range []string{"", "5", "1.5", "d", "-1d", "1.5d", "soon", "5 weeks", "99999d99999999h", "70000d"} {
		f := timeFlag(time.Second)
		if err := f.Set(text); err == nil || time.Duration(f) != time.Second {
			t.Errorf("%q is %v, want an error", text, time.Duration(f))
		}
	}
}

// TestRateIsPerSecond: only what is per second may be written so.
func TestRateIsPerSecond(t *testing.T) {
	rate := sizeFlag{perSecond: true}
	for _, text := range []string{"50MB/s", "50MB /s", "50MB/sec", "50MB"} {
		if err := rate.Set(text); err != nil || rate.bytes != 50e6 {
			t.Errorf("%q: %d, %v", text, rate.bytes, err)
		}
	}
	if err := new(sizeFlag).Set("50MB/s"); err == nil {
		t.Error("a size is taken per second")
	}
}
