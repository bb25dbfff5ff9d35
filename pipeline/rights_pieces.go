package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// ErrPieces says that the user may not give a command that writes large values. It is
// a slotter.ErrNoPermission.
var ErrPieces = fmt.Errorf("%w for large values, which are written in pieces", slotter.ErrNoPermission)

// Pieces is what an import would write in pieces.
type Pieces struct {
	Kinds  []rdbparse.Kind // of the values, each once
	Expiry bool            // one of them has an expiry
}

func (p *Pieces) add(e *rdbparse.Entry) {
	if !slices.Contains(p.Kinds, e.Type.Kind) {
		p.Kinds = append(p.Kinds, e.Type.Kind)
	}
	p.Expiry = p.Expiry || e.Expires
}

// need returns the commands that p takes, beside EXEC. KEY stands for a key. What stands before MULTI
// changes nothing, whatever the key is; what stands behind it is not carried out.
func (p *Pieces) need(im *Importer) []string {
	reads, writes := []string{"EXISTS KEY", "RENAMENX KEY KEY"}, []string(nil)
	if im.opts.Conflict == ConflictReplace {
		reads, writes = []string{"WATCH KEY"}, []string{im.target.unlink + " KEY", "RENAME KEY KEY"}
	}
	if p.Expiry {
		writes = append(writes, "PEXPIREAT KEY 1")
	}
	for _, kind := range p.Kinds {
		of := commandsOfKind[kind]
		reads = append(reads, of.counts+" KEY")
		writes = append(writes, im.target.adds(kind)+" KEY "+of.part)
		if of.also != "" {
			writes = append(writes, of.also)
		}
	}
	return slices.Concat(reads, []string{multi}, writes)
}

const multi = "MULTI"

// PieceRights returns an ErrPieces if the user may not give a command that p takes, on
// any master, and whether all of them could be tried: without MULTI those that write
// cannot. Nothing is written. A master that does not answer has been told of before.
func (t *TargetFacts) PieceRights(ctx context.Context, p Pieces) (known bool, _ error) {
	if len(p.Kinds) == 0 {
		return true, nil
	}
	var untried atomic.Bool
	need := p.need(t.im)
	err := t.Map.EachMaster(ctx, func(ctx context.Context, i int) error {
		if t.Masters[i].Err != nil {
			return nil
		}
		all, err := t.im.tryPieces(ctx, t.Map.Masters[i].Addr, probeKey(t.Map, i), need)
		if !all {
			untried.Store(true)
		}
		if errors.Is(err, ErrPieces) {
			return err
		}
		return ctx.Err()
	})
	return !untried.Load(), err
}

// tryTime bounds how long tryPieces waits for a master.
const tryTime = 10 * time.Second

// tryPieces gives the commands within a MULTI that no EXEC follows, so that the
// server judges them and carries none of them out: the connection is closed. It
// reports whether it came to all of them.
func (im *Importer) tryPieces(ctx context.Context, addr, key string, need []string) (all bool, _ error) {
	conn, err := im.cluster.Dial(ctx, addr, int(im.target.db))
	if err != nil {
		return false, err
	}
	defer conn.Close() //nolint:errcheck // what was queued is dropped in any case
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(tryTime)); err != nil {
		return false, err
	}
	w := wire{addr: addr, replies: newReplyReader(conn)}
	queued := slices.Index(need, multi) + 1
	refused, err := w.try(conn, need[:queued], key)
	if all = err == nil && refused[queued-1] == ""; all { // else what follows would be carried out
		var more []string
		more, err = w.try(conn, need[queued:], key)
		refused = append(refused, more...)
	}
	if err != nil {
		return false, err
	}
	var denied []string
	var reply string // to the first of them
	for i, text := range refused {
		needed := need[i] != multi || im.opts.Conflict == ConflictReplace // else MULTI is of use here only
		if text != "" && deniesCommand([]byte(text)) && needed {
			reply = cmp.Or(reply, text)
			denied = append(denied, strings.Fields(need[i])[0])
		}
	}
	if len(denied) > 0 {
		return all, fmt.Errorf("%w: %s: %s: %s", ErrPieces, addr, strings.Join(denied, ", "), reply)
	}
	return all, nil
}

// try gives commands all at once, with key in the place of KEY, and returns for each
// the error that the server answers, "" if it answers something else.
func (w *wire) try(conn net.Conn, commands []string, key string) (refused []string, _ error) {
	for _, command := range commands {
		for _, word := range strings.Fields(command) {
			if word == "KEY" {
				word = key
			}
			w.word(word)
		}
		w.end(0)
	}
	_, err := conn.Write(w.buf)
	w.buf = w.buf[:0]
	for range commands {
		if err == nil {
			err = w.skip()
		}
		text := ""
		if no := (*replyError)(nil); errors.As(err, &no) {
			text, err = no.text, nil
		}
		refused = append(refused, text)
	}
	return refused, err
}

// warnPieces says so if the user may not give a command that large values take, so
// that it is known before the first of them stops the import.
func (im *Importer) warnPieces(ctx context.Context, m *slotter.Map) {
	if n := im.opts.Expect; n > 0 && n <= int64(im.opts.HeldParts()) {
		return // no value can be as large as that
	}
	p := Pieces{Kinds: slices.Sorted(maps.Keys(commandsOfKind)), Expiry: true}
	need := p.need(im)
	err := m.EachMaster(ctx, func(ctx context.Context, i int) error {
		_, err := im.tryPieces(ctx, m.Masters[i].Addr, probeKey(m, i), need)
		if errors.Is(err, ErrPieces) {
			return err
		}
		return nil // whatever it is will be met again
	})
	if err != nil && ctx.Err() == nil {
		im.opts.Warn(err.Error() + "; the first one would stop the import, and a dry run says whether there is one")
	}
}
