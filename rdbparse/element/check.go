package element

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A Checker opens values to their ends, and looks for two faults more than a Reader
// does: names that stand twice in a value, and pending entries of a stream that its
// groups and consumers do not agree about. A server up to Redis 6.0 exits on these, at
// once or when it changes the encoding of the value. A newer one refuses them.
//
// The zero value works. A Checker belongs to one goroutine, and allocates nothing once
// its buffers have grown: to 16 bytes for each member or field of a value, and each
// pending entry of a group.
type Checker struct {
	r     Reader
	names []ID // of a collection, or the groups of a stream

	consumers, pending, owned []ID // of a group of a stream
	group                     bool // one has begun
}

// maxNamesKept is the most names for which a Checker keeps its room.
const maxNamesKept = maxScratch / 16

// Check returns what is wrong with v, an *Error, or ErrEmpty if that is a collection of
// no elements. Of a type that cannot be opened it says nothing.
func (c *Checker) Check(v Value) error {
	if !CanOpen(v.Type) {
		return nil
	}
	for _, list := range []*[]ID{&c.names, &c.consumers, &c.pending, &c.owned} {
		if *list = (*list)[:0]; cap(*list) > maxNamesKept {
			*list = nil
		}
	}
	c.group = false
	c.r.Reset(v)
	empty := true
	for c.r.Next() {
		empty = false
		c.note(c.r.Element())
	}
	c.endGroup()
	c.differ(c.names, twice[v.Type.Kind])
	if c.r.err == nil && empty {
		return ErrEmpty
	}
	return c.r.err
}

// EmptyNode tells of the value that was checked last that it is a list of nodes, and
// one of these has no items.
func (c *Checker) EmptyNode() bool { return c.r.hollow }

// twice says what stands twice in a value of the kind.
var twice = map[rdbparse.Kind]string{
	rdbparse.KindSet: "two of its members are the same", rdbparse.KindZSet: "two of its members are the same",
	rdbparse.KindHash: "two of its fields have the same name", rdbparse.KindStream: "two of its groups have the same name",
}

// note looks at one element.
func (c *Checker) note(el *Element) {
	switch el.Kind {
	case Member, Scored, Field:
		c.names = append(c.names, nameID(el.Key))
	case Group:
		c.endGroup()
		c.names, c.group = append(c.names, nameID(el.Key)), true
	case Pending:
		c.pending = append(c.pending, el.ID)
	case Consumer:
		c.consumers = append(c.consumers, nameID(el.Key))
	case Owned, Returned:
		c.owned = append(c.owned, el.ID)
	}
}

// endGroup looks at the group that was read: each of its pending entries has to be
// pending once, with one consumer.
func (c *Checker) endGroup() {
	if !c.group || c.r.err != nil {
		return
	}
	c.differ(c.consumers, "two consumers of a group have the same name")
	c.differ(c.pending, "an entry is pending twice in a group")
	c.differ(c.owned, "an entry is pending twice with the consumers of a group")
	if c.r.err == nil && !slices.Equal(c.pending, c.owned) {
		c.r.damaged("what is pending in a group is not what is pending with its consumers")
	}
	c.consumers, c.pending, c.owned, c.group = c.consumers[:0], c.pending[:0], c.owned[:0], false
}

// differ sorts a list, and calls the value damaged if two of it are the same.
func (c *Checker) differ(list []ID, otherwise string) {
	if c.r.err != nil {
		return
	}
	slices.SortFunc(list, func(a, b ID) int { return cmp.Or(cmp.Compare(a.Ms, b.Ms), cmp.Compare(a.Seq, b.Seq)) })
	for i := 1; i < len(list); i++ {
		if list[i] == list[i-1] {
			c.r.fail(fmt.Errorf("%w: %s", ErrDamaged, otherwise))
			return
		}
	}
}

// nameID stands for a name: 128 bits of hash, so that no two names ever have the same.
func nameID(name []byte) ID {
	return ID{maphash.Bytes(nameSeeds[0], name), maphash.Bytes(nameSeeds[1], name)}
}

var nameSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
