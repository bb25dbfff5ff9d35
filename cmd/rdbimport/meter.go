package main

import "time"

// A sample is how far an import has come.
type sample struct {
	at    time.Time
	bytes int64 // read of the sources
	keys  int64 // settled
	// settled is how many of the bytes stand before the place from which an import goes
	// on: they cost nothing, or next to nothing. skipping tells that it reads up to there.
	settled  int64
	skipping bool
}

// span returns how many bytes were read from sample s to sample to: to skip them, or to
// import them.
func (s sample) span(to sample) int64 {
	if to.skipping {
		return to.bytes - s.bytes
	}
	return (to.bytes - to.settled) - (s.bytes - s.settled)
}

// A meter knows the speed over the last few seconds.
type meter struct {
	window  time.Duration
	begun   sample
	samples []sample // oldest first
}

func newMeter(window time.Duration, start time.Time) *meter {
	s := sample{at: start}
	return &meter{window: window, begun: s, samples: []sample{s}}
}

// add notes a sample.
func (m *meter) add(s sample) {
	m.samples = append(m.samples, s)
	for len(m.samples) > 2 && s.at.Sub(m.samples[1].at) >= m.window {
		m.samples = m.samples[1:]
	}
}

// speed returns bytes and keys per second.
func (m *meter) speed() (bytes, keys float64) {
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	d := last.at.Sub(first.at)
	return perSecond(first.span(last), d), perSecond(last.keys-first.keys, d)
}

// elapsed returns the time since the start.
func (m *meter) elapsed() time.Duration { return m.samples[len(m.samples)-1].at.Sub(m.begun.at) }

// left returns how long total bytes will still take; false if that is not known, as it is
// while nothing is imported, and once all is read: what is on its way then is settled at
// another speed.
func (m *meter) left(total int64) (time.Duration, bool) {
	speed, _ := m.speed()
	last := m.samples[len(m.samples)-1]
	if total <= 0 || speed <= 0 || last.bytes >= total || last.skipping {
		return 0, false
	}
	const most = 1000 * time.Hour
	seconds := float64(total-last.bytes) / speed
	if seconds > most.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
