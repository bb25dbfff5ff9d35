package pipeline

import (
	"bytes"
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
	word := cardOf[kind]
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
		return fmt.Sprintf("it has %d elements, %d in the dump", have, c.count), nil
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
		case el.Kind == element.Stream, el.Kind == element.Group, el.Kind == element.Pending, el.Kind == element.Consumer, el.Kind == element.Owned:
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
		if _, want := c.part(i); !bytes.Equal(want, item.text) {
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
	for i := range c.parts {
		rep, err := c.next()
		if err != nil {
			return "", err
		}
		if differs == "" {
			differs = judge(i, rep)
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
	for i := range c.parts {
		rep, err := c.next()
		if err != nil {
			return "", err
		}
		if d := c.field(i, rep); differs == "" {
			differs = d
		}
	}
	if !expiry {
		return differs, nil
	}
	if err := c.array(len(c.parts)); err != nil {
		return "", err
	}
	for i := range c.parts {
		rep, err := c.next()
		if err != nil {
			return "", err
		}
		if key, _ := c.part(i); differs == "" {
			differs = fieldExpiryDiffers(key, rep, c.parts[i].expireAt)
		}
	}
	return differs, nil
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
	case !bytes.Equal(rep.text, want):
		return fmt.Sprintf("field %q has another value", short(key))
	}
	return c.noFieldExpiry(key, at)
}

// short is as much of a name as a message shows.
func short(key []byte) []byte { return key[:min(len(key), mostKey)] }

// text compares a string in parts.
func (c *rangeCompare) text(r *element.Reader, el *element.Element, have int64) (differs string, err error) {
	c.count = max(el.Long, int64(len(el.Value)))
	if c.count != have {
		return fmt.Sprintf("it has %d bytes, %d in the dump", have, c.count), nil
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
			if !bytes.Equal(rep.text, p[:step]) {
				differs = fmt.Sprintf("it differs within %d bytes from offset %d", step, at)
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

// errDiffers ends the reading of a value that differs.
var errDiffers = errors.New("it differs")

// partsOf gives the parts of an element and tells errors of the dump from those
// of f.
func (c *rangeCompare) partsOf(r *element.Reader, f func(p []byte) error) error {
	var failed error
	err := r.Parts(func(p []byte) error {
		failed = f(p)
		return failed
	})
	if err != nil && failed == nil {
		return &sourceError{err}
	}
	return err
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
	c.end(0)
	if err := c.send(); err != nil {
		return "", err
	}
	rep, n, err := c.replies.head()
	switch {
	case err != nil:
		return "", err
	case rep.kind == '-':
		return "", &replyError{c.addr, string(rep.text)}
	case rep.null:
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

// wholeShare is how many times what is held of a part may be held of a value that
// can only be compared whole.
const wholeShare = 4

// whole compares a value that cannot be read in parts with the reply to DUMP: in
// meaning if both can be held, else byte by byte.
func (c *rangeCompare) whole() (differs string, err error) {
	most := int64(wholeShare * c.held)
	raw, err := c.v.Measure(most)
	if err != nil && !errors.Is(err, rdbparse.ErrTooLong) {
		return "", &sourceError{err}
	}
	held := err == nil
	c.begin("DUMP", c.key)
	c.end(0)
	if err := c.send(); err != nil {
		return "", err
	}
	rep, n, err := c.replies.head()
	switch {
	case err != nil:
		return "", err
	case rep.kind == '-':
		return "", &replyError{c.addr, string(rep.text)}
	case rep.null:
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
	err = rdbparse.CopyPayload(c.e, c.v, func(p []byte) error {
		want = append(want, p...)
		return nil
	})
	if err != nil {
		return "", &sourceError{err}
	}
	if sameValue(want[:len(want)-rdbparse.FooterSize], have) {
		return "", nil
	}
	v, err := element.ParsePayload(want)
	if err != nil {
		return err.Error(), nil
	}
	v.Fields = c.e.Fields
	return differenceInMeaning(v, have, c.now), nil
}

// wholeStreamed compares a value with a reply of n bytes, of which neither is
// held: one that the target encodes in another way differs.
func (c *rangeCompare) wholeStreamed(n int64) (differs string, err error) {
	left := n - rdbparse.FooterSize
	err = rdbparse.CopyPayload(c.e, c.v, func(p []byte) error {
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
	var text []byte
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
		text = text[:0]
		for range int(pairs.size) {
			p, err := c.next()
			if err != nil {
				return "", err
			}
			text = strconv.AppendInt(text, int64(len(p.text)), 10)
			text = append(append(text, ':'), p.text...)
		}
		if differs != "" || i >= len(c.parts) {
			continue
		}
		_, want := c.part(i)
		switch {
		case !same:
			differs = fmt.Sprintf("entry %v is missing", c.parts[i].id)
		case !bytes.Equal(text, want):
			differs = fmt.Sprintf("entry %v is another", c.parts[i].id)
		}
	}
	return differs, nil
}
