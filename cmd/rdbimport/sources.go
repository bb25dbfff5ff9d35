package main

import (
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A sourceResult is what became of one SOURCE.
type sourceResult struct {
	name     string
	keys     int64 // met in it
	bytes    int64
	duration time.Duration
	checksum rdbparse.Checksum
}

// addSources adds up what became of the sources. drain is how long was waited for
// replies when all had been read.
func (s *summary) addSources(list []*sourceRun, drain time.Duration) {
	var first, last time.Time
	var busy, waited time.Duration
	for _, src := range list {
		if src.finished {
			s.sources = append(s.sources, sourceResult{name: src.name, checksum: rdbparse.ChecksumOK})
			continue
		}
		if src.in != nil && src.in.ahead != nil {
			s.ahead += aheadSize * aheadDepth
		}
		res := sourceResult{name: src.name, keys: src.keys, bytes: src.bytes() - src.skipped, checksum: src.checksum}
		if !src.began.IsZero() {
			res.duration = src.ended.Sub(src.began)
			if first.IsZero() || src.began.Before(first) {
				first = src.began
			}
			if src.ended.After(last) {
				last = src.ended
			}
		}
		s.noteChecksum(src.checksum)
		s.sources = append(s.sources, res)
		s.bytesRead += res.bytes
		s.behind += src.behind
		s.dumps += src.dumps
		busy += res.duration
		waited += src.waited
	}
	reading := last.Sub(first)
	s.duration = reading + drain
	s.masters = drain
	if busy > 0 { // more than reading where sources were read at the same time
		s.source = time.Duration(float64(reading) * float64(waited) / float64(busy))
		s.masters += time.Duration(float64(reading) * float64(s.Waited) / float64(busy))
		s.limit = time.Duration(float64(reading) * float64(s.Limited) / float64(busy))
	}
}

// noteChecksum keeps the worst of several dumps.
func (s *summary) noteChecksum(c rdbparse.Checksum) {
	rank := func(c rdbparse.Checksum) int {
		switch c {
		case rdbparse.ChecksumWrong:
			return 5
		case rdbparse.ChecksumPending:
			return 4
		case rdbparse.ChecksumNone, rdbparse.ChecksumOff:
			return 3
		}
		return 1
	}
	if !s.seen || rank(c) > rank(s.checksum) {
		s.checksum, s.seen = c, true
	}
}
