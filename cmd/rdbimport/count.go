package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// counts are the units of a number, which are those of tens.
var counts = map[byte]float64{'k': 1e3, 'm': 1e6, 'g': 1e9}

// parseCount reads a number of things: 100000, 100k, 1.5M.
func parseCount(s string) (int64, error) {
	text, factor := strings.ToLower(strings.TrimSpace(s)), 1.0
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	} else if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("out of range")
	}
	if n := len(text) - 1; n > 0 && counts[text[n]] > 0 {
		text, factor = strings.TrimSpace(text[:n]), counts[text[n]]
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.") != "" {
		return 0, errors.New("no number")
	}
	f *= factor
	if f != math.Trunc(f) {
		return 0, errors.New("no whole number")
	}
	if f >= math.MaxInt64 {
		return 0, errors.New("out of range")
	}
	return int64(f), nil
}

// A countFlag is a flag that holds a number of things, 1 at the least.
type countFlag int64

func (f *countFlag) String() string {
	if *f == 0 {
		return "" // no bound
	}
	return strconv.FormatInt(int64(*f), 10)
}

// Type names the kind of the value.
func (f *countFlag) Type() string { return "count" }

// Set reads the value.
func (f *countFlag) Set(s string) error {
	n, err := parseCount(s)
	if err == nil && n < 1 {
		err = errors.New("it is a number from 1 on")
	}
	if err == nil {
		*f = countFlag(n)
	}
	return err
}

// A timeFlag is a flag that holds a length of time: 90s, 5m, 1h30m, 2d.
type timeFlag time.Duration

func (f *timeFlag) String() string { return time.Duration(*f).String() }

// Type names the value in the help.
func (f *timeFlag) Type() string { return "TIME" }

// longUnits are units as people write them, the longer ones first.
var longUnits = strings.NewReplacer("minutes", "m", "minute", "m", "mins", "m", "min", "m", "seconds", "s", "second", "s", "secs", "s", "sec", "s",
	"hours", "h", "hour", "h", " ", "")

// Set reads the value.
func (f *timeFlag) Set(s string) error {
	text := longUnits.Replace(strings.ToLower(s))
	if days, rest, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return errors.New("no length of time")
		}
		const day = 24 // hours
		text = fmt.Sprintf("%dh%s", n*day, rest)
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil && strings.Trim(text, "0") != "" {
		return errors.New("it needs a unit: s, m, h or d")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("no length of time")
	}
	*f = timeFlag(d)
	return nil
}
