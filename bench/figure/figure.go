// Package figure is what measurements have in common: several runs summed up, and
// what the processor is and the memory was that they were made with.
package figure

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A Spread sums up some figures.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf sums up what get returns for each of some runs, at least one.
func SpreadOf[T any](runs []T, get func(T) float64) Spread {
	all := make([]float64, len(runs))
	for i, r := range runs {
		all[i] = get(r)
	}
	slices.Sort(all)
	n := len(all)
	return Spread{Median: (all[(n-1)/2] + all[n/2]) / 2, Min: all[0], Max: all[n-1]}
}

// String writes the median, and the least and the most behind it in brackets.
func (s Spread) String() string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.2f", s.Median)
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

// Processor returns the processor's name as Linux gives it.
func Processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// Load returns the load average of the last minute, as the system writes it; ""
// where it does not. Above some tenths others are measured too.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
