package source

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
)

// Again gives the RDB bytes once more, by their offset from the magic, while Read
// goes on where it is. It is nil for a source that can be read only once.
func (s *Source) Again() io.ReaderAt {
	if !s.Seekable() {
		return nil
	}
	at := s.start + s.base
	return io.NewSectionReader(s.file, at, math.MaxInt64-at)
}

// Keep is a temporary file for bytes that a source gives only once.
type Keep struct {
	file     *os.File
	unlinked bool
}

// NewKeep makes a Keep in dir, or where temporary files are if dir is empty. On
// Linux it has no name.
func NewKeep(dir string) (*Keep, error) {
	f, err := os.CreateTemp(dir, "rdbimport-keep-*")
	if err != nil {
		return nil, fmt.Errorf("temporary file: %w", err)
	}
	return &Keep{file: f, unlinked: runtime.GOOS == "linux" && os.Remove(f.Name()) == nil}, nil
}

// Write appends p.
func (k *Keep) Write(p []byte) (int, error) { return k.file.Write(p) }

// ReadAt reads what was written, by its place.
func (k *Keep) ReadAt(p []byte, off int64) (int, error) { return k.file.ReadAt(p, off) }

// Close removes the file.
func (k *Keep) Close() error {
	err := k.file.Close()
	if !k.unlinked {
		if gone := os.Remove(k.file.Name()); err == nil {
			err = gone
		}
	}
	return err
}
