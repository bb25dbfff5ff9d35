package pipeline

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// A rangeCompare compares a large value of the dump with a key of the target by
// reading both in parts: nothing is held but one part of each.
type rangeCompare struct {
	*wire
	send func() error // writes what the wire has rendered, and begins to wait
	idle func()       // nothing is waited for
	// holdMore is asked before more than held is held; nil where nobody minds.
	holdMore func() error

	key   []byte
	e     *rdbparse.Entry
	v     *rdbparse.BigValue
	held  int
	now   int64        // when it began, by the target's clock
	clock func() int64 // the target's clock

	commands commands
	dropped  bool // the expiry of fields that the target cannot keep does not count

	// The elements of the present part; their bytes are in arena.
	parts []comparePart
	arena []byte

	count, faded int64 // elements met, and how many of them the target may lack

	stream streamCompare
}

// A comparePart is one element that the target is asked about.
type comparePart struct {
	keyEnd, end int // in arena: of the key, and of the value behind it
	score       float64
	expireAt    int64
	id          element.ID
}

// Bounds of one question.
const (
	askParts = 512
	askBytes = 64 << 10
	askText  = 256 << 10 // bytes of a string
)

// errGone says that the target does not have the key any more.
var errGone = errors.New("the key is not there")

// run says what differs, "" if nothing does. It fails with errGone if there is no
// such key, with a *sourceError if the dump cannot be read, with a *replyError if
// the target says no.
func (c *rangeCompare) run() (differs string, err error) {
	kind := c.e.Type.Kind
	word := commandsOfKind[kind].counts
	if word == "" || kind != rdbparse.KindString && !splits(c.e.Type) {
		return c.whole()
	}
	c.word("TYPE")
	c.bytes(c.key)
	rep, err := c.ask()
	if err != nil {
		return "", err
	}
	switch is := string(rep.text); is {
	case "none":
		return "", c.gone()
	case kind.String():
	default:
		return fmt.Sprintf("it is a %s, in the dump a %s", is, kind), nil
	}
	c.begin(word, c.key)
	rep, err = c.ask()
	if err != nil {
		return "", err
	}
	have, ok := parseInt(rep.text)
	if !ok {
		return "", fmt.Errorf("%w: %q in answer to %s", errProtocol, rep.text, word)
	}
	if differs, err = c.elements(have); err != nil || differs != "" {
		return differs, err
	}
	if have > c.count || have < c.count-c.faded {
		return fmt.Sprintf("it has %s, %d in the dump", counted(have, "element"), c.count), nil
	}
	return "", nil
}

// gone is errGone, once it is known whether the key may have expired with the
// last of its fields.
func (c *rangeCompare) gone() error {
	if c.e.Type.Kind != rdbparse.KindHash {
		return errGone
	}
	r := element.OfBig(c.v, c.held)
	for r.Next() {
		c.count++
		if err := c.partsOf(r, passOver); err != nil { // the expiry may stand behind it
			return err
		}
		if !c.hasFaded(r.Element().ExpireAt) {
			return errGone
		}
		c.faded++
	}
	if r.Err() != nil {
		return &sourceError{r.Err()}
	}
	return errGone
}

// hasFaded reports whether a field that expires then may have done so.
func (c *rangeCompare) hasFaded(at int64) bool { return at != 0 && at <= c.clock()+clockSlack }

func passOver([]byte) error { return nil }

// ask sends what is rendered and reads one reply.
func (c *rangeCompare) ask() (reply, error) {
	c.end(0)
	if err := c.send(); err != nil {
		return reply{}, err
	}
	return c.next()
}

// askLong sends what is rendered, and returns how many bytes the reply has, which
// are then still to be taken, or that it is nil.
func (c *rangeCompare) askLong() (n int64, none bool, err error) {
	c.end(0)
	if err := c.send(); err != nil {
		return 0, false, err
	}
	rep, n, err := c.replies.head()
	if err == nil && rep.kind == '-' {
		err = &replyError{c.addr, string(rep.text)}
	}
	return n, rep.null, err
}

// elements compares the elements, of which the target has have.
func (c *rangeCompare) elements(have int64) (differs string, err error) {
	r := element.OfBig(c.v, c.held)
	for {
		c.idle()
		if !r.Next() {
			break
		}
		el := r.Element()
		switch {
		case el.Kind == element.Text:
			differs, err = c.text(r, el, have)
		case el.Long > 0:
			if differs, err = c.flush(); err == nil && differs == "" {
				differs, err = c.long(r, el)
			}
		case el.Kind >= element.Stream && el.Kind <= element.Returned:
			if differs, err = c.flush(); err == nil && differs == "" {
				differs, err = c.streamPart(el)
			}
		default:
			c.add(el)
			if len(c.parts) >= askParts || len(c.arena) >= askBytes {
				differs, err = c.flush()
			}
		}
		if err != nil || differs != "" {
			return differs, err
		}
	}
	if r.Err() != nil {
		return "", &sourceError{r.Err()}
	}
	if differs, err = c.flush(); err != nil || differs != "" || c.e.Type.Kind != rdbparse.KindStream {
		return differs, err
	}
	return c.streamEnd()
}

// add notes an element for the next question.
func (c *rangeCompare) add(el *element.Element) {
	switch el.Kind {
	case element.ListItem, element.Member, element.Field, element.Scored, element.Entry:
	default:
		return
	}
	c.count++
	p := comparePart{score: el.Score, id: el.ID}
	if el.Kind == element.Field {
		p.expireAt = el.ExpireAt
	}
	c.arena = append(c.arena, el.Key...)
	p.keyEnd = len(c.arena)
	if el.Kind == element.Entry {
		for _, text := range el.Pairs {
			c.arena = strconv.AppendInt(c.arena, int64(len(text)), 10)
			c.arena = append(append(c.arena, ':'), text...)
		}
	} else {
		c.arena = append(c.arena, el.Value...)
	}
	p.end = len(c.arena)
	c.parts = append(c.parts, p)
}

// part returns the key and the value of element i.
func (c *rangeCompare) part(i int) (key, value []byte) {
	from := 0
	if i > 0 {
		from = c.parts[i-1].end
	}
	p := &c.parts[i]
	return c.arena[from:p.keyEnd], c.arena[p.keyEnd:p.end]
}

// flush asks the target about the elements that were added.
func (c *rangeCompare) flush() (differs string, err error) {
	if len(c.parts) == 0 {
		return "", nil
	}
	switch c.e.Type.Kind {
	case rdbparse.KindList:
		differs, err = c.list()
	case rdbparse.KindSet:
		differs, err = c.members("SISMEMBER", "SMISMEMBER", c.isMember)
	case rdbparse.KindZSet:
		differs, err = c.members("ZSCORE", "ZMSCORE", c.hasScore)
	case rdbparse.KindHash:
		differs, err = c.fields()
	case rdbparse.KindStream:
		differs, err = c.entries()
	}
	c.parts, c.arena = c.parts[:0], c.arena[:0]
	return differs, err
}
