package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"golang.org/x/sync/errgroup"
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

// pieceCommands are the commands that every value of a kind takes. Others depend on
// what is in it: XCLAIM, say. KEY stands for a key.
var pieceCommands = map[rdbparse.Kind][]string{
	rdbparse.KindString: {"SET KEY value", "STRLEN KEY"},
	rdbparse.KindList:   {"RPUSH KEY element", "LLEN KEY"},
	rdbparse.KindSet:    {"SADD KEY member", "SCARD KEY"},
	rdbparse.KindZSet:   {"ZADD KEY 1 member", "ZCARD KEY"},
	rdbparse.KindStream: {"XADD KEY 1-1 field value", "XLEN KEY", "XSETID KEY 1-1"},
}

// need returns the commands that p takes, beside EXEC. What stands before MULTI
// changes nothing; what stands behind it is not carried out.
func (p *Pieces) need(im *Importer) []string {
	commands := []string{"EXISTS KEY", multi, "RENAMENX KEY KEY"}
	if im.opts.Conflict == ConflictReplace {
		commands = []string{"WATCH KEY", multi, im.target.unlink + " KEY", "RENAME KEY KEY"}
	}
	if p.Expiry {
		commands = append(commands, "PEXPIREAT KEY 1")
	}
	for _, kind := range p.Kinds {
		if kind == rdbparse.KindHash {
			commands = append(commands, im.target.hset+" KEY field value", "HLEN KEY")
		}
		commands = append(commands, pieceCommands[kind]...)
	}
	return commands
}

const multi = "MULTI"

// PieceRights returns an ErrPieces if the user may not give a command that p takes, on
// any master. Nothing is written. A master that does not answer has been told of before.
func (t *TargetFacts) PieceRights(ctx context.Context, p Pieces) error {
	if len(p.Kinds) == 0 {
		return nil
	}
	need := p.need(t.im)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, master := range t.Map.Masters {
		if t.Masters[i].Err != nil {
			continue
		}
		g.Go(func() error {
			if err := t.im.tryPieces(ctx, master.Addr, probeKey(t.Map, i), need); errors.Is(err, ErrPieces) {
				return err
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// tryTime bounds how long tryPieces waits for a master.
const tryTime = 10 * time.Second

// tryPieces gives the commands within a MULTI that no EXEC follows, so that the
// server judges them and carries none of them out: the connection is closed.
func (im *Importer) tryPieces(ctx context.Context, addr, key string, need []string) error {
	conn, err := im.cluster.Dial(ctx, addr, int(im.target.db))
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // what was queued is dropped in any case
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(tryTime)); err != nil {
		return err
	}
	var denied []string
	var reply string // to the first of them
	w := wire{addr: addr, replies: newReplyReader(conn)}
	for _, command := range need {
		for _, word := range strings.Fields(command) {
			if word == "KEY" {
				word = key
			}
			w.word(word)
		}
		w.end(0)
		if _, err := conn.Write(w.buf); err != nil {
			return err
		}
		w.buf = w.buf[:0]
		err := w.skip()
		var refused *replyError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		needed := command != multi || im.opts.Conflict == ConflictReplace // else MULTI is of use here only
		if refused != nil && deniesCommand([]byte(refused.text)) && needed {
			reply = cmp.Or(reply, refused.text)
			denied = append(denied, strings.Fields(command)[0])
		}
		if command == multi && refused != nil {
			break // what follows would be carried out
		}
	}
	if len(denied) > 0 {
		return fmt.Errorf("%w: %s: %s: %s", ErrPieces, addr, strings.Join(denied, ", "), reply)
	}
	return nil
}
