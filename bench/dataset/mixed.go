package dataset

import (
	"fmt"
	"io"
	"strconv"
)

// MixedKeys is the number of keys of the mixed set in the benchmarks, which makes some 280 MB.
const MixedKeys = 1_000_000

// Mixed writes the set that stands for an ordinary application: of keys 55 % strings, 20 % hashes, 8 % sorted sets, 7 % lists, 7 % sets and 3 %
// streams, 30 % with an expiry in or after 2100, in the encodings of Redis 7.0 (RDB version 10). Sizes are spread as they are in caches
// and session stores: most values small, a few long, some compressed, one collection in a hundred or so too large for its packed form.
func Mixed(w io.Writer, keys int, seed uint64) (Stats, error) {
	if keys < 0 {
		return Stats{}, fmt.Errorf("a set of %d keys", keys)
	}
	m := mixed{w: NewWriter(w, "REDIS0010"), Rand: NewRand(seed)}
	writeHeader(m.w, "7.0.15")
	m.w.SelectDB(0)
	m.w.ResizeDB(uint64(keys), uint64(keys)*3/10)
	for i := range keys {
		m.writeKey(i)
	}
	err := m.w.Close()
	return m.w.Stats(), err
}

// writeHeader writes the auxiliary fields that a server begins a dump with.
func writeHeader(w *Writer, version string) {
	name := "redis-ver"
	if w.version >= 80 {
		name = "valkey-ver"
	}
	w.Aux(name, version)
	w.Aux("redis-bits", "64")
	w.Aux("ctime", "1700000000")
	w.Aux("used-mem", "1048576")
	w.Aux("aof-base", "0")
}

// mixed holds the buffers that are used again for each key, so that writing a set allocates next to nothing.
type mixed struct {
	*Rand
	w     *Writer
	lzf   Compressor
	key   []byte
	value []byte
	arena []byte
	elems [][]byte
	blob  []byte
}

func (m *mixed) writeKey(i int) {
	if m.Chance(30) {
		m.w.ExpireMs(FutureMs + int64(m.Intn(1<<36)))
	}
	m.arena, m.elems, m.value = m.arena[:0], m.elems[:0], m.value[:0]
	switch k := m.Intn(100); {
	case k < 55:
		m.string(i)
	case k < 75:
		m.hash(i)
	case k < 83:
		m.zset(i)
	case k < 90:
		m.list(i)
	case k < 97:
		m.set(i)
	default:
		m.stream(i)
	}
}

// keyOf forms prefix + number + suffix. The number makes the key unique and is scrambled, as hash tables leave no order in a dump.
func (m *mixed) keyOf(prefix string, i int, suffix string) []byte {
	const odd = 0x9e3779b1 // odd, so that multiplying is a permutation of the 32-bit numbers
	m.key = append(m.key[:0], prefix...)
	m.key = strconv.AppendUint(m.key, uint64(uint32(i)*odd), 10)
	m.key = append(m.key, suffix...)
	return m.key
}

// text adds an element of n random letters.
func (m *mixed) text(n int) {
	at := len(m.arena)
	m.arena = m.AppendText(m.arena, n)
	m.elems = append(m.elems, m.arena[at:len(m.arena):len(m.arena)])
}

// number adds an element that is an integer.
func (m *mixed) number(v int) {
	at := len(m.arena)
	m.arena = strconv.AppendInt(m.arena, int64(v), 10)
	m.elems = append(m.elems, m.arena[at:len(m.arena):len(m.arena)])
}

// name adds a constant element.
func (m *mixed) name(s string) {
	at := len(m.arena)
	m.arena = append(m.arena, s...)
	m.elems = append(m.elems, m.arena[at:len(m.arena):len(m.arena)])
}

// unique adds an element of a number no other element of this collection has, and n random letters.
func (m *mixed) unique(j, n int) {
	at := len(m.arena)
	m.arena = append(strconv.AppendInt(m.arena, int64(j), 10), ':')
	m.arena = m.AppendText(m.arena, n)
	m.elems = append(m.elems, m.arena[at:len(m.arena):len(m.arena)])
}

func (m *mixed) string(i int) {
	switch k := m.Intn(100); {
	case k < 15: // counters
		m.value = AppendIntString(m.value, int32(m.Uint64())>>m.Intn(24))
		m.w.Key(TypeString, m.keyOf("counter:", i, ":views"), m.value)
	case k < 55: // tokens
		m.text(m.Between(10, 100))
		m.w.Key(TypeString, m.keyOf("session:", i, ""), AppendRawString(m.value, m.elems[0]))
	case k < 80: // encrypted or already compressed
		m.text(m.Between(100, 400))
		m.w.Key(TypeString, m.keyOf("{tenant:", i, "}:blob"), AppendRawString(m.value, m.elems[0]))
	default: // documents
		m.arena = m.appendDocument(m.arena, m.Between(150, 900))
		m.w.Key(TypeString, m.keyOf("cache:page:", i, ":v2"), m.lzf.AppendString(m.value, m.arena))
	}
}

var documentNames = []string{"id", "name", "email", "status", "created_at", "updated_at", "price", "currency", "description", "tags", "owner", "country"}

var documentWords = []string{"active", "pending", "EUR", "summer sale", "2024-05-01T10:00:00Z", "free shipping", "false", "null", "standard", "the quick brown fox"}

// appendDocument appends JSON of about n bytes, which LZF shrinks to about half.
func (m *mixed) appendDocument(dst []byte, n int) []byte {
	end := len(dst) + n
	dst = append(dst, '{')
	for len(dst) < end {
		dst = append(append(append(dst, '"'), documentNames[m.Intn(len(documentNames))]...), `":"`...)
		if m.Chance(60) {
			dst = append(dst, documentWords[m.Intn(len(documentWords))]...)
		} else {
			dst = m.AppendText(dst, m.Between(4, 24))
		}
		dst = append(dst, `",`...)
	}
	dst[len(dst)-1] = '}'
	return dst
}

