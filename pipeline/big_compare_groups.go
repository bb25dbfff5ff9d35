package pipeline

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// A listing is what the target says of the groups of a stream, or of the consumers of a
// group. Of many only some are held at a time, those that come next: servers keep them,
// and write them to a dump, in the order of their names. In any other order each is found
// too, by asking once more.
type listing struct {
	total int64 // how many there are
	held  map[string]groupInfo
	whole bool  // all of them have been held, so what is left has not been met
	met   int64 // how many of the dump have been met
}

// A groupInfo is what the target says of a group. Of a consumer no more is of interest
// than that it is there.
type groupInfo struct {
	last               string
	pending, consumers int64
	tells              bool   // it tells how many entries the group has read
	read               uint64 // 2^64-1 if the target does not know
}

// learn asks what there is, and holds what has the name from, and as many of those behind
// it as fit.
func (c *rangeCompare) learn(l *listing, from []byte, what string, group ...[]byte) error {
	c.word("XINFO")
	c.begin(what, c.key)
	for _, g := range group {
		c.bytes(g)
	}
	rep, err := c.ask()
	if err != nil {
		return err
	}
	l.total, l.held = rep.size, make(map[string]groupInfo)
	size := 0
	for range rep.size {
		one, err := c.next()
		if err != nil {
			return err
		}
		name, g := "", groupInfo{}
		wanted := false
		err = c.pairs(one.size/2, func(field string, rep reply) {
			if field == "name" && rep.long == 0 { // a longer one is in no dump
				fits := len(l.held) < askParts && size < askBytes
				if wanted = string(rep.text) == string(from) || fits && string(rep.text) > string(from); wanted {
					name = string(rep.text)
				}
			}
			g.note(field, rep)
		})
		if err != nil {
			return err
		}
		if wanted {
			l.held[name] = g
			size += len(name)
		}
	}
	l.whole = from == nil && int64(len(l.held)) == l.total
	return nil
}

// note notes one thing that the target says of a group.
func (g *groupInfo) note(field string, rep reply) {
	switch field {
	case "pending":
		g.pending, _ = parseInt(rep.text)
	case "consumers":
		g.consumers, _ = parseInt(rep.text)
	case "last-delivered-id":
		g.last = string(rep.text)
	case "entries-read":
		g.tells, g.read = true, math.MaxUint64
		if n, ok := parseInt(rep.text); ok && !rep.null {
			g.read = uint64(n)
		}
	}
}

// lookUp finds a group or consumer of the dump on the target.
func (c *rangeCompare) lookUp(l *listing, name []byte, what string, group ...[]byte) (g groupInfo, ok bool, err error) {
	if l.held == nil {
		err = c.learn(l, nil, what, group...)
	}
	if g, ok = l.held[string(name)]; !ok && !l.whole && err == nil {
		err = c.learn(l, name, what, group...)
		g, ok = l.held[string(name)]
	}
	delete(l.held, string(name))
	l.met++
	return g, ok, err
}

// more says what the target has beyond those that have been met, "" if nothing; where is
// what has them.
func (l *listing) more(what, where string) string {
	if l.total == l.met {
		return ""
	}
	if l.whole {
		for name := range l.held {
			return fmt.Sprintf("%s %q of %s is not in the dump", what, short([]byte(name)), where)
		}
	}
	return fmt.Sprintf("%s has %s, %d in the dump", where, counted(l.total, what), l.met)
}

// beginGroup compares a group, but for what belongs to it.
func (c *rangeCompare) beginGroup(el *element.Element) (differs string, err error) {
	s := &c.stream
	info, ok, err := c.lookUp(&s.groups, el.Key, "GROUPS")
	switch {
	case err != nil:
		return "", err
	case !ok:
		return fmt.Sprintf("group %q is missing", short(el.Key)), nil
	case info.last != el.ID.String():
		return fmt.Sprintf("group %q was delivered up to %s, up to %v in the dump", short(el.Key), info.last, el.ID), nil
	case c.hasOffsets() && info.tells && info.read != el.Read:
		return fmt.Sprintf("group %q has read %s entries, %s in the dump", short(el.Key), entriesRead(info.read), entriesRead(el.Read)), nil
	}
	s.group, s.grouped, s.info, s.pending = append(s.group[:0], el.Key...), true, info, 0
	s.consumers, s.returned, s.adopts = listing{total: info.consumers}, false, false
	return "", nil
}

// entriesRead says in words how many entries a group has read.
func entriesRead(n uint64) string {
	if n == math.MaxUint64 {
		return "an unknown number of"
	}
	return strconv.FormatUint(n, 10)
}

// beginConsumer compares a consumer of the group, but for what it holds.
func (c *rangeCompare) beginConsumer(name []byte) (differs string, err error) {
	s := &c.stream
	_, ok, err := c.lookUp(&s.consumers, name, "CONSUMERS", s.group)
	if err == nil && !ok {
		differs = fmt.Sprintf("consumer %q of group %q is missing", short(name), short(s.group))
	}
	s.consumer = append(s.consumer[:0], name...)
	s.adopts = s.adopts || string(name) == element.NackConsumer
	return differs, err
}

// givenBack compares the owner of an entry that its consumer has given back: a target
// that cannot leave it without one has it with element.NackConsumer.
func (c *rangeCompare) givenBack(id element.ID) (differs string, err error) {
	s := &c.stream
	first := !s.returned
	s.returned = true
	if c.commands.giveBack {
		return "", nil // written in pieces it has an owner as well
	}
	if first {
		if differs, err = c.flushPending(); err != nil || differs != "" {
			return differs, err
		}
		if !s.adopts {
			if differs, err = c.beginConsumer([]byte(element.NackConsumer)); err != nil || differs != "" {
				return differs, err
			}
		}
		s.consumer = append(s.consumer[:0], element.NackConsumer...)
	}
	return c.askPending(pendingAsked{id: id, owned: true})
}

// groupEnd completes the comparison of a group.
func (c *rangeCompare) groupEnd() (differs string, err error) {
	s := &c.stream
	if !s.grouped {
		return "", nil
	}
	if differs, err = c.flushPending(); err != nil || differs != "" {
		return differs, err
	}
	if s.info.pending != s.pending {
		return fmt.Sprintf("group %q waits for %s, for %d in the dump", short(s.group), counted(s.info.pending, "entry"), s.pending), nil
	}
	if s.returned && c.commands.giveBack && !s.adopts && s.consumers.total == s.consumers.met+1 {
		return "", nil
	}
	return s.consumers.more("consumer", fmt.Sprintf("group %q", short(s.group))), nil
}

// parseID reads the id of an entry as servers write it.
func parseID(text string) (id element.ID) {
	ms, seq, _ := strings.Cut(text, "-")
	id.Ms, _ = strconv.ParseUint(ms, 10, 64)
	id.Seq, _ = strconv.ParseUint(seq, 10, 64)
	return id
}
