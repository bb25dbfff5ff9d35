package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// errInUse is why an import cannot have a checkpoint.
var errInUse = errors.New("the checkpoint is in use by another import")

// lockSuffix is what the name of a checkpoint's lock has behind that of the checkpoint.
const lockSuffix = ".lock"

// mayLock says why a file cannot be a checkpoint's lock: it is there, and holds more than
// the number of a process.
func mayLock(name string) error {
	text, err := os.ReadFile(name)
	if err != nil || strings.Trim(string(text), "0123456789\n") == "" {
		return nil // what cannot be opened is no lock, see lockCheckpoint
	}
	return fmt.Errorf("%w: %s is there, and is no lock", errNoCheckpoint, shownFile(name))
}

// lockCheckpoint keeps other imports from using the same checkpoint until unlock is
// called, or the process ends in whatever way. It fails with errInUse if one does so
// now. The lock is a file beside the checkpoint's, which is another one after each
// writing. Where there are no locks, or the folder cannot be written, there is none.
func lockCheckpoint(name string) (unlock func(), err error) {
	name += lockSuffix
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return func() {}, nil // the checkpoint cannot be written either, which is said then
		}
		switch got, err := tryLock(f); {
		case err != nil:
			_, _ = os.Remove(name), f.Close()
			return func() {}, nil
		case !got:
			holder := holderOf(f)
			_ = f.Close()
			return nil, fmt.Errorf("%w%s: %s", errInUse, holder, shownFile(strings.TrimSuffix(name, lockSuffix)))
		}
		if !isFile(f, name) { // whoever had it has removed it meanwhile
			_ = f.Close()
			continue
		}
		_ = f.Truncate(0)
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
		return func() { _, _ = os.Remove(name), f.Close() }, nil
	}
}

// holderOf says which process has the lock, as far as the file tells.
func holderOf(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

// isFile reports whether f is the file of that name.
func isFile(f *os.File, name string) bool {
	opened, err := f.Stat()
	named, nerr := os.Stat(name)
	return err == nil && nerr == nil && os.SameFile(opened, named)
}
