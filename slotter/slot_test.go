package slotter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// crc16Bitwise is the oracle: CRC16/XMODEM by its definition.
func crc16Bitwise(p []byte) uint16 {
	var crc uint16
	for _, b := range p {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

// slotBySpec is the oracle for hash tags, after the reference in the Redis Cluster specification.
func slotBySpec(key []byte) uint16 {
	s := 0
	for s < len(key) && key[s] != '{' {
		s++
	}
	if s == len(key) {
		return crc16Bitwise(key) % Slots
	}
	e := s + 1
	for e < len(key) && key[e] != '}' {
		e++
	}
	if e == len(key) || e == s+1 {
		return crc16Bitwise(key) % Slots
	}
	return crc16Bitwise(key[s+1:e]) % Slots
}

func TestSlot(t *testing.T) {
	for _, tc := range []struct {
		key  string
		want uint16
		why  string
	}{
		{"", 0, "empty"},
		{"foo", 12182, "no tag"},
		{"{}foo", 9500, "empty tag: whole key"},
		{"foo{}{bar}", 8363, "only the first { counts: whole key"},
		{"foo{{bar}}zap", 4015, "tag is {bar"},
		{"foo{bar}{zap}", 5061, "tag is bar"},
		{"{foo", 13308, "no }: whole key"},
		{"foo}{bar}", 5061, "a } before the { is ignored"},
		{"bar", 5061, "the tag alone"},
	} {
		if got := Slot([]byte(tc.key)); got != tc.want {
			t.Errorf("Slot(%q) = %d, want %d (%s)", tc.key, got, tc.want, tc.why)
		}
	}
}

// TestSlotLengths crosses the border between the eight-byte steps and the rest.
func TestSlotLengths(t *testing.T) {
	key := []byte(strings.Repeat("a\x00\xffZ{", 20))
	for n := range len(key) {
		if got, want := Slot(key[:n]), slotBySpec(key[:n]); got != want {
			t.Errorf("Slot of %d bytes = %d, want %d", n, got, want)
		}
	}
}

func TestSlotAllocatesNothing(t *testing.T) {
	key := []byte("user:{12345}:profile:settings")
	if n := testing.AllocsPerRun(100, func() { Slot(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSlot(f *testing.F) {
	for _, key := range []string{"", "foo", "{}foo", "foo{{bar}}zap", "foo}{bar}", "{12345678}x", "{foo", "\x00\xff{\xfe}"} {
		f.Add([]byte(key))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		before := bytes.Clone(key)
		if got, want := Slot(key), slotBySpec(key); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
		if !bytes.Equal(key, before) {
			t.Errorf("Slot changed the key")
		}
	})
}

func BenchmarkSlot(b *testing.B) {
	for _, n := range []int{4, 10, 16, 24, 40, 100} {
		key := []byte(strings.Repeat("key:1234567890abcdef", 5)[:n])
		b.Run(fmt.Sprintf("plain/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				Slot(key)
			}
		})
	}
	key := []byte("user:{1234567890}:profile:settings")
	b.Run(fmt.Sprintf("tag/%d", len(key)), func(b *testing.B) {
		b.SetBytes(int64(len(key)))
		for b.Loop() {
			Slot(key)
		}
	})
}
