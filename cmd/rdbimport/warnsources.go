package main

import (
	"fmt"
	"io/fs"
	"os"
)

// warnOfSources warns of what is odd about the files that are to be read.
func (s *streams) warnOfSources(sources []string) {
	s.warnOfWrites(sources)
	s.warnOfTwice(sources)
}

// warnOfTwice warns of each source that is a file which an earlier one is, too: its keys
// are read, counted and sent twice.
func (s *streams) warnOfTwice(sources []string) {
	infos := make([]fs.FileInfo, len(sources))
	for i, name := range sources {
		if name == stdinName {
			continue
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		infos[i] = info
		for j, other := range infos[:i] {
			if other != nil && os.SameFile(other, info) {
				s.con.warn(twiceText(sources[j], name))
				break
			}
		}
	}
}

// twiceText says that a file is read twice, by the names that it was given.
func twiceText(first, again string) string {
	if first == again {
		return fmt.Sprintf("the SOURCE %s is named twice, and read twice", shownFile(first))
	}
	return fmt.Sprintf("the SOURCE %s is the same file as %s, and read twice", shownFile(again), shownFile(first))
}
