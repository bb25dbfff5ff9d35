package pipeline

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
)

// array reads the head of an array of n parts.
func (c *rangeCompare) array(n int) error {
	rep, err := c.next()
	if err == nil && (rep.kind != '*' || rep.size != int64(n)) {
		err = fmt.Errorf("%w: an array of %d in place of %d", errProtocol, rep.size, n)
	}
	return err
}

func (c *rangeCompare) list() (string, error) {
	from := c.count - int64(len(c.parts))
	c.begin("LRANGE", c.key)
	c.int(from)
	c.int(c.count - 1)
	rep, err := c.ask()
	if err != nil {
		return "", err
	}
	differs := ""
	if rep.size != int64(len(c.parts)) {
		differs = "the list is shorter than in the dump"
	}
	for i := range int(rep.size) {
		item, err := c.next()
		if err != nil {
			return "", err
		}
		if i >= len(c.parts) || differs != "" {
			continue
		}
		if _, want := c.part(i); !item.is(want) {
			differs = fmt.Sprintf("item %d is another", from+int64(i))
		}
	}
	return differs, nil
}

// members asks about each element by a command that takes one, or by one that
// takes many, and has each answer judged.
func (c *rangeCompare) members(one, all string, judge func(i int, rep reply) string) (differs string, err error) {
	if c.commands.manyAtOnce {
		c.begin(all, c.key)
	}
	for i := range c.parts {
		key, _ := c.part(i)
		if c.commands.manyAtOnce {
			c.bytes(key)
			continue
		}
		c.begin(one, c.key)
		c.bytes(key)
		c.end(0)
	}
	if c.commands.manyAtOnce {
		c.end(0)
	}
	if err := c.send(); err != nil {
		return "", err
	}
	if c.commands.manyAtOnce {
		if err := c.array(len(c.parts)); err != nil {
			return "", err
		}
	}
	return c.judgeEach(judge)
}

// judgeEach reads an answer for each part and has it judged. It returns the first
// difference.
func (c *rangeCompare) judgeEach(judge func(i int, rep reply) string) (differs string, err error) {
	for i := range c.parts {
		rep, err := c.next()
		if err != nil {
			return "", err
		}
		if d := judge(i, rep); differs == "" {
			differs = d
		}
	}
	return differs, nil
}

func (c *rangeCompare) isMember(i int, rep reply) string {
	if string(rep.text) != "1" {
		key, _ := c.part(i)
		return fmt.Sprintf("member %q is missing", short(key))
	}
	return ""
}

func (c *rangeCompare) hasScore(i int, rep reply) string {
	key, _ := c.part(i)
	if rep.null {
		return fmt.Sprintf("member %q is missing", short(key))
	}
	score, err := strconv.ParseFloat(string(rep.text), 64)
	if err != nil || score != c.parts[i].score {
		return fmt.Sprintf("member %q has the score %s, %s in the dump", short(key), rep.text, strconv.FormatFloat(c.parts[i].score, 'g', -1, 64))
	}
	return ""
}

// fields compares fields of a hash with their expiries.
func (c *rangeCompare) fields() (differs string, err error) {
	expiry := c.commands.fieldExpiry
	c.begin("HMGET", c.key)
	for i := range c.parts {
		key, _ := c.part(i)
		c.bytes(key)
	}
	c.end(0)
	if expiry {
		c.begin("HPEXPIRETIME", c.key)
		c.word("FIELDS")
		c.int(int64(len(c.parts)))
		for i := range c.parts {
			key, _ := c.part(i)
			c.bytes(key)
		}
		c.end(0)
	}
	if err := c.send(); err != nil {
		return "", err
	}
	if err := c.array(len(c.parts)); err != nil {
		return "", err
	}
	differs, err = c.judgeEach(c.field)
	if err != nil || !expiry {
		return differs, err
	}
	if err := c.array(len(c.parts)); err != nil {
		return "", err
	}
	later, err := c.judgeEach(func(i int, rep reply) string {
		key, _ := c.part(i)
		return fieldExpiryDiffers(key, rep, c.parts[i].expireAt)
	})
	return cmp.Or(differs, later), err
}

// fieldExpiryDiffers judges one part of the answer to HPEXPIRETIME.
func fieldExpiryDiffers(key []byte, rep reply, want int64) string {
	at, _ := parseInt(rep.text)
	if at == -2 || max(at, 0) == want { // -2: it has gone, which is judged elsewhere
		return ""
	}
	return fmt.Sprintf("field %q has another expiry", short(key))
}

// noFieldExpiry judges a field of a target that does not know what it is.
func (c *rangeCompare) noFieldExpiry(key []byte, want int64) string {
	if want == 0 || c.dropped || c.commands.fieldExpiry {
		return ""
	}
	return fmt.Sprintf("field %q has no expiry", short(key))
}

// field judges the value of a field.
func (c *rangeCompare) field(i int, rep reply) string {
	key, want := c.part(i)
	at := c.parts[i].expireAt
	if c.hasFaded(at) {
		c.faded++
		if rep.null {
			return ""
		}
	}
	switch {
	case rep.null:
		return fmt.Sprintf("field %q is missing", short(key))
	case !rep.is(want):
		return fmt.Sprintf("field %q has another value", short(key))
	}
	return c.noFieldExpiry(key, at)
}

// entries compares entries of a stream.
func (c *rangeCompare) entries() (differs string, err error) {
	c.begin("XRANGE", c.key)
	c.id(c.parts[0].id)
	c.word("+")
	c.word("COUNT")
	c.int(int64(len(c.parts)))
	rep, err := c.ask()
	if err != nil {
		return "", err
	}
	if rep.size != int64(len(c.parts)) {
		differs = "entries are missing"
	}
	for i := range int(rep.size) {
		if err := c.array(2); err != nil {
			return "", err
		}
		id, err := c.next()
		if err != nil {
			return "", err
		}
		same := i < len(c.parts) && c.parts[i].id.String() == string(id.text)
		pairs, err := c.next()
		if err != nil {
			return "", err
		}
		var want []byte // what is still to come
		if i < len(c.parts) {
			_, want = c.part(i)
		}
		equal := true
		for range pairs.size {
			p, err := c.next()
			if err != nil {
				return "", err
			}
			if equal = equal && p.long == 0; equal {
				want, equal = cutText(want, p.text)
			}
		}
		if differs != "" || i >= len(c.parts) {
			continue
		}
		switch {
		case !same:
			differs = fmt.Sprintf("entry %v is missing", c.parts[i].id)
		case !equal || len(want) > 0:
			differs = fmt.Sprintf("entry %v is another", c.parts[i].id)
		}
	}
	return differs, nil
}

// cutText cuts a text with its length before it, as an entry's part has it, from the
// beginning of want.
func cutText(want, text []byte) (rest []byte, ok bool) {
	var b [20]byte
	rest, sized := bytes.CutPrefix(want, append(strconv.AppendInt(b[:0], int64(len(text)), 10), ':'))
	rest, same := bytes.CutPrefix(rest, text)
	return rest, sized && same
}

// short is as much of a name as a message shows.
func short(key []byte) []byte { return key[:min(len(key), mostKey)] }
