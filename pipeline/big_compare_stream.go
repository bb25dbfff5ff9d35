package pipeline

import (
	"fmt"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// streamCompare is what a comparison knows of a stream.
type streamCompare struct {
	groups  listing
	grouped bool   // there is a group
	group   []byte // its name, which may be empty
	info    groupInfo
	pending int64 // entries pending in the group, in the dump

	consumers listing
	consumer  []byte
	returned  bool // the group has entries that a consumer has given back
	adopts    bool // it has the consumer that such entries go to

	deleted   element.ID // the greatest that the target knows of, where the dump knows none
	explained bool       // a group of the dump waits for that one, or there is none

	asked []pendingAsked
}

// A pendingAsked is a pending entry that the target is asked about: as the group
// has it, or as the consumer does.
type pendingAsked struct {
	id    element.ID
	owned bool
	d     delivery

	there bool  // on the target,
	idle  int64 // where it waits so many ms,
	count int64 // and was delivered so often
}

// streamPart compares what stands behind the entries of a stream.
func (c *rangeCompare) streamPart(el *element.Element) (differs string, err error) {
	s := &c.stream
	switch el.Kind {
	case element.Stream:
		if differs, err = c.streamInfo(el.Info); err != nil || differs != "" {
			return differs, err
		}
		return "", c.learn(&s.groups, nil, "GROUPS")
	case element.Group:
		if differs, err = c.groupEnd(); err != nil || differs != "" {
			return differs, err
		}
		return c.beginGroup(el)
	case element.Pending:
		s.pending++
		s.explained = s.explained || el.ID == s.deleted
		return c.askPending(pendingAsked{id: el.ID, d: delivery{el.Time, el.Count}})
	case element.Consumer:
		if differs, err = c.flushPending(); err != nil || differs != "" {
			return differs, err
		}
		return c.beginConsumer(el.Key)
	case element.Owned:
		return c.askPending(pendingAsked{id: el.ID, owned: true})
	case element.Returned:
		return c.givenBack(el.ID)
	}
	return "", nil
}

// streamEnd completes the comparison of a stream.
func (c *rangeCompare) streamEnd() (differs string, err error) {
	if differs, err = c.groupEnd(); err != nil || differs != "" {
		return differs, err
	}
	if s := &c.stream; !s.explained {
		return fmt.Sprintf("its greatest deleted id is %v, %v in the dump", s.deleted, element.ID{}), nil
	}
	return c.stream.groups.more("group", "the stream"), nil
}

// hasOffsets reports whether the dump has of a stream what came with Redis 7.0, and the
// target can be given it.
func (c *rangeCompare) hasOffsets() bool {
	return c.e.Type.Type != rdbparse.TypeStreamListpacks && c.commands.streamIDs
}

// streamInfo compares what the stream says of itself, as far as the target tells it.
func (c *rangeCompare) streamInfo(info element.StreamInfo) (differs string, err error) {
	c.word("XINFO")
	c.word("STREAM")
	c.bytes(c.key)
	rep, err := c.ask()
	if err != nil {
		return "", err
	}
	s, offsets := &c.stream, c.hasOffsets()
	s.explained = true
	err = c.pairs(rep.size/2, func(name string, rep reply) {
		what, have, want := "", string(rep.text), ""
		switch {
		case name == "last-generated-id":
			what, want = "last id", info.LastID.String()
		case !offsets:
		case name == "recorded-first-entry-id" && info.Length > 0: // without an entry servers note one thing or the other
			what, want = "first id", info.FirstID.String()
		case name == "max-deleted-entry-id" && info.MaxDeletedID == element.ID{}:
			s.deleted = parseID(have)
			s.explained = s.deleted == element.ID{}
		case name == "max-deleted-entry-id":
			what, want = "greatest deleted id", info.MaxDeletedID.String()
		case name == "entries-added":
			what, want = "number of entries added", strconv.FormatUint(info.EntriesAdded, 10)
		}
		if have != want && what != "" && differs == "" {
			differs = fmt.Sprintf("its %s is %s, %s in the dump", what, have, want)
		}
	})
	return differs, err
}

// pairs reads n names with what belongs to each, and gives those to f that are
// simple.
func (c *rangeCompare) pairs(n int64, f func(name string, rep reply)) error {
	for range n {
		rep, err := c.next()
		if err != nil {
			return err
		}
		name := string(rep.text)
		if rep, err = c.next(); err != nil {
			return err
		}
		if rep.kind != '*' {
			f(name, rep)
			continue
		}
		for range rep.size {
			if err := c.skip(); err != nil {
				return err
			}
		}
	}
	return nil
}

// askPending notes a pending entry for the next question.
func (c *rangeCompare) askPending(p pendingAsked) (differs string, err error) {
	c.stream.asked = append(c.stream.asked, p)
	if len(c.stream.asked) >= askParts {
		return c.flushPending()
	}
	return "", nil
}

// flushPending asks the target about pending entries. It says for how long they wait, so
// it is asked for its time before and after.
func (c *rangeCompare) flushPending() (differs string, err error) {
	s := &c.stream
	if len(s.asked) == 0 {
		return "", nil
	}
	c.buf = append(c.buf, timeCommand...)
	for _, p := range s.asked {
		c.begin("XPENDING", c.key)
		c.bytes(s.group)
		c.id(p.id)
		c.id(p.id)
		c.word("1")
		if p.owned {
			c.bytes(s.consumer)
		}
		c.end(0)
	}
	c.buf = append(c.buf, timeCommand...)
	before := c.clock()
	if err := c.send(); err != nil {
		return "", err
	}
	from, err := readTime(c.replies, func() int64 { return before })
	if err != nil {
		return "", err
	}
	for i := range s.asked {
		if err := c.pendingAnswer(&s.asked[i]); err != nil {
			return "", err
		}
	}
	to, err := readTime(c.replies, c.clock)
	if err != nil {
		return "", err
	}
	for i := range s.asked {
		if differs == "" {
			differs = c.pendingDiffers(&s.asked[i], from, to)
		}
	}
	s.asked = s.asked[:0]
	return differs, nil
}

// pendingAnswer reads the answer about one pending entry: its id, its consumer,
// for how long it waits, and how often it was delivered.
func (c *rangeCompare) pendingAnswer(p *pendingAsked) error {
	rep, err := c.next()
	if p.there = rep.size > 0; err != nil || !p.there {
		return err
	}
	if err := c.array(4); err != nil {
		return err
	}
	for i := range 4 {
		if rep, err = c.next(); err != nil {
			return err
		}
		switch i {
		case 2:
			p.idle, _ = parseInt(rep.text)
		case 3:
			p.count, _ = parseInt(rep.text)
		}
	}
	return nil
}

// pendingDiffers judges a pending entry that the target was asked about between two
// times of its clock.
func (c *rangeCompare) pendingDiffers(p *pendingAsked, from, to int64) string {
	s := &c.stream
	switch {
	case !p.there && p.owned:
		return fmt.Sprintf("consumer %q of group %q does not hold entry %v", short(s.consumer), short(s.group), p.id)
	case !p.there:
		return fmt.Sprintf("group %q does not wait for entry %v", short(s.group), p.id)
	case p.owned:
		return ""
	case uint64(p.count) != p.d.count:
		return fmt.Sprintf("entry %v was delivered %s in group %q, %s in the dump", p.id, counted(p.count, "time"), short(s.group), counted(int64(p.d.count), "time"))
	case p.d.time > 0 && p.d.time <= c.now && (from-p.idle > p.d.time+ttlTolerance || to-p.idle < p.d.time-ttlTolerance):
		return fmt.Sprintf("entry %v was delivered at another time in group %q", p.id, short(s.group))
	}
	return ""
}
