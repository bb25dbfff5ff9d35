package pipeline

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// errDiffers ends the reading of a value that differs.
var errDiffers = errors.New("it differs")

// text compares a string in parts.
func (c *rangeCompare) text(r *element.Reader, el *element.Element, have int64) (differs string, err error) {
	c.count = max(el.Long, int64(len(el.Value)))
	if c.count != have {
		return fmt.Sprintf("it has %s, %d in the dump", counted(have, "byte"), c.count), nil
	}
	at := int64(0)
	check := func(p []byte) error {
		for len(p) > 0 {
			step := min(len(p), askText)
			c.begin("GETRANGE", c.key)
			c.int(at)
			c.int(at + int64(step) - 1)
			rep, err := c.ask()
			if err != nil {
				return err
			}
			c.idle()
			if !rep.is(p[:step]) {
				differs = fmt.Sprintf("it differs within %s from offset %d", counted(step, "byte"), at)
				return errDiffers
			}
			at += int64(step)
			p = p[step:]
		}
		return nil
	}
	if el.Long == 0 {
		err = check(el.Value)
	} else {
		err = c.partsOf(r, check)
	}
	if errors.Is(err, errDiffers) {
		err = nil
	}
	return differs, err
}

// partsOf gives the parts of an element and tells errors of the dump from those
// of f.
func (c *rangeCompare) partsOf(r *element.Reader, f func(p []byte) error) error {
	return fromSource(r.Parts, f)
}

// long compares an element whose value is not held.
func (c *rangeCompare) long(r *element.Reader, el *element.Element) (differs string, err error) {
	what := fmt.Sprintf("item %d", c.count)
	if el.Kind == element.Field {
		what = fmt.Sprintf("field %q", short(el.Key))
		c.begin("HGET", c.key)
		c.bytes(el.Key)
	} else {
		c.begin("LINDEX", c.key)
		c.int(c.count)
	}
	c.count++
	n, none, err := c.askLong()
	switch {
	case err != nil:
		return "", err
	case none:
		if err := c.partsOf(r, passOver); err != nil { // the expiry may stand behind it
			return "", err
		}
		if c.hasFaded(el.ExpireAt) {
			c.faded++
			return "", nil
		}
		return what + " is missing", nil
	case n != el.Long:
		differs = what + " has another value"
	}
	err = c.partsOf(r, func(p []byte) error {
		for len(p) > 0 && differs == "" {
			have, err := c.replies.take(len(p))
			if err != nil {
				return err
			}
			n -= int64(len(have))
			if !bytes.Equal(have, p[:len(have)]) {
				differs = what + " has another value"
			}
			p = p[len(have):]
		}
		return nil
	})
	if err != nil || differs != "" {
		return differs, err // the connection is not used again
	}
	if err := c.replies.done(); err != nil || el.Kind != element.Field {
		return "", err
	}
	return c.longExpiry(el)
}

// longExpiry compares the expiry of a field whose value is not held.
func (c *rangeCompare) longExpiry(el *element.Element) (differs string, err error) {
	if c.hasFaded(el.ExpireAt) {
		c.faded++
	}
	if !c.commands.fieldExpiry {
		return c.noFieldExpiry(el.Key, el.ExpireAt), nil
	}
	c.begin("HPEXPIRETIME", c.key)
	c.word("FIELDS")
	c.int(1)
	c.bytes(el.Key)
	c.end(0)
	if err := c.send(); err != nil {
		return "", err
	}
	if err := c.array(1); err != nil {
		return "", err
	}
	rep, err := c.next()
	if err != nil {
		return "", err
	}
	return fieldExpiryDiffers(el.Key, rep, el.ExpireAt), nil
}
