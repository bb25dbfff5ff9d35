package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse/source"
)

// checkpointFormat is the version of the file's layout. Format 1 did not have
// earlier.Database: see checkpoint.upgrade.
const checkpointFormat = 2

// mostCheckpoint is how large the file can be: what is larger is no checkpoint, and is
// not read to find out.
const mostCheckpoint = 64 << 20

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
	Before  earlier           `json:"before"`
	// Temporary are keys on the target that large values are collected in, and
	// that are left there if the import is killed.
	Temporary []pipeline.TemporaryKey `json:"temporary,omitempty"`
	Written   time.Time               `json:"written"`

	name string // of the file that it was read from
}

// earlier is what the earlier runs of an import have done, as far as a later one
// has to report it, or to know.
type earlier struct {
	Keys    int64           `json:"keys"` // of the sources that are finished
	Refused int64           `json:"refused,omitempty"`
	Evicted int64           `json:"evicted,omitempty"`
	Losses  []pipeline.Loss `json:"losses,omitempty"`
	// Masters are those that have the keys; what they may have lost between two runs
	// is found by them.
	Masters []pipeline.Process `json:"masters,omitempty"`
	// Database is the one that all keys so far are of, those of sources that are
	// finished included, where the target has room for one; nil if there was no key.
	Database *uint32 `json:"database,omitempty"`
}

// with adds what this run has met so far.
func (e earlier) with(r pipeline.Result, masters []pipeline.Process) earlier {
	e.Evicted += r.Evicted
	e.Losses = slices.Concat(e.Losses, r.Losses)
	e.Masters = pipeline.After(e.Masters, masters)
	return e
}

// meet notes what the masters of im may have lost since the last run, and returns it.
func (e *earlier) meet(im *pipeline.Importer) (lost []pipeline.Loss) {
	lost, e.Masters = im.LostSince(e.Masters)
	e.Losses = slices.Concat(e.Losses, lost)
	return lost
}

// errCheckpoint is why an import cannot go on from a checkpoint.
var errCheckpoint = errors.New("cannot go on from the checkpoint")

// errNoCheckpoint is why a file cannot be one: it is something else, which somebody may
// want to keep.
var errNoCheckpoint = errors.New("no checkpoint")

// readCheckpoint reads the file of an earlier import, nil if there is none. An empty
// file is none either: mktemp makes such.
func readCheckpoint(name string) (*checkpoint, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w %s: %w", errCheckpoint, shownFile(name), bareError(err))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is no ordinary file", errNoCheckpoint, shownFile(name))
	case info.Size() == 0:
		return nil, nil
	case info.Size() > mostCheckpoint:
		return nil, fmt.Errorf("%w: %s holds something else", errNoCheckpoint, shownFile(name))
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", errCheckpoint, shownFile(name), bareError(err))
	}
	var c checkpoint
	if err := json.Unmarshal(text, &c); err != nil || c.Format == 0 || len(c.Target) == 0 || c.Options == "" {
		return nil, fmt.Errorf("%w: %s holds something else", errNoCheckpoint, shownFile(name))
	}
	if err := c.upgrade(); err != nil {
		return nil, fmt.Errorf("%w %s: %w", errCheckpoint, shownFile(name), err)
	}
	if c.Current < 0 || c.Current >= len(c.Sources) {
		return nil, fmt.Errorf("%w %s: it is damaged: it is at source %d of %d", errCheckpoint, shownFile(name), c.Current+1, len(c.Sources))
	}
	c.name = name
	return &c, nil
}

// upgrade makes a checkpoint of an older format one of the present format.
func (c *checkpoint) upgrade() error {
	switch {
	case c.Format == checkpointFormat:
		return nil
	case c.Format != 1:
		return fmt.Errorf("it is of format %d, this program writes %d", c.Format, checkpointFormat)
	case c.Mark != nil && c.Mark.Keys > 0:
		c.Before.Database = &c.Mark.DB // keys of a second one would have stopped the import
	case c.Current > 0:
		return fmt.Errorf("it is of format 1, at the start of source %d, and does not say which database the keys of the sources before were of", c.Current+1)
	}
	c.Format = checkpointFormat
	return nil
}

