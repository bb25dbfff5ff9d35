package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"unicode/utf8"

	"github.com/rdbimport/rdbimport/pipeline"
)

// A refusalLog is the file of --errors: one line for each key that was refused.
// A nil one does nothing.
type refusalLog struct {
	mu   sync.Mutex
	file *os.File
	w    *bufio.Writer // keeps its first error
}

// refusedKey is a line of the file.
type refusedKey struct {
	Key       string `json:"key"`
	KeyBase64 []byte `json:"key_base64,omitempty"` // in place of key, if that is no UTF-8
	DB        uint32 `json:"db"`
	Type      string `json:"type,omitempty"`
	Size      int    `json:"size"` // of the value in the dump, in bytes
	Reason    string `json:"reason"`
	Offset    int64  `json:"offset"` // of the key's record in its dump
}

// openRefusals opens the file, to add to what is there when an import goes on.
func openRefusals(name string, add bool) (*refusalLog, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if add {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, &usageError{"--errors: " + err.Error(), "name a file that can be written"}
	}
	return &refusalLog{file: f, w: bufio.NewWriter(f)}, nil
}

// note writes one line.
func (l *refusalLog) note(r pipeline.Refusal) {
	if l == nil {
		return
	}
	line := refusedKey{DB: r.DB, Size: r.Size, Reason: r.Reason, Offset: r.Offset}
	if utf8.Valid(r.Key) {
		line.Key = string(r.Key)
	} else {
		line.KeyBase64 = r.Key
	}
	if r.Type != nil {
		line.Type = r.Type.Name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	enc := json.NewEncoder(l.w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(line) // the writer keeps the error until the end
}

// flush writes what has been noted so far.
func (l *refusalLog) flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.w.Flush() // it keeps the error until the end
}

// close closes the file, and warns if it lacks anything.
func (l *refusalLog) close(warn func(string)) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.w.Flush()
	if cerr := l.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		warn(fmt.Sprintf("the list of refused keys is not complete: %v", err))
	}
}
