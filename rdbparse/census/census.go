// Package census counts what dumps hold: keys by type, database, expiry, size,
// slot and prefix, the biggest keys, and what stands beside the keys. It reads
// the dump once, as fast as it can be framed: counting a key allocates nothing.
package census

import (
	"bytes"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// Slots is the number of slots that Options.Slot can return.
const Slots = 16384

const (
	msPerDay = 24 * 60 * 60 * 1000

	// every is after how many keys Options.Every is called.
	every = 1024

	// typeNumbers is above every rdbparse.Type: a byte and a dialect.
	typeNumbers = 4 << 8

	// mostNames bounds the tables of names that a dump could make long: of
	// libraries, modules and AUX fields.
	mostNames = 1000
)

// Options say what is counted. The zero value counts what costs next to nothing.
type Options struct {
	Now      int64 // that expiries are judged by, ms since the epoch
	Top      int   // how many of the biggest keys are kept
	Prefixes int   // how many prefixes are held at least; 0 does not group

	// Slot returns the slot of a key, below Slots; nil does not count by slot.
	Slot func(key []byte) uint16

	// Estimate returns the bytes of memory that a key will take in a server, and
	// whether it can tell; nil does not estimate. It is not asked about expired keys.
	Estimate func(*rdbparse.Entry) (bytes int64, ok bool)

	// Each is called for every key in the dump's order; nil is nobody. Its error
	// ends the reading.
	Each func(*Key) error

	// Every is called from time to time with the number of keys read since the
	// last time. Its error ends the reading.
	Every func(keys int64) error
}

// A Key is what is told of one key. It is valid during the call of Options.Each.
type Key struct {
	*rdbparse.Entry       // without Value if Big
	Bytes           int64 // of its record in the dump
	Slot            int   // -1 without Options.Slot
	Memory          int64 // -1 without an estimate
}

// Expiry counts the keys by the time at which they expire.
type Expiry struct {
	Expired Count // already
	Day     Count // within 24 hours
	Later   Count
	None    Count // never
}

// A Census is what was counted, of one dump or of several read one after another.
type Census struct {
	Total  Count
	Expiry Expiry
	Sizes  Histogram // of the records, in bytes

	Scripts   int64             // of EVAL's cache
	Libraries map[string]int64  // of functions, by name; a cluster's nodes have the same ones
	Modules   map[string]*Count // values of modules, by the name of their type; "" if it was not seen
	ModuleAux map[string]int64  // what modules keep beside the keys, by the name of their type

	// Estimate: memory as Options.Estimate tells it.
	Memory    int64
	Estimated Count

	opts   Options
	source int // of the current Read
	types  [typeNumbers]Count
	closed [typeNumbers]Count // those that could not be estimated
	slots  []Count            // nil without Options.Slot
	room   []int64            // estimated memory by slot
	dbs    map[uint32]Count
	db     uint32 // of the last key
	more   bool   // addMore is to be called for all keys
	groups bool   // group is to be called for all keys
	enough int64  // a key of no more bytes is none of the biggest
	plain  int64  // one of no more bytes needs no more than counting by type and size
	top    topList
	prefix *prefixTable
	reader *element.Reader
	key    Key
	stated int64 // elements of a value that is not held, as it says
}

// New returns a Census of nothing.
func New(opts Options) *Census {
	c := &Census{
		opts: opts, source: -1, enough: -1, plain: -1,
		more: opts.Estimate != nil || opts.Each != nil, groups: opts.Slot != nil || opts.Prefixes > 0,
		dbs: map[uint32]Count{}, reader: &element.Reader{}, top: topList{n: opts.Top},
		Libraries: map[string]int64{}, Modules: map[string]*Count{}, ModuleAux: map[string]int64{},
	}
	if opts.Slot != nil {
		c.slots, c.room = make([]Count, Slots), make([]int64, Slots)
	}
	if opts.Prefixes > 0 {
		c.prefix = newPrefixTable(opts.Prefixes)
	}
	return c
}

// A Dump is what one dump says of itself.
type Dump struct {
	Version  int  // RDB version, 0 if not even the magic could be read
	Valkey   bool // the magic is VALKEY
	Aux      []Aux
	Checksum rdbparse.Checksum
	Count          // of its keys
	Offset   int64 // how much of it was read
}

// Aux is a named piece of information about a dump.
type Aux struct{ Name, Value string }

// AuxValue returns the value of an AUX field, "" if there is none.
func (d *Dump) AuxValue(name string) string {
	for _, a := range d.Aux {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// Read counts what a Scanner reads, to its end or to the first error: that of the
// Scanner, of Each or of Every. What was counted before an error stays counted.
func (c *Census) Read(sc *rdbparse.Scanner) (Dump, error) {
	c.source++
	d := Dump{}
	before := c.Total
	err := c.scan(sc, &d)
	d.Version, d.Valkey = sc.Version()
	d.Checksum, d.Offset = sc.Checksum(), sc.Offset()
	c.settle()
	d.Count = minus(c.Total, before)
	return d, err
}

func (c *Census) scan(sc *rdbparse.Scanner, d *Dump) error {
	for n := int64(1); sc.Next(); n++ {
		e := sc.Entry()
		switch {
		case e.Record != rdbparse.RecordKey:
			c.note(e, d)
		case e.Big:
			v := sc.BigValue()
			c.stated = statedBy(e, v)
			if v.Skip() != nil {
				return sc.Err()
			}
			if err := c.add(e, sc.Offset()-e.Offset); err != nil {
				return err
			}
		default:
			size := sc.Offset() - e.Offset
			if size <= c.plain && !e.Expires && e.DB == c.db && e.Type.Kind != rdbparse.KindModule {
				// Most keys: what add would do, without the call.
				c.types[e.Type.Type%typeNumbers].add(size)
				c.Sizes.buckets[bucketOf(size)]++
				if c.groups {
					c.group(e.Key, size)
				}
			} else if err := c.add(e, size); err != nil {
				return err
			}
		}
		if n%every == 0 && c.opts.Every != nil {
			if err := c.opts.Every(every); err != nil {
				return err
			}
		}
	}
	return sc.Err()
}

// add counts a key whose record has so many bytes. What can be derived from other
// counts later is not kept.
func (c *Census) add(e *rdbparse.Entry, size int64) error {
	if e.DB != c.db {
		c.settle()
		c.db = e.DB
	}
	c.types[e.Type.Type%typeNumbers].add(size)
	c.Sizes.buckets[bucketOf(size)]++
	if size > c.enough {
		c.addTop(e, size)
	}
	if e.Expires {
		c.addExpiry(e, size)
	}
	slot := -1
	if c.groups {
		slot = c.group(e.Key, size)
	}
	if c.more || e.Type.Kind == rdbparse.KindModule {
		return c.addMore(e, size, slot)
	}
	return nil
}

// group counts a key by slot and prefix, and returns the slot, -1 if it is of no
// interest.
func (c *Census) group(key []byte, size int64) int {
	slot := -1
	if c.slots != nil {
		slot = int(c.opts.Slot(key) % Slots)
		c.slots[slot].add(size)
	}
	if c.prefix != nil {
		c.prefix.add(key, size)
	}
	return slot
}

// addTop counts a key that may be one of the biggest.
func (c *Census) addTop(e *rdbparse.Entry, size int64) {
	c.Sizes.max = max(c.Sizes.max, size)
	if c.top.wants(size) {
		c.top.put(BigKey{e.Key, e.DB, e.Type, size, c.elements(e), c.source})
	}
	switch {
	case c.top.n == 0:
		c.enough = c.Sizes.max
	case len(c.top.list) == c.top.n:
		c.enough = c.top.list[0].Bytes
	}
	if !c.more {
		c.plain = c.enough
	}
}

func (c *Census) addExpiry(e *rdbparse.Entry, size int64) {
	switch {
	case e.ExpireAt <= c.opts.Now:
		c.Expiry.Expired.add(size)
	case e.ExpireAt-c.opts.Now <= msPerDay:
		c.Expiry.Day.add(size)
	default:
		c.Expiry.Later.add(size)
	}
}

// settle derives the totals, and gives what was counted since the last call to the
// database that it is of.
func (c *Census) settle() {
	before := c.Total
	c.Total = Count{}
	for i := range c.types {
		c.Total.Keys += c.types[i].Keys
		c.Total.Bytes += c.types[i].Bytes
	}
	x := &c.Expiry
	x.None = minus(minus(minus(c.Total, x.Expired), x.Day), x.Later)
	if n := minus(c.Total, before); n.Keys > 0 {
		sum := c.dbs[c.db]
		c.dbs[c.db] = Count{sum.Keys + n.Keys, sum.Bytes + n.Bytes}
	}
}

// addMore counts what not every census is asked for.
func (c *Census) addMore(e *rdbparse.Entry, size int64, slot int) error {
	if e.Type.Kind == rdbparse.KindModule {
		c.addModule(e, size)
	}
	memory := int64(-1)
	if c.opts.Estimate != nil && !(e.Expires && e.ExpireAt <= c.opts.Now) {
		memory = c.estimate(e, size, slot)
	}
	if c.opts.Each == nil {
		return nil
	}
	c.key = Key{e, size, slot, memory}
	return c.opts.Each(&c.key)
}

func (c *Census) estimate(e *rdbparse.Entry, size int64, slot int) int64 {
	n, ok := int64(0), false
	if !e.Big {
		n, ok = c.opts.Estimate(e)
	}
	if !ok {
		c.closed[e.Type.Type%typeNumbers].add(size)
		return -1
	}
	c.Memory += n
	c.Estimated.add(size)
	if slot >= 0 {
		c.room[slot] += n
	}
	return n
}

func (c *Census) addModule(e *rdbparse.Entry, size int64) {
	name := ""
	if e.Value != nil && e.Type.Type == rdbparse.TypeModule2 {
		name = rdbparse.ModuleName(e.Value)
	}
	m := c.Modules[name]
	if m == nil {
		if len(c.Modules) >= mostNames {
			return
		}
		m = &Count{}
		c.Modules[name] = m
	}
	m.add(size)
}

// note counts a record that is no key.
func (c *Census) note(e *rdbparse.Entry, d *Dump) {
	switch e.Record {
	case rdbparse.RecordAux:
		if string(e.Key) == "lua" {
			c.Scripts++
		} else if len(d.Aux) < mostNames {
			d.Aux = append(d.Aux, Aux{string(e.Key[:min(len(e.Key), mostKeyBytes)]), string(e.Value[:min(len(e.Value), mostKeyBytes)])})
		}
	case rdbparse.RecordFunction:
		count(c.Libraries, libraryName(e.Value))
	case rdbparse.RecordModuleAux:
		count(c.ModuleAux, string(e.Key))
	}
}

// count counts a name in a table that does not grow for ever.
func count(table map[string]int64, name string) {
	if _, ok := table[name]; ok || len(table) < mostNames {
		table[name]++
	}
}

// libraryName returns the name in the first line of a library's code: "#!lua
// name=mylib".
func libraryName(code []byte) string {
	line, _, _ := bytes.Cut(code, []byte("\n"))
	for word := range bytes.FieldsSeq(line) {
		if name, ok := bytes.CutPrefix(word, []byte("name=")); ok {
			return string(name[:min(len(name), mostKeyBytes)])
		}
	}
	return ""
}
