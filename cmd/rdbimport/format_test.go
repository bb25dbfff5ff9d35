package main

import (
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{formatCount(0), "0"}, {formatCount(999), "999"}, {formatCount(1000), "1,000"}, {formatCount(-1234567), "-1,234,567"},
		{plural(1, "key"), "1 key"}, {plural(0, "key"), "0 keys"}, {plural(2000, "key"), "2,000 keys"}, {plural(1, "library"), "1 library"}, {plural(2, "library"), "2 libraries"},
		{formatBytes(0), "0 B"}, {formatBytes(999), "999 B"}, {formatBytes(1000), "1.0 kB"}, {formatBytes(999_600), "1.0 MB"},
		{formatBytes(64 << 20), "67 MB"}, {formatBytes(4_300_000_000), "4.3 GB"}, {formatBytes(5e15), "5000 TB"},
		{formatShort(0), "0"}, {formatShort(999.4), "999"}, {formatShort(999.6), "1.0k"}, {formatShort(410_000), "410k"}, {formatShort(1.23e6), "1.2M"},
		{formatClock(7 * time.Second), "0:07"}, {formatClock(754 * time.Second), "12:34"}, {formatClock(3723 * time.Second), "1:02:03"},
		{formatDuration(3700 * time.Millisecond), "3.70 s"}, {formatDuration(61 * time.Second), "61.0 s"}, {formatDuration(2 * time.Hour), "2:00:00"},
		{showKey("user:1"), "user:1"}, {showKey(""), `""`}, {showKey("a\xff"), `"a\xff"`}, {showKey("a\nb"), `"a\nb"`}, {showKey("clé"), "clé"},
		{showKey("\x1b[2J"), `"\x1b[2J"`},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestMeter(t *testing.T) {
	start := time.Unix(1000, 0)
	m := newMeter(5*time.Second, start)
	if _, ok := m.left(100); ok {
		t.Error("the time left is known before anything was read")
	}
	// 10 bytes a second for 20 s, then 30.
	var bytes int64
	for s := 1; s <= 40; s++ {
		bytes += 10
		if s > 20 {
			bytes += 20
		}
		m.add(sample{at: start.Add(time.Duration(s) * time.Second), bytes: bytes, keys: int64(s)})
	}
	if b, k := m.speed(); b != 30 || k != 1 {
		t.Errorf("speed %v bytes, %v keys, want 30, 1", b, k)
	}
	if n := len(m.samples); n > 7 {
		t.Errorf("%d samples are kept", n)
	}
	if left, ok := m.left(bytes + 90); !ok || left != 3*time.Second {
		t.Errorf("left %v, %v, want 3s", left, ok)
	}
	if left, ok := m.left(bytes); ok {
		t.Errorf("left %v when all is read", left)
	}
	if _, ok := m.left(0); ok {
		t.Error("the time left is known without a total")
	}
	if got := m.elapsed(); got != 40*time.Second {
		t.Errorf("elapsed %v", got)
	}
	if got, want := logText(m, sample{}, 0), "waiting for the first byte"; got != want {
		t.Errorf("log line %q, want %q", got, want)
	}
	want := "800 B of 890 B (89 %), 40 keys, 1 keys/s, 0.0 MB/s, 0:03 left"
	if got := logText(m, m.samples[len(m.samples)-1], 890); got != want {
		t.Errorf("log line %q, want %q", got, want)
	}
}
