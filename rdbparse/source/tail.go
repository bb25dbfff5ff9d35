package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// TailKind is what lies behind an RDB.
type TailKind uint8

// The kinds of Tail.
const (
	TailNone    TailKind = iota // nothing
	TailEndMark                 // the mark of a diskless replication reply, and nothing else
	TailAOF                     // commands: the rest of an AOF, or of a captured replication stream
	TailDump                    // another RDB, perhaps with commands before it
	TailGarbage                 // something else
)

// Tail is what follows the RDB's last byte.
type Tail struct {
	Kind     TailKind
	EndMark  bool  // a mark is there, perhaps with more behind it
	Bytes    int64 // how many bytes there are, without the mark
	Commands int64 // whole commands
	Writes   int64 // of these, those that are not SELECT, MULTI, EXEC, PING or REPLCONF
	Cut      bool  // the last command is cut short (it is in no count)
	Garbage  int64 // bytes that are no commands
	Dump     int64 // where, behind the RDB's last byte, another one begins; its bytes are Garbage too
}

// CheckTail reads to the end of the source and says what is there. It is called once the RDB has been read, magic to
// checksum: buffered is what its reader holds beyond that, rest is where the following bytes come from (nil: from s
// itself; a ReadAhead over s otherwise). Unless the input is a regular file, nothing is read behind the end of a
// replication reply, since the connection may stay open; only what has been read already is looked at.
//
// An error matches ErrTruncated or ErrEndMark where a reply's header promised another end than the one found.
// All of the RDB has been read all the same.
func (s *Source) CheckTail(ctx context.Context, buffered []byte, rest io.Reader) (Tail, error) {
	if rest == nil {
		rest = s
	}
	stop := s.interruptOn(ctx)
	defer stop()
	r := io.MultiReader(bytes.NewReader(buffered), &ctxReader{ctx: ctx, r: rest})
	if s.body != nil && s.regular {
		r = io.MultiReader(r, &ctxReader{ctx: ctx, r: s.body.r})
	}
	t, err := s.classify(r, buffered)
	return t, s.named(err)
}

func (s *Source) classify(r io.Reader, buffered []byte) (Tail, error) {
	if s.reply == nil || s.reply.mark == nil {
		return scanTail(r, Tail{}, s.reply == nil)
	}
	var mark [markSize]byte
	switch n, err := io.ReadFull(r, mark[:]); {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		found := fmt.Sprintf("the RDB is whole, of its end mark %d of %d bytes are there", n, markSize)
		return Tail{}, s.wrong(ErrTruncated, found, hintAgain)
	case err != nil:
		return Tail{}, err
	case !bytes.Equal(mark[:], s.reply.mark):
		return Tail{}, s.wrong(ErrEndMark, "the RDB is whole, but not followed by the mark that its header announced", hintAgain)
	}
	t := Tail{Kind: TailEndMark, EndMark: true}
	if !s.regular {
		r = bytes.NewReader(buffered[min(len(buffered), markSize):])
	}
	t, err := scanTail(r, t, false)
	if t.Kind == TailDump {
		t.Dump += markSize
	}
	return t, err
}

// scanTail classifies what r holds. findMark says that a mark may come first that no header announced.
func scanTail(r io.Reader, t Tail, findMark bool) (Tail, error) {
	sc := newCommandScanner(r)
	if !findMark { // part of a replication stream, which has keep-alives
		sc.skipNewlines()
	} else if err := sc.takeMark(&t); err != nil {
		return t, err
	}
	start := sc.offset()
	another := false
	end, err := sc.scan(&t)
	if err != nil && !errors.Is(err, errNoCommand) {
		return t, err
	}
	if errors.Is(err, errNoCommand) {
		good := end
		another = sc.offset() == good && sc.atMagic()
		if end, err = sc.drain(); err != nil {
			return t, err
		}
		t.Garbage = end - good
		if another {
			t.Dump = good
		}
	}
	t.Bytes = end - start
	switch {
	case another:
		t.Kind = TailDump
	case t.Commands > 0 || t.Cut:
		t.Kind = TailAOF
	case t.Garbage > 0:
		t.Kind = TailGarbage
	case t.Bytes > 0: // nothing but annotations
		t.Kind = TailAOF
	}
	return t, nil
}

// ctxReader stops between two reads when ctx has ended.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