var hashNames = []string{
	"id", "name", "email", "country", "city", "status", "plan", "logins", "last_seen", "created_at", "updated_at", "avatar",
	"locale",
}

func (m *mixed) hash(i int) {
	if m.Intn(200) == 0 { // too many fields for a listpack
		for j := range m.Between(129, 500) {
			m.unique(j, 6)
			m.text(m.Between(5, 60))
		}
		m.w.Key(TypeHash, m.keyOf("index:", i, ":by-name"), AppendHash(m.value, m.elems))
		return
	}
	n := m.Between(3, len(hashNames))
	for _, name := range hashNames[:n] {
		m.name(name)
		if m.Chance(30) {
			m.number(m.Intn(1 << 31))
		} else {
			m.text(m.Between(4, 40))
		}
	}
	m.packed(TypeHashListpack, m.keyOf("user:", i, ""))
}

// packed writes the elements as a listpack. A third of them go through the compressor, as all do in a server, which costs more than it is worth here.
func (m *mixed) packed(t Type, key []byte) {
	m.blob = AppendListpack(m.blob[:0], m.elems)
	if m.Chance(33) {
		m.value = m.lzf.AppendString(m.value, m.blob)
	} else {
		m.value = AppendRawString(m.value, m.blob)
	}
	m.w.Key(t, key, m.value)
}

func (m *mixed) zset(i int) {
	if m.Intn(100) == 0 { // too many members for a listpack
		n := m.Between(129, 600)
		m.value = AppendLen(m.value, uint64(n))
		for j := range n {
			m.arena = append(strconv.AppendInt(append(m.arena[:0], "player:"...), int64(j), 10), ':')
			m.arena = m.AppendText(m.arena, 10)
			// Servers write the highest score first, so that loading is quick.
			m.value = appendMember(m.value, m.arena, float64(n-j)*1000+m.Float64()*999)
		}
		m.w.Key(TypeZset2, m.keyOf("leaderboard:", i, ""), m.value)
		return
	}
	score := m.Intn(1000)
	for j := range m.Between(1, 30) {
		m.unique(j, m.Between(4, 16))
		m.number(score)
		score += m.Between(1, 5000)
	}
	m.packed(TypeZsetListpack, m.keyOf("recent:", i, ":items"))
}

func (m *mixed) list(i int) {
	n := m.Between(1, 24)
	if m.Intn(50) == 0 {
		n = m.Between(200, 800)
	}
	const perNode = 150 // some 6 KB, below the 8 KB a node holds by default
	m.value = AppendLen(m.value, uint64((n+perNode-1)/perNode))
	for n > 0 {
		m.arena, m.elems = m.arena[:0], m.elems[:0]
		for range min(n, perNode) {
			if m.Chance(20) {
				m.number(m.Intn(1 << 20))
			} else {
				m.text(m.Between(8, 55))
			}
		}
		n -= len(m.elems)
		m.blob = AppendListpack(m.blob[:0], m.elems)
		m.value = AppendRawString(append(m.value, 2), m.blob)
	}
	m.w.Key(TypeListQuicklist2, m.keyOf("queue:", i, ""), m.value)
}

func (m *mixed) set(i int) {
	if m.Chance(40) { // ids
		ints := make([]int64, 0, 512)
		at := int64(m.Intn(1 << 20))
		for range m.Between(1, 120) {
			at += int64(m.Between(1, 1000))
			ints = append(ints, at)
		}
		m.w.Key(TypeSetIntset, m.keyOf("group:", i, ":members"), AppendRawString(m.value, AppendIntset(m.blob[:0], ints)))
		return
	}
	n := m.Between(1, 25)
	if m.Intn(60) == 0 {
		n = m.Between(200, 600)
	}
	for j := range n {
		m.unique(j, m.Between(4, 20))
	}
	m.w.Key(TypeSet, m.keyOf("tags:", i, ""), AppendStrings(m.value, m.elems))
}

func (m *mixed) stream(i int) {
	entries := make([]StreamEntry, m.Between(1, 25))
	ms := uint64(1_700_000_000_000 + m.Intn(1<<32))
	for j := range entries {
		at := len(m.elems)
		m.name("event")
		m.text(m.Between(4, 12))
		m.name("amount")
		m.number(m.Intn(100_000))
		if m.Chance(10) {
			m.name("trace")
			m.text(16)
		}
		entries[j] = StreamEntry{ID: StreamID{Ms: ms, Seq: 0}, Fields: m.elems[at:len(m.elems):len(m.elems)], Deleted: j > 0 && m.Chance(3)}
		ms += uint64(m.Between(1, 60_000))
	}
	s := NewStream(entries, 100)
	if m.Chance(30) {
		s.Groups = append(s.Groups, m.group(entries))
	}
	m.w.Key(TypeStream2, m.keyOf("events:", i, ""), AppendStream(m.value, TypeStream2, s))
}

// group has read half of the entries; its one consumer has acknowledged all but the last three.
func (m *mixed) group(entries []StreamEntry) Group {
	read := (len(entries) + 1) / 2
	g := Group{Name: "workers", LastID: entries[read-1].ID, EntriesRead: uint64(read)}
	c := Consumer{Name: "worker-1", SeenMs: 1_700_000_000_000}
	for _, e := range entries[max(0, read-3):read] {
		g.Pending = append(g.Pending, Pending{ID: e.ID, DeliveredMs: 1_700_000_000_000, Count: 1})
		c.Pending = append(c.Pending, e.ID)
	}
	g.Consumers = append(g.Consumers, c)
	return g
}
