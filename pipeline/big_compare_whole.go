package pipeline

import (
	"bytes"
	"errors"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// wholeShare is how many times what is held of a part may be held of a value that
// can only be compared whole.
const wholeShare = 4

// whole compares a value that cannot be read in parts with the reply to DUMP: in
// meaning if both can be held, else byte by byte.
func (c *rangeCompare) whole() (differs string, err error) {
	most := int64(wholeShare * c.held)
	if c.holdMore != nil {
		if err := c.holdMore(); err != nil {
			return "", err
		}
	}
	raw, err := c.v.Measure(most)
	if err != nil && !errors.Is(err, rdbparse.ErrTooLong) {
		return "", &sourceError{err}
	}
	held := err == nil
	c.begin("DUMP", c.key)
	n, none, err := c.askLong()
	switch {
	case err != nil:
		return "", err
	case none:
		return "", errGone
	case held && n <= most:
		return c.wholeHeld(raw, n)
	}
	return c.wholeStreamed(n)
}

// wholeHeld compares a value of raw bytes with a reply of n, both in memory.
func (c *rangeCompare) wholeHeld(raw, n int64) (differs string, err error) {
	have := make([]byte, 0, n)
	for int64(len(have)) < n {
		p, err := c.replies.take(int(n) - len(have))
		if err != nil {
			return "", err
		}
		have = append(have, p...)
	}
	if err := c.replies.done(); err != nil {
		return "", err
	}
	want := make([]byte, 0, raw+int64(len(c.e.Meta))+1+rdbparse.FooterSize)
	err = fromSource(c.payload, func(p []byte) error {
		want = append(want, p...)
		return nil
	})
	if err != nil {
		return "", err
	}
	if sameValue(want[:len(want)-rdbparse.FooterSize], have) {
		return "", nil
	}
	v, err := element.ParsePayload(want)
	if err != nil {
		return err.Error(), nil
	}
	v.Fields = c.e.Fields
	return differenceInMeaning(v, have, c.now, c.commands), nil
}

// wholeStreamed compares a value with a reply of n bytes, of which neither is
// held: one that the target encodes in another way differs.
func (c *rangeCompare) wholeStreamed(n int64) (differs string, err error) {
	left := n - rdbparse.FooterSize
	err = fromSource(c.payload, func(p []byte) error {
		if left == 0 && len(p) == rdbparse.FooterSize {
			return nil // the version and the checksum of another server may differ
		}
		for len(p) > 0 {
			if left <= 0 {
				return errDiffers
			}
			have, err := c.replies.take(int(min(left, int64(len(p)))))
			if err != nil {
				return err
			}
			left -= int64(len(have))
			if !bytes.Equal(have, p[:len(have)]) {
				return errDiffers
			}
			p = p[len(have):]
		}
		return nil
	})
	if errors.Is(err, errDiffers) || err == nil && left != 0 {
		return "it has another value, or the same in another encoding", nil
	}
	for rest := rdbparse.FooterSize; err == nil && rest > 0; {
		var p []byte
		p, err = c.replies.take(rest)
		rest -= len(p)
	}
	if err == nil {
		err = c.replies.done()
	}
	return "", err
}

// payload copies the dump's payload of the value.
func (c *rangeCompare) payload(sink func(p []byte) error) error {
	return rdbparse.CopyPayload(c.e, c.v.Copy, sink)
}
