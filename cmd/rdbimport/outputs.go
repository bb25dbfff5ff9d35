package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// An outputFile is a file that a command writes, and the flag that named it.
type outputFile struct {
	flag, name string
	lines      bool // one JSON object for each key, written over an older list
}

// checkFiles makes sure, before any file is opened for writing, that none is written
// over that somebody may want to keep: a source, what another flag names, or whatever
// else is no output of an earlier run.
func checkFiles(sources []string, stdin io.Reader, outputs []outputFile) error {
	for i, out := range outputs {
		if out.name == stdinName {
			return &usageError{fmt.Sprintf("--%s %q: it takes a file, and standard output is none", out.flag, out.name),
				"a file of that name is written ./-, and standard output /dev/stdout"}
		}
		place := placeOf(out.name)
		for _, name := range sources {
			if place.same(sourcePlace(name, stdin)) {
				return &usageError{fmt.Sprintf("--%s %s is the same file as the SOURCE %s, and would be written over", out.flag, shownFile(out.name), shownName(name)), hintOtherFile}
			}
		}
		for _, other := range outputs[:i] {
			if place.same(placeOf(other.name)) {
				return &usageError{fmt.Sprintf("--%s %s and --%s %s are the same file", other.flag, shownFile(other.name), out.flag, shownFile(out.name)), hintOtherFile}
			}
		}
		if !out.lines {
			continue
		}
		if err := mayOverwrite(out.name); err != nil {
			return &usageError{fmt.Sprintf("--%s: %v", out.flag, err), hintOtherFile}
		}
	}
	return nil
}

// hintOtherFile is the way out where a file is another than was meant.
const hintOtherFile = "name another FILE: nothing has been written"

// shownFile is how the name of a file is shown: so that it is seen where it ends.
func shownFile(name string) string { return showKey(name) }

// checkFiles looks at the files that an import reads and writes.
func (set *settings) checkFiles(stdin io.Reader) error {
	var outputs []outputFile
	if set.checkpointFile != "" {
		outputs = append(outputs, outputFile{"checkpoint", set.checkpointFile, false}, outputFile{"checkpoint", set.checkpointFile + lockSuffix, false})
	}
	if set.errorsFile != "" {
		outputs = append(outputs, outputFile{"errors", set.errorsFile, true})
	}
	if err := checkFiles(set.sources, stdin, outputs); err != nil {
		return err
	}
	if set.spoolDir != "" && !isFolder(set.spoolDir) {
		return &usageError{fmt.Sprintf("--spool %s: there is no such folder", shownFile(set.spoolDir)), "for example --spool /var/tmp"}
	}
	if set.checkpointFile == "" {
		return nil
	}
	if dir := filepath.Dir(set.checkpointFile); !isFolder(dir) {
		return unwritable(set.checkpointFile, fmt.Errorf("there is no folder %s", shownFile(dir)))
	}
	if err := mayLock(set.checkpointFile + lockSuffix); err != nil {
		return err
	}
	_, err := readCheckpoint(set.checkpointFile)
	return err
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// A place is where a file is, or would be made.
type place struct {
	info fs.FileInfo // nil if there is none
	dir  fs.FileInfo // where it would be made, nil if there is no such folder
	base string
}

// mostLinks is how many symbolic links may lead to a file.
const mostLinks = 40

// placeOf follows symbolic links, also one that leads to no file.
func placeOf(name string) place {
	for range mostLinks {
		target, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(name), target)
		}
		name = target
	}
	p := place{base: filepath.Base(name)}
	p.info, _ = os.Stat(name)
	p.dir, _ = os.Stat(filepath.Dir(name))
	return p
}

// sourcePlace is where a SOURCE is read from.
func sourcePlace(name string, stdin io.Reader) place {
	if name != stdinName {
		return placeOf(name)
	}
	p := place{}
	if f, ok := stdin.(*os.File); ok {
		p.info, _ = f.Stat()
	}
	return p
}

// same reports whether p and q are one file. A device such as /dev/null keeps nothing,
// and may be named twice.
func (p place) same(q place) bool {
	switch {
	case p.info != nil && q.info != nil:
		return p.info.Mode()&fs.ModeDevice == 0 && os.SameFile(p.info, q.info)
	case p.info == nil && q.info == nil:
		return p.base == q.base && p.dir != nil && q.dir != nil && os.SameFile(p.dir, q.dir)
	}
	return false
}

// mostFirstLine is how much of a file is looked at to tell what it is.
const mostFirstLine = 1 << 20

// mayOverwrite says why a file is not written over: it is neither empty nor a list of
// keys of an earlier run. A file that cannot be read will be refused when it is opened.
func mayOverwrite(name string) error {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%s is there and cannot be read, so it is not written over: %w", shownFile(name), bareError(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	if !isKeyList(io.LimitReader(f, mostFirstLine)) {
		return fmt.Errorf("%s is there, and is no list of keys that an earlier run wrote", shownFile(name))
	}
	return nil
}

// isKeyList reports whether r begins as the files of --errors and --report do. A first
// line that is cut was one.
func isKeyList(r io.Reader) bool {
	const begin = `{"key":"`
	head := make([]byte, len(begin))
	if n, _ := io.ReadFull(r, head); string(head[:n]) != begin {
		return false
	}
	var line struct{ Reason, Kind *string }
	err := json.NewDecoder(io.MultiReader(bytes.NewReader(head), r)).Decode(&line)
	return errors.Is(err, io.ErrUnexpectedEOF) || err == nil && (line.Reason != nil || line.Kind != nil)
}

// bareError drops the path that package os puts before an error.
func bareError(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