// fits says why an import of these options into these masters cannot go on from
// c, nil if it can.
func (c *checkpoint) fits(options string, sources int, masters []string) error {
	switch {
	case c.Options != options:
		return fmt.Errorf("%w %s: it was made with %s, and this is %s", errCheckpoint, shownFile(c.name), c.Options, options)
	case c.Current >= sources:
		return fmt.Errorf("%w %s: it is at source %d, and there are %d", errCheckpoint, shownFile(c.name), c.Current+1, sources)
	case !slices.ContainsFunc(c.Target, func(id string) bool { return slices.Contains(masters, id) }):
		return fmt.Errorf("%w %s: none of the target's masters is one of those", errCheckpoint, shownFile(c.name))
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
	name   string
	warn   func(string)
	before earlier        // by runs before this one
	result func() earlier // with what this run has done
	flush  func()         // has to be on disk before a checkpoint is

	mu       sync.Mutex
	now      checkpoint
	identify func() (source.Identity, error) // of the current source, nil before there is one
	keys     int64                           // of the sources before it
	saved    int64                           // offset of the mark in the file
	when     time.Time
	held     bool // the file is there
	warned   bool

	// Keys, and whatever else of the sources, refused in this run: those that stand before
	// the mark, and the places in the current source of others. A run that goes on meets
	// these again.
	muRefused sync.Mutex
	refused   int64
	places    []int64
}

// refusal notes that the key, or what else there is, at offset in the current source was
// refused.
func (c *checkpointer) refusal(offset int64) {
	if c == nil {
		return
	}
	c.muRefused.Lock()
	c.places = append(c.places, offset)
	c.muRefused.Unlock()
}

// refusedBefore returns how many keys before offset were refused.
func (c *checkpointer) refusedBefore(offset int64) int64 {
	c.muRefused.Lock()
	defer c.muRefused.Unlock()
	all := len(c.places)
	c.places = slices.DeleteFunc(c.places, func(at int64) bool { return at < offset })
	c.refused += int64(all - len(c.places))
	return c.refused
}

// temporary notes keys that the import is about to make.
func (c *checkpointer) temporary(keys []pipeline.TemporaryKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Temporary = keys
	if c.identify != nil {
		c.write()
	}
}

// holds reports whether there is a file to go on from.
func (c *checkpointer) holds() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// remove removes the file: the import is through.
func (c *checkpointer) remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := os.Remove(c.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.warn(fmt.Sprintf("the checkpoint %s cannot be removed: %v", shownFile(c.name), bareError(err)))
	}
	c.held, c.identify = false, nil
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
	// Asked for under the lock, lest it be of the source before the current one.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.identify == nil {
		return
	}
	m, ok := settled()
	if !ok {
		return
	}
	moved := m.Offset - c.saved
	if moved == 0 || !always && moved < checkpointBytes && time.Since(c.when) < checkpointTime {
		return
	}
	c.now.Mark = &m
	c.write()
}

// source notes that the import has come to source i, and goes on at the mark from
// if that is not nil. The sources before are finished, and have had keys in all.
// identify may be called until the next call, or until stop.
func (c *checkpointer) source(i int, identify func() (source.Identity, error), from *pipeline.Mark, keys int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Sources = append(c.now.Sources[:min(i, len(c.now.Sources))], source.Identity{Size: -1})
	c.now.Current, c.now.Mark, c.saved = i, from, 0
	c.identify, c.keys = identify, keys
	c.refusedBefore(math.MaxInt64) // in the sources before
	c.write()
}

// write writes the file in one step: a reader finds the old one or the new one.
// The import goes on without it if that fails. c.mu is held.
func (c *checkpointer) write() {
	c.when, c.now.Written = time.Now(), time.Now().UTC().Truncate(time.Second)
	c.now.Before = c.result()
	c.now.Before.Keys = c.keys
	if c.now.Mark != nil {
		c.refusedBefore(c.now.Mark.Offset)
	}
	c.now.Before.Refused = c.before.Refused + c.refusedBefore(0)
	c.flush()
	// More of a stream may be known than the last time.
	id, err := c.identify()
	if err == nil {
		c.now.Sources[c.now.Current] = id
		err = writeFile(c.name, c.now)
	}
	if err != nil {
		if !c.warned {
			c.warn(fmt.Sprintf("the checkpoint %s cannot be written, the import goes on without: %v", shownFile(c.name), bareError(err)))
		}
		c.warned = true
		return
	}
	c.held, c.warned = true, false
	if c.now.Mark != nil {
		c.saved = c.now.Mark.Offset
	}
}

// mayWriteBeside says why no file can be made in the folder of that of a name, as one is
// each time that a checkpoint is written.
func mayWriteBeside(name string) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return bareError(err)
	}
	return bareError(errors.Join(f.Close(), os.Remove(f.Name())))
}

// unwritable is the error about a checkpoint that cannot be written from the start on: an
// import of hours is not begun without what it was to go on from.
func unwritable(name string, err error) error {
	return &usageError{fmt.Sprintf("--checkpoint %s cannot be written: %v", shownFile(name), err), "name a FILE in a folder that is there and can be written"}
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
