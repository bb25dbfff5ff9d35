package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
)

// cleanupModes are the values of --cleanup.
const (
	cleanupList   = "list"
	cleanupRemove = "remove"
)

// cleanupFlags are the flags that mean something with --cleanup.
var cleanupFlags = []string{
	"cleanup", "json", "quiet", "progress", "user", "askpass", "tls", "sni", "cacert", "cert", "key", "insecure", "map",
}

// A cleanupFlag is a mode, which stands behind a = or not at all.
type cleanupFlag string

func (f *cleanupFlag) String() string { return string(*f) }

// Type is none, so that the help shows --cleanup[=list].
func (f *cleanupFlag) Type() string { return "" }

// Set takes the value; what it may be is looked at with all flags.
func (f *cleanupFlag) Set(s string) error {
	*f = cleanupFlag(s)
	return nil
}

// jsonLeftover is one line of --cleanup with --json.
type jsonLeftover struct {
	Addr    string `json:"addr"`
	DB      uint32 `json:"db"`
	Key     string `json:"key"` // quoted as Go does it if it is no UTF-8
	Removed bool   `json:"removed"`
}

// runCleanup lists, or removes, the keys on the target in which an import that
// was killed was collecting large values.
func runCleanup(ctx context.Context, s *streams, set *settings) error {
	in := catchInterrupts(ctx, func() {})
	defer in.stop()
	c, err := slotter.Connect(in.soft, set.target, set.connect)
	if err != nil {
		return in.or(err)
	}
	defer func() { _ = c.Close() }()
	remove, found := set.cleanup == cleanupRemove, int64(0)
	err = pipeline.FindTemporary(in.soft, c, func(addr string, t pipeline.TemporaryKey) error {
		found++
		if remove {
			if err := pipeline.RemoveTemporary(in.soft, c, addr, t); err != nil {
				return fmt.Errorf("%s: key %s cannot be removed: %w", addr, showKey(string(t.Key)), err)
			}
		}
		if err := set.listLeftover(s, addr, t); !remove {
			return err
		}
		return nil // it is removed, seen or not; what has become of the output is said at the end
	})
	switch {
	case errors.Is(err, errClosed): // nobody is left to tell
		return &shownError{err}
	case err != nil:
		return in.or(listed(c, err))
	case set.output.quiet:
	case found == 0:
		s.con.line("no key is left of an import that was killed")
	case remove:
		s.con.line("%s removed", plural(found, "key"))
	default:
		s.con.line("%s; --cleanup=remove removes them, once no import is running", plural(found, "key"))
	}
	return nil
}

// listLeftover writes one line about a key.
func (set *settings) listLeftover(s *streams, addr string, t pipeline.TemporaryKey) error {
	if set.output.json {
		enc := json.NewEncoder(s.stdout)
		enc.SetEscapeHTML(false)
		return writeError(enc.Encode(jsonLeftover{addr, t.DB, validText(string(t.Key)), set.cleanup == cleanupRemove}))
	}
	_, err := fmt.Fprintf(s.stdout, "%s  db %d  %s\n", addr, t.DB, showKey(string(t.Key)))
	return writeError(err)
}
