package pipeline

import (
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// streamCompare is what a comparison knows of a stream.
type streamCompare struct {
	groups  map[string]groupInfo // on the target, those not met yet
	grouped bool                 // there is a group
	group   []byte               // its name, which may be empty
	info    groupInfo
	pending int64 // entries pending in the group, in the dump

	consumer []byte
	asked    []pendingAsked
}

// A groupInfo is what the target says of a group.
type groupInfo struct {
	last    string
	pending int64
}

// A pendingAsked is a pending entry that the target is asked about: as the group
// has it, or as the consumer does.
type pendingAsked struct {
	id    element.ID
	owned bool
	d     delivery
}

// mostGroups bounds what a target may say of its groups.
const mostGroups = 1 << 20

// streamPart compares what stands behind the entries of a stream.
func (c *rangeCompare) streamPart(el *element.Element) (differs string, err error) {
	s := &c.stream
	switch el.Kind {
	case element.Stream:
		return c.streamInfo(el.Info)
	case element.Group:
		if differs, err = c.groupEnd(); err != nil || differs != "" {
			return differs, err
		}
		info, ok := s.groups[string(el.Key)]
		if !ok {
			return fmt.Sprintf("group %q is missing", short(el.Key)), nil
		}
		delete(s.groups, string(el.Key))
		s.group, s.grouped, s.info, s.pending = append(s.group[:0], el.Key...), true, info, 0
		if info.last != el.ID.String() {
			return fmt.Sprintf("group %q was delivered up to %s, up to %v in the dump", short(el.Key), info.last, el.ID), nil
		}
	case element.Pending:
		s.pending++
		return c.askPending(pendingAsked{id: el.ID, d: delivery{el.Time, el.Count}})
	case element.Consumer:
		if differs, err = c.flushPending(); err != nil || differs != "" {
			return differs, err
		}
		s.consumer = append(s.consumer[:0], el.Key...)
	case element.Owned:
		return c.askPending(pendingAsked{id: el.ID, owned: true})
	}
	return "", nil
}

// streamEnd completes the comparison of a stream.
func (c *rangeCompare) streamEnd() (differs string, err error) {
	if differs, err = c.groupEnd(); err != nil || differs != "" {
		return differs, err
	}
	for name := range c.stream.groups {
		return fmt.Sprintf("group %q is not in the dump", short([]byte(name))), nil
	}
	return "", nil
}

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
	return "", nil
}

// streamInfo compares the last id and learns of the groups.
func (c *rangeCompare) streamInfo(info element.StreamInfo) (differs string, err error) {
	c.word("XINFO")
	c.word("STREAM")
	c.bytes(c.key)
	rep, err := c.ask()
	if err != nil {
		return "", err
	}
	err = c.pairs(rep.size/2, func(name string, rep reply) {
		if name == "last-generated-id" && string(rep.text) != info.LastID.String() {
			differs = fmt.Sprintf("its last id is %s, %v in the dump", rep.text, info.LastID)
		}
	})
	if err != nil || differs != "" {
		return differs, err
	}
	c.word("XINFO")
	c.word("GROUPS")
	c.bytes(c.key)
	if rep, err = c.ask(); err != nil {
		return "", err
	}
	if rep.size > mostGroups {
		return "", fmt.Errorf("%w: %d groups", errProtocol, rep.size)
	}
	c.stream.groups = make(map[string]groupInfo)
	for range rep.size {
		one, err := c.next()
		if err != nil {
			return "", err
		}
		var name string
		var g groupInfo
		long := int64(0)
		err = c.pairs(one.size/2, func(field string, rep reply) {
			switch field {
			case "name":
				name, long = string(rep.text), rep.long
			case "pending":
				g.pending, _ = parseInt(rep.text)
			case "last-delivered-id":
				g.last = string(rep.text)
			}
		})
		if err != nil {
			return "", err
		}
		if long > 0 { // than that of any group that the dump can have
			return fmt.Sprintf("a group whose name has %d bytes is not in the dump", long), nil
		}
		c.stream.groups[name] = g
	}
	return "", nil
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

// flushPending asks the target about pending entries.
func (c *rangeCompare) flushPending() (differs string, err error) {
	s := &c.stream
	if len(s.asked) == 0 {
		return "", nil
	}
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
	if err := c.send(); err != nil {
		return "", err
	}
	for _, p := range s.asked {
		d, err := c.pendingAnswer(p)
		if err != nil {
			return "", err
		}
		if differs == "" {
			differs = d
		}
	}
	s.asked = s.asked[:0]
	return differs, nil
}

// pendingAnswer reads the answer about one pending entry: its id, its consumer,
// for how long it waits, and how often it was delivered.
func (c *rangeCompare) pendingAnswer(p pendingAsked) (differs string, err error) {
	s := &c.stream
	rep, err := c.next()
	if err != nil {
		return "", err
	}
	if rep.size == 0 {
		if p.owned {
			return fmt.Sprintf("consumer %q of group %q does not hold entry %v", short(s.consumer), short(s.group), p.id), nil
		}
		return fmt.Sprintf("group %q does not wait for entry %v", short(s.group), p.id), nil
	}
	if err := c.array(4); err != nil {
		return "", err
	}
	var idle, count int64
	for i := range 4 {
		if rep, err = c.next(); err != nil {
			return "", err
		}
		switch i {
		case 2:
			idle, _ = parseInt(rep.text)
		case 3:
			count, _ = parseInt(rep.text)
		}
	}
	if p.owned {
		return "", nil
	}
	late := c.clock() - idle - p.d.time
	switch {
	case uint64(count) != p.d.count:
		return fmt.Sprintf("entry %v was delivered %s in group %q, %s in the dump", p.id, counted(count, "time"), short(s.group), counted(int64(p.d.count), "time")), nil
	case p.d.time > 0 && p.d.time <= c.now && (late > ttlTolerance || late < -ttlTolerance):
		return fmt.Sprintf("entry %v was delivered at another time in group %q", p.id, short(s.group)), nil
	}
	return "", nil
}
