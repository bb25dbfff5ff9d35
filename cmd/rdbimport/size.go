package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the sizes that a user can write, by their lower-case names.
var units = map[string]int64{
	"": 1, "b": 1,
	"k": 1 << 10, "ki": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mi": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gi": 1 << 30, "gib": 1 << 30, "gb": 1e9,
	"t": 1 << 40, "ti": 1 << 40, "tib": 1 << 40, "tb": 1e12,
}

// parseSize reads a number of bytes: 64MiB, 512k (of 1024), 1GB (of 1000), 1.5G
// or 1048576.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(strings.ToLower(strings.TrimSpace(s)), "bikmgt ")
	unit := strings.TrimSpace(strings.ToLower(strings.TrimSpace(s))[len(digits):])
	factor, ok := units[unit]
	if !ok {
		return 0, fmt.Errorf("the unit %q is not known", unit)
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/factor {
			return 0, errors.New("out of range")
		}
		return n * factor, nil
	}
	if strings.Trim(digits, "0123456789.") != "" || digits == "" {
		return 0, errors.New("no size")
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, errors.New("no size")
	}
	if f *= float64(factor); f >= math.MaxInt64 {
		return 0, errors.New("out of range")
	}
	return int64(f), nil
}

// binarySize writes a size exactly, as it can be given: 1 MiB, 1 KiB, 1 B.
func binarySize(n int64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// A sizeFlag is a flag that holds a size.
type sizeFlag struct {
	bytes int64
	least int64
	text  string

	perSecond bool // and may be written so: 50MB/s
}

func (f *sizeFlag) String() string { return f.text }

// Type names the value in the help.
func (f *sizeFlag) Type() string { return "SIZE" }

// Set reads the value.
func (f *sizeFlag) Set(s string) error {
	size := s
	if f.perSecond {
		size = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(s), "/s"), "/sec")
	}
	n, err := parseSize(size)
	if err != nil {
		return err
	}
	if n < f.least {
		return fmt.Errorf("it must be %s at least", binarySize(f.least))
	}
	f.bytes, f.text = n, s
	return nil
}
