package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// formatCount writes a number with a comma between thousands.
func formatCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// plural writes a number and its noun: "1 key", "2,000 keys", "3 libraries".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "ry"); ok {
		return formatCount(n) + " " + stem + "ries"
	}
	return formatCount(n) + " " + noun + "s"
}

// formatMB writes a number of bytes in megabytes of a million.
func formatMB(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }

// formatBytes writes a number of bytes with the unit that fits, of 1000.
func formatBytes(n int64) string {
	f, unit := float64(n), 0
	for f >= 999.5 && unit < 4 {
		f /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.*f %cB", decimals(f), f, " kMGT"[unit])
}

// decimals gives three digits or so.
func decimals(f float64) int {
	if f < 9.95 {
		return 1
	}
	return 0
}

// formatShort writes a rate in four characters or so: 87, 4.1k, 410k, 1.2M.
func formatShort(f float64) string {
	switch {
	case f < 999.5:
		return fmt.Sprintf("%.0f", f)
	case f < 999_500:
		return fmt.Sprintf("%.*fk", decimals(f/1e3), f/1e3)
	}
	return fmt.Sprintf("%.*fM", decimals(f/1e6), f/1e6)
}

// formatClock writes a duration as 0:07, 12:34 or 1:02:03.
func formatClock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// formatDuration writes how long something took.
func formatDuration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return formatClock(d)
}

// perSecond is n in d as a rate; 0 where d is too short to tell.
func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// showKey writes a key for a person: quoted if it is no plain text.
func showKey(key string) string {
	if key == "" || !utf8.ValidString(key) || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' }) {
		return strconv.Quote(key)
	}
	return key
}
