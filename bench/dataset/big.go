package dataset

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// BigCollections writes keys of each of five types, so 5*keys in all: sorted sets, hashes, sets, lists and streams of so many elements each.
func BigCollections(w io.Writer, keys, elements int, seed uint64) (Stats, error) {
	if keys < 0 || elements < 1 || elements > math.MaxUint32 {
		return Stats{}, fmt.Errorf("a set of %d keys of %d elements", keys, elements)
	}
	out := NewWriter(w, "REDIS0010")
	writeHeader(out, "7.0.15")
	out.SelectDB(0)
	out.ResizeDB(5*uint64(keys), 0)
	b := bigWriter{Writer: out, r: NewRand(seed)}
	n := uint64(elements)
	for i := range keys {
		b.zset(fmt.Appendf(nil, "big:zset:%d", i), n)
		b.hash(fmt.Appendf(nil, "big:hash:%d", i), n)
		b.set(fmt.Appendf(nil, "big:set:%d", i), n)
		b.list(fmt.Appendf(nil, "big:list:%d", i), n)
		b.stream(fmt.Appendf(nil, "big:stream:%d", i), n)
	}
	err := out.Close()
	return out.Stats(), err
}

// HugeSizes says how huge the three values of [Huge] are; zero leaves one out.
type HugeSizes struct {
	ZsetMembers uint64
	HashFields  uint64
	StringBytes uint64
}

// DefaultHuge makes a dump of 6 GB.
var DefaultHuge = HugeSizes{ZsetMembers: 100_000_000, HashFields: 20_000_000, StringBytes: 500_000_000}

// Huge writes one sorted set (type 5), one hash (type 4) and one string, each of any size, with a small key before, between and behind them.
func Huge(w io.Writer, sizes HugeSizes, seed uint64) (Stats, error) {
	out := NewWriter(w, "REDIS0010")
	writeHeader(out, "7.0.15")
	out.SelectDB(0)
	b := bigWriter{Writer: out, r: NewRand(seed)}
	small := func(key string) { out.Key(TypeString, []byte(key), []byte{5, 's', 'm', 'a', 'l', 'l'}) }
	small("huge:before")
	if sizes.ZsetMembers > 0 {
		b.zset([]byte("huge:zset"), sizes.ZsetMembers)
	}
	small("huge:between")
	if sizes.HashFields > 0 {
		b.hash([]byte("huge:hash"), sizes.HashFields)
	}
	if sizes.StringBytes > 0 {
		out.Begin(TypeString, []byte("huge:string"))
		writeRandomString(out, b.r, sizes.StringBytes)
	}
	small("huge:behind")
	err := out.Close()
	return out.Stats(), err
}

// bigWriter writes values of any number of elements in constant memory. Each kind of element is a template in which a number counts up, which
// keeps elements distinct, and random bytes are replaced: no formatting, so that making the set does not slow down what it is piped into.
type bigWriter struct {
	*Writer
	r   *Rand
	tmp []byte
}

// zset is written from the highest score down, as servers do; members are 31 bytes and their scores have fractions.
func (b *bigWriter) zset(key []byte, n uint64) {
	b.Begin(TypeZset2, key)
	b.Write(AppendLen(b.tmp[:0], n))
	record := append([]byte("\x1fplayer:000000000000:"), make([]byte, 11+8)...)
	counter, letters, score := record[8:20], record[21:32], record[32:40]
	for i := n; i > 0; i-- {
		b.r.AppendText(letters[:0], len(letters))
		binary.LittleEndian.PutUint64(score, math.Float64bits(float64(i)+0.25))
		b.Write(record)
		increment(counter)
	}
}

// hash has fields of 24 bytes and values of 48.
func (b *bigWriter) hash(key []byte, n uint64) {
	b.Begin(TypeHash, key)
	b.Write(AppendLen(b.tmp[:0], n))
	record := append([]byte("\x18session:000000000000:end0"), make([]byte, 48)...)
	record[25] = 48
	counter, value := record[9:21], record[26:74]
	for range n {
		b.r.AppendText(value[:0], len(value))
		b.Write(record)
		increment(counter)
	}
}

// set has members of 32 bytes.
func (b *bigWriter) set(key []byte, n uint64) {
	b.Begin(TypeSet, key)
	b.Write(AppendLen(b.tmp[:0], n))
	record := append([]byte("\x20member:000000000000:"), make([]byte, 12)...)
	counter, letters := record[8:20], record[21:33]
	for range n {
		b.r.AppendText(letters[:0], len(letters))
		b.Write(record)
		increment(counter)
	}
}

// list has elements of 40 bytes, in nodes just below the 8 KB that a server keeps them to.
func (b *bigWriter) list(key []byte, n uint64) {
	const perNode = 190
	b.Begin(TypeListQuicklist2, key)
	b.Write(AppendLen(b.tmp[:0], (n+perNode-1)/perNode))
	var node, elem []byte
	for n > 0 {
		elems := min(n, perNode)
		node = beginListpack(node[:0])
		for range elems {
			elem = b.r.AppendText(elem[:0], 40)
			node = appendListpackString(node, elem)
		}
		node = endListpack(node, 0, int(elems))
		b.tmp = AppendRawString(append(b.tmp[:0], 2), node)
		b.Write(b.tmp)
		n -= elems
	}
}

// stream has entries of two fields, 100 in a node as in a server, and one group that has read half of them and has 1000 pending.
func (b *bigWriter) stream(key []byte, n uint64) {
	const perNode, start = 100, 1_700_000_000_000
	b.Begin(TypeStream2, key)
	b.Write(AppendLen(b.tmp[:0], (n+perNode-1)/perNode))
	entries := make([]StreamEntry, perNode)
	values, lp := make([]byte, 0, perNode*24), []byte(nil)
	event, payload := []byte("event"), []byte("payload")
	for done := uint64(0); done < n; {
		node := entries[:min(n-done, perNode)]
		values = values[:0]
		for i := range node {
			values = b.r.AppendText(values, 24)
			at := len(values)
			node[i].ID = StreamID{Ms: start + done + uint64(i)}
			node[i].Fields = append(node[i].Fields[:0], event, values[at-24:at-16], payload, values[at-16:at])
		}
		lp, _ = appendStreamListpack(lp[:0], node)
		b.tmp = appendStreamNode(b.tmp[:0], node[0].ID, lp)
		b.Write(b.tmp)
		done += uint64(len(node))
	}
	last := StreamID{Ms: start + n - 1}
	s := &Stream{Length: n, LastID: last, FirstID: StreamID{Ms: start}, EntriesAdded: n, Groups: []Group{bigGroup(start, n/2)}}
	b.Write(appendStreamTail(nil, TypeStream2, s))
}

func bigGroup(start, read uint64) Group {
	g := Group{Name: "readers", EntriesRead: read}
	if read == 0 {
		return g
	}
	g.LastID = StreamID{Ms: start + read - 1}
	c := Consumer{Name: "reader-1", SeenMs: int64(start)}
	for i := range min(read, 1000) {
		id := StreamID{Ms: start + i}
		g.Pending = append(g.Pending, Pending{ID: id, DeliveredMs: int64(start), Count: 1})
		c.Pending = append(c.Pending, id)
	}
	g.Consumers = []Consumer{c}
	return g
}
