package pipeline

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what the servers name scripts by
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/redis/go-redis/v9"
)

// libraries are the function libraries and scripts that have been met.
type libraries struct {
	mu   sync.Mutex
	seen map[[sha1.Size]byte]bool
}

// record handles an entry that is no key.
func (f *Feeder) record(e *rdbparse.Entry) error {
	im := f.im
	if e.Offset < f.from {
		return nil // as with keys, an earlier import has settled it
	}
	switch e.Record {
	case rdbparse.RecordFunction:
		return f.function(e)
	case rdbparse.RecordModuleAux:
		im.stats.moduleAux.Add(1)
		im.opts.Warn(fmt.Sprintf("module data of %s beside the keys is left out: no command loads it", e.Key))
	case rdbparse.RecordAux:
		switch string(e.Key) {
		case "lua":
			return f.script(e)
		case "keydb-subexpire-key":
			im.stats.keydbExtra.Add(1)
			im.opts.Missed(e.Offset)
		}
	}
	return nil
}

// once reports whether code was not met before.
func (l *libraries) once(code []byte) bool {
	sum := sha1.Sum(code)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[sum] {
		return false
	}
	if l.seen == nil {
		l.seen = make(map[[sha1.Size]byte]bool)
	}
	l.seen[sum] = true
	return true
}

// script loads a script of EVAL's cache on every master.
func (f *Feeder) script(e *rdbparse.Entry) error {
	im, code := f.im, e.Value
	if !im.libs.once(code) {
		return nil
	}
	sum := sha1.Sum(code)
	all, err := f.everywhere(e.Offset, "SCRIPT LOAD", hex.AppendEncode(nil, sum[:]), func(ctx context.Context, addr string) error {
		return im.cluster.Client(addr).ScriptLoad(ctx, string(code)).Err()
	})
	if all {
		im.stats.scripts.Add(1)
	}
	return err
}

// function loads a function library on every master.
func (f *Feeder) function(e *rdbparse.Entry) error {
	im, code := f.im, e.Value
	if !im.libs.once(code) {
		return nil
	}
	name := libraryName(code)
	if !im.target.functions {
		im.libraryRefused(e.Offset, "the target has no functions: "+im.target.oldest.String(), name)
		return nil
	}
	all, err := f.everywhere(e.Offset, "FUNCTION LOAD", name, func(ctx context.Context, addr string) error {
		return im.loadFunction(ctx, addr, string(name), string(code))
	})
	if all {
		im.stats.functions.Add(1)
	}
	return err
}

// libraryRefused counts a library or script, of the record at a place in the dump, that is
// not on every master.
func (im *Importer) libraryRefused(at int64, reason string, name []byte) {
	im.stats.refused(reason, name)
	im.stats.librariesFailed.Add(1)
	im.opts.Missed(at)
}

// loadFunction loads a library on one master. One of that name with the same code is
// fine; another follows the conflict policy.
func (im *Importer) loadFunction(ctx context.Context, addr, name, code string) error {
	client := im.cluster.Client(addr)
	err := client.FunctionLoad(ctx, code).Err()
	if err == nil || !strings.Contains(err.Error(), "already exists") {
		return err
	}
	same, there, lerr := findLibrary(ctx, client, name, code)
	switch {
	case lerr != nil:
		return lerr
	case !there:
		return err // it is one of its functions that exists, in another library
	case same || im.opts.Conflict == ConflictSkip:
		return nil
	case im.opts.Conflict == ConflictReplace:
		return client.FunctionLoadReplace(ctx, code).Err()
	}
	return &ConflictError{Key: []byte("function library " + name), Addr: addr, Reason: "its code differs (" + err.Error() + ")"}
}

// findLibrary reports whether a server has a library of that name, and with that code.
func findLibrary(ctx context.Context, client *redis.Client, name, code string) (same, there bool, err error) {
	libs, err := client.FunctionList(ctx, redis.FunctionListQuery{LibraryNamePattern: globQuote(name), WithCode: true}).Result()
	if err != nil || len(libs) != 1 {
		return false, false, err
	}
	return libs[0].Code == code, true, nil
}

// globQuote makes a pattern that fits name alone.
func globQuote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// libraryName returns the name in the first line of a library:
// "#!lua name=mylib".
func libraryName(code []byte) []byte {
	line, _, _ := bytes.Cut(code, []byte("\n"))
	for _, word := range bytes.Fields(line) {
		if name, ok := bytes.CutPrefix(word, []byte("name=")); ok {
			return name
		}
	}
	return []byte("without a name")
}
