package main

import (
	"math"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1048576": 1 << 20, "7b": 7,
		"512k": 512 << 10, "512K": 512 << 10, "512KiB": 512 << 10, "512Ki": 512 << 10, "512kB": 512e3, "512kb": 512e3,
		"64MiB": 64 << 20, "64m": 64 << 20, "64 MB": 64e6, " 64MB ": 64e6,
		"1GB": 1e9, "1g": 1 << 30, "1.5G": 3 << 29, "0.5KiB": 512, "2TiB": 2 << 40, "2TB": 2e12,
		"9223372036854775807": math.MaxInt64,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "k", "MiB", "-1", "-1k", "1.2.3", "1e3", "0x10", "Inf", "NaN", "12XB", "1 2k", "k1", "1kk", "1KiBs", "lots",
		"9223372036854775808", "9000000000G", "1e400G", "99999999999999999999.5T",
	} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}

// FuzzParseSize: no text makes a negative size, and spaces around it change nothing.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"64MiB", "1.5g", "12XB", "9223372036854775807", "-0", ".", "0.0000001t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseSize(s)
		if n < 0 {
			t.Fatalf("parseSize(%q) = %d", s, n)
		}
		again, err2 := parseSize("  " + strings.ToUpper(s) + " ")
		if isASCII(s) && (again != n || (err == nil) != (err2 == nil)) {
			t.Fatalf("parseSize(%q) = %d, %v; in upper case %d, %v", s, n, err, again, err2)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func TestSizeFlagHasALeastValue(t *testing.T) {
	f := sizeFlag{least: 1 << 20, bytes: 5, text: "5"}
	if err := f.Set("1023k"); err == nil || f.bytes != 5 {
		t.Errorf("1023k is taken: %v, %d", err, f.bytes)
	}
	if err := f.Set("1MiB"); err != nil || f.bytes != 1<<20 || f.String() != "1MiB" {
		t.Errorf("1MiB: %v, %d, %q", err, f.bytes, f.String())
	}
}
