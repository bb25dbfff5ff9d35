package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse/source"
)

// checkpointFormat is the version of the file's layout.
const checkpointFormat = 1

// A checkpoint says how far an import has come, in a form that can be kept in a
// file. It holds no secret.
type checkpoint struct {
	Format int `json:"format"`
	// Sources are all sources of the import, as far as they have been opened;
	// those before Current are finished.
	Sources []source.Identity `json:"sources"`
	Current int               `json:"current"`
	Mark    *pipeline.Mark    `json:"mark,omitempty"` // in the current one; nil at its start
	Target  []string          `json:"target"`         // ids of the masters
	Options string            `json:"options"`        // what must be the same to go on
	Written time.Time         `json:"written"`
}

// errCheckpoint is why an import cannot go on from a checkpoint.
var errCheckpoint = errors.New("the checkpoint is of another import")

// readCheckpoint reads the file of an earlier import, nil if there is none.
func readCheckpoint(name string) (*checkpoint, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	var c checkpoint
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("checkpoint %s cannot be read: %w", name, err)
	}
	if c.Format != checkpointFormat {
		return nil, fmt.Errorf("checkpoint %s is of format %d, this program writes %d", name, c.Format, checkpointFormat)
	}
	return &c, nil
}

// fits says why an import of these options into these masters cannot go on from
// c, nil if it can.
func (c *checkpoint) fits(options string, sources int, masters []string) error {
	switch {
	case c.Options != options:
		return fmt.Errorf("%w: it was made with %s, this one has %s", errCheckpoint, c.Options, options)
	case c.Current >= sources:
		return fmt.Errorf("%w: it is at source %d, and there are %d", errCheckpoint, c.Current+1, sources)
	case !slices.ContainsFunc(c.Target, func(id string) bool { return slices.Contains(masters, id) }):
		return fmt.Errorf("%w: none of the target's masters is one of those", errCheckpoint)
	}
	return nil
}

// How often a checkpoint is written: after so many bytes that have been settled,
// or after so much time if there were any.
const (
	checkpointBytes = 16 << 20
	checkpointTime  = time.Second
	checkpointLook  = 50 * time.Millisecond
)

// A checkpointer keeps the checkpoint of a running import in its file.
type checkpointer struct {
	name string
	warn func(string)

	mu     sync.Mutex
	now    checkpoint
	saved  int64 // offset of the mark in the file
	when   time.Time
	warned bool
}

// run writes the checkpoint whenever enough has been settled, until ctx ends.
func (c *checkpointer) run(ctx context.Context, settled func() (pipeline.Mark, bool)) {
	t := time.NewTicker(checkpointLook)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.look(settled, false)
		case <-ctx.Done():
			return
		}
	}
}

// look writes the checkpoint if enough has been settled since the last time, or,
// with always, if anything has.
func (c *checkpointer) look(settled func() (pipeline.Mark, bool), always bool) {
	m, ok := settled()
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	moved := m.Offset - c.saved
	if moved == 0 || !always && moved < checkpointBytes && time.Since(c.when) < checkpointTime {
		return
	}
	c.now.Mark = &m
	c.write()
}

// source notes that the import has come to source i, and goes on at the mark from
// if that is not nil. The sources before are finished.
func (c *checkpointer) source(i int, id source.Identity, from *pipeline.Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Sources = append(c.now.Sources[:min(i, len(c.now.Sources))], id)
	c.now.Current, c.now.Mark, c.saved = i, from, 0
	c.write()
}

// write writes the file in one step: a reader finds the old one or the new one.
// The import goes on without it if that fails. c.mu is held.
func (c *checkpointer) write() {
	c.when, c.now.Written = time.Now(), time.Now().UTC().Truncate(time.Second)
	if err := writeFile(c.name, c.now); err != nil {
		if !c.warned {
			c.warn(fmt.Sprintf("the checkpoint cannot be written, the import goes on without: %v", err))
		}
		c.warned = true
		return
	}
	c.warned = false
	if c.now.Mark != nil {
		c.saved = c.now.Mark.Offset
	}
}

func writeFile(name string, c checkpoint) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
