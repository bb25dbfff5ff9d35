package main

import (
	"fmt"
	"slices"
)

// warnOfSources warns of what is odd about the files that are to be read.
func (s *streams) warnOfSources(sources []string) {
	s.warnOfWrites(sources)
	s.warnOfTwice(sources)
}

// warnOfTwice warns of each source that is a file which an earlier one is, too: its keys
// are read, counted and sent twice. A pipe may be, and holds another dump each time.
func (s *streams) warnOfTwice(sources []string) {
	places := make([]place, len(sources))
	for i, name := range sources {
		p := sourcePlace(name, s.stdin)
		places[i] = p
		if p.info == nil || !p.info.Mode().IsRegular() {
			continue
		}
		if first := slices.IndexFunc(places[:i], p.same); first >= 0 {
			s.con.warn(twiceText(shownName(sources[first]), shownName(name)))
		}
	}
}

// twiceText says that a file is read twice, by the names that it was given.
func twiceText(first, again string) string {
	if first == again {
		return fmt.Sprintf("the SOURCE %s is named twice, and read twice", first)
	}
	return fmt.Sprintf("the SOURCE %s is the same file as %s, and read twice", again, first)
}
