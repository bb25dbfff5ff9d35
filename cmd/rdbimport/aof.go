package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// warnOfWrites warns of each source that is the base of an AOF in several files where
// others of these hold what was written since.
func (s *streams) warnOfWrites(sources []string) {
	for _, name := range sources {
		if files, size := writesBeside(name); len(files) > 0 {
			s.con.warn(fmt.Sprintf("%s is the base of an AOF: what was written since is in %s (%s) beside it, and not in this file; BGSAVE, or redis-cli --rdb, makes a dump of everything",
				name, strings.Join(files, ", "), formatBytes(size)))
		}
	}
}

// writesBeside returns the files of an AOF that follow the one that is its base, but for
// empty ones, and their size. A manifest in the same folder lists them.
func writesBeside(base string) (files []string, size int64) {
	if base == stdinName {
		return nil, 0
	}
	dir := filepath.Dir(base)
	entries, _ := os.ReadDir(dir) // a folder that cannot be read may hold a file that can
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".manifest" || !e.Type().IsRegular() {
			continue
		}
		bases, later := manifestFiles(filepath.Join(dir, e.Name()))
		if !slices.Contains(bases, filepath.Base(base)) {
			continue
		}
		for _, name := range later {
			if info, err := os.Stat(filepath.Join(dir, filepath.Base(name))); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				files, size = append(files, showKey(name)), size+info.Size()
			}
		}
	}
	return files, size
}

// mostManifest is how much of the manifest of an AOF is read.
const mostManifest = 64 << 10

// manifestFiles returns the files that the manifest of an AOF lists: the bases, of which
// there is one, and those that follow it. A line is: file NAME seq N type b|i|h.
func manifestFiles(manifest string) (bases, later []string) {
	f, err := os.Open(manifest)
	if err != nil {
		return nil, nil
	}
	defer func() { _ = f.Close() }() // it was only read
	text, _ := io.ReadAll(io.LimitReader(f, mostManifest))
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "file ")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		if quoted, err := strconv.QuotedPrefix(name + " " + rest); err == nil { // one with a blank
			rest = (name + " " + rest)[len(quoted):]
			name, _ = strconv.Unquote(quoted)
		}
		fields := strings.Fields(rest)
		for i := 0; i+1 < len(fields); i += 2 {
			switch {
			case fields[i] == "type" && fields[i+1] == "b":
				bases = append(bases, name)
			case fields[i] == "type" && fields[i+1] == "i":
				later = append(later, name)
			}
		}
	}
	return bases, later
}
