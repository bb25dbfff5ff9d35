package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/rdbimport/rdbimport/bench/dataset"
)

// seed makes every run measure the same bytes.
const seed = 1

// collectionElements is how many elements each of the big collections has.
const collectionElements = 100_000

// setTable lists the data sets: what each is called, how many keys it has, and
// how it is written.
var setTable = []struct {
	name  string
	keys  int
	write func(w io.Writer, keys int) (dataset.Stats, error)
}{
	{"mixed", dataset.MixedKeys, func(w io.Writer, n int) (dataset.Stats, error) { return dataset.Mixed(w, n, seed) }},
	{"small", dataset.SmallKeys, func(w io.Writer, n int) (dataset.Stats, error) { return dataset.Small(w, n, seed) }},
	{"strings", dataset.BigStringKeys, func(w io.Writer, n int) (dataset.Stats, error) { return dataset.BigStrings(w, n, seed) }},
	{"collections", 10, func(w io.Writer, n int) (dataset.Stats, error) {
		return dataset.BigCollections(w, n, collectionElements, seed)
	}},
}

func setNames() []string {
	var names []string
	for _, s := range setTable {
		names = append(names, s.name)
	}
	return append(names, hugeSet)
}

// A set is a data set in a file.
type set struct {
	name        string
	file        string
	keys, bytes int64
}

// makeSet writes a set of the given number of keys, 0 for its own, into dir. It
// waits until the file is on the disk, so that writing it out disturbs nothing.
func makeSet(dir, name string, keys int) (_ set, err error) {
	s := set{name: name, file: filepath.Join(dir, name+".rdb")}
	f, err := os.Create(s.file)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, row := range setTable {
		if row.name != name {
			continue
		}
		if keys == 0 {
			keys = row.keys
		}
		stats, err := row.write(f, keys)
		if err != nil {
			return s, err
		}
		s.keys, s.bytes = int64(stats.Keys), int64(stats.Bytes)
	}
	return s, f.Sync()
}
