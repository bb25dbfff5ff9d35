package pipeline

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // what the servers name scripts by
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/redis/go-redis/v9"
)

// libraries are the function libraries and scripts that an import has loaded.
type libraries struct {
	mu   sync.Mutex
	seen map[[sha1.Size]byte]bool
}

// record handles an entry that is no key.
func (f *Feeder) record(e *rdbparse.Entry) error {
	im := f.im
	switch e.Record {
	case rdbparse.RecordFunction:
		return f.function(e.Value)
	case rdbparse.RecordModuleAux:
		im.stats.moduleAux.Add(1)
		im.opts.Warn(fmt.Sprintf("module data of %s beside the keys is left out: no command loads it", e.Key))
	case rdbparse.RecordAux:
		switch string(e.Key) {
		case "lua":
			return f.script(e.Value)
		case "keydb-subexpire-key":
			im.stats.keydbExtra.Add(1)
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
func (f *Feeder) script(code []byte) error {
	if !f.im.libs.once(code) {
		return nil
	}
	for _, addr := range f.masters() {
		if err := f.im.cluster.Client(addr).ScriptLoad(f.im.ctx, string(code)).Err(); err != nil {
			sum := sha1.Sum(code)
			f.im.stats.refused("SCRIPT LOAD: "+err.Error(), []byte(hex.EncodeToString(sum[:])))
			f.im.stats.librariesFailed.Add(1)
			return nil
		}
	}
	f.im.stats.scripts.Add(1)
	return nil
}

// function loads a function library on every master.
func (f *Feeder) function(code []byte) error {
	if !f.im.libs.once(code) {
		return nil
	}
	name := libraryName(code)
	if !f.im.target.functions {
		f.im.stats.refused("the target has no functions: "+f.im.target.oldest.String(), name)
		f.im.stats.librariesFailed.Add(1)
		return nil
	}
	for _, addr := range f.masters() {
		if err := f.load(addr, string(name), string(code)); err != nil {
			return err
		}
	}
	f.im.stats.functions.Add(1)
	return nil
}

// load loads a library on one master. One of that name with the same code is
// fine; another follows the conflict policy.
func (f *Feeder) load(addr, name, code string) error {
	im, client := f.im, f.im.cluster.Client(addr)
	err := client.FunctionLoad(im.ctx, code).Err()
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "already exists") {
		same, lerr := sameLibrary(f, client, name, code)
		switch {
		case lerr != nil:
			err = lerr
		case same || im.opts.Conflict == ConflictSkip:
			return nil
		case im.opts.Conflict == ConflictReplace:
			if err = client.FunctionLoadReplace(im.ctx, code).Err(); err == nil {
				return nil
			}
		default:
			return &ConflictError{Key: []byte("function library " + name), Addr: addr, Reason: "its code differs (" + err.Error() + ")"}
		}
	}
	im.stats.refused("FUNCTION LOAD: "+err.Error(), []byte(name))
	im.stats.librariesFailed.Add(1)
	return nil
}

func sameLibrary(f *Feeder, client *redis.Client, name, code string) (bool, error) {
	libs, err := client.FunctionList(f.im.ctx, redis.FunctionListQuery{LibraryNamePattern: globQuote(name), WithCode: true}).Result()
	if err != nil {
		return false, err
	}
	return len(libs) == 1 && libs[0].Code == code, nil
}

// globQuote makes a pattern that fits name alone.
func globQuote(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// masters returns the addresses of the masters that own slots now.
func (f *Feeder) masters() []string {
	var all []string
	for _, addr := range f.im.routes.Load().masters {
		if addr != nowhere {
			all = append(all, addr)
		}
	}
	return all
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
