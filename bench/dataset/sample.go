package dataset

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Sample writes a small dump, of some 300 keys in database 0, that holds one of everything that servers of a flavor can read: every value type in
// several sizes; every form of a string as key and as value; binary, empty and long keys; hash tags; expiry times past and future; idle
// times and access counts; function libraries and a script; streams with groups and pending entries.
//
// The keys counted in Stats.Expired are not in a server that has loaded the dump.
func Sample(w io.Writer, f Flavor) (Stats, error) {
	s := sample{Writer: NewWriter(w, f.Magic), r: NewRand(2024), flavor: f}
	writeHeader(s.Writer, "7.0.0")
	s.Aux("lua", "return ARGV[1]")
	if f.Functions {
		s.Function("#!lua name=samplelib\nredis.register_function('sample_echo', function(keys, args) return args[1] end)\n")
		s.Function("#!lua name=samplelib2\nredis.register_function{function_name='sample_get', " +
			"callback=function(keys, args) return redis.call('GET', keys[1]) end, flags={'no-writes'}}\n")
	}
	s.SelectDB(0)
	s.ResizeDB(300, 60)
	s.strings()
	s.keys()
	s.expiries()
	s.eviction()
	s.everyType()
	s.zipmaps()
	s.lists()
	s.streams()
	s.large()
	err := s.Close()
	return s.Stats(), err
}

type sample struct {
	*Writer
	r      *Rand
	flavor Flavor
}

func (s *sample) reads(t Type) bool { return slices.Contains(s.flavor.Types, t) }

// add writes a key that is given as text.
func (s *sample) add(t Type, key string, value []byte) { s.Key(t, []byte(key), value) }

// strings holds each form of a string as a value.
func (s *sample) strings() {
	for _, v := range edgeInts {
		text := strconv.FormatInt(v, 10)
		s.add(TypeString, "int:"+text, AppendString(nil, text))
		s.add(TypeString, "int-as-text:"+text, AppendRawString(nil, text))
	}
	for _, v := range notQuiteInts {
		s.add(TypeString, "no-int:"+v, AppendString(nil, v))
	}
	for _, n := range edgeLens {
		s.add(TypeString, "length:"+strconv.Itoa(n), AppendRawString(nil, s.r.AppendText(nil, n)))
	}
	for _, n := range []int{3, 8, 33, 264, 265, 5000, 100_000} {
		repeating := bytes.Repeat([]byte("rdb-import "), n/11+1)[:n]
		s.add(TypeString, "lzf:"+strconv.Itoa(n), AppendLZFString(nil, repeating))
		noise := make([]byte, n)
		s.r.Fill(noise)
		s.add(TypeString, "lzf-of-noise:"+strconv.Itoa(n), AppendLZFString(nil, noise))
	}
	s.add(TypeString, "length-in-32-bits", append(AppendLen32(nil, 5), "short"...))
	s.add(TypeString, "length-in-64-bits", append(AppendLen64(nil, 5), "short"...))
	s.add(TypeString, "crlf", AppendRawString(nil, "+OK\r\n$-1\r\n\x00\xff"))
}

// keys holds each form of a key, and keys whose slot is easily got wrong.
func (s *sample) keys() {
	for _, key := range []string{
		"", "{", "}", "{}", "{user1000}.following", "{user1000}.followers", "{}foo", "foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}", "{foo", "foo}{bar}",
		"a\x00b", "\r\n", "\xff\xfe", "*3\r\n$3\r\nSET", "clé", "with space", "{\x00\xff}binary tag",
	} {
		s.add(TypeString, key, AppendRawString(nil, "value of "+strconv.Quote(key)))
	}
	for _, v := range []int32{0, 7, -1, 127, -128, 128, -129, 32767, -32768, 32768, math.MaxInt32, math.MinInt32} {
		s.add(TypeString, strconv.Itoa(int(v)), AppendRawString(nil, "the key is an integer"))
	}
	tagged := append(bytes.Repeat([]byte("long "), 20), "{tag}"...)
	s.KeyEncoded(TypeString, AppendLZFString(nil, tagged), AppendRawString(nil, "the key is compressed"))
	s.KeyEncoded(TypeString, AppendLZFString(nil, bytes.Repeat([]byte("0123456789"), 2000)), AppendRawString(nil, "the key is compressed and long"))
	s.KeyEncoded(TypeHash, append(AppendLen32(nil, 13), "wide length 1"...), AppendHash(nil, [][]byte{[]byte("field"), []byte("value")}))
	s.add(TypeString, string(s.r.AppendText(nil, 20_000)), AppendRawString(nil, "the key is long"))
}

func (s *sample) expiries() {
	for i := range 10 {
		value := AppendRawString(nil, "expiring")
		s.ExpireMs(FutureMs + int64(i))
		s.add(TypeString, fmt.Sprintf("expires-in-2100:%d", i), value)
		s.ExpireMs(PastMs - int64(i))
		s.add(TypeString, fmt.Sprintf("expired-in-2001:%d", i), value)
	}
	s.ExpireSec(math.MaxInt32)
	s.add(TypeString, "expires-in-2038", AppendRawString(nil, "seconds"))
	s.ExpireSec(1)
	s.add(TypeString, "expired-in-1970", AppendRawString(nil, "seconds"))
}

// eviction holds idle times and access counts. A server writes only the one that fits its policy.
func (s *sample) eviction() {
	for _, seconds := range []uint64{0, 63, 64, 16383, 16384, 31_536_000} {
		s.Idle(seconds)
		s.add(TypeString, fmt.Sprintf("idle:%d", seconds), AppendRawString(nil, "idle"))
		s.ExpireMs(FutureMs)
		s.Idle(seconds)
		s.add(TypeString, fmt.Sprintf("idle-and-expiring:%d", seconds), AppendRawString(nil, "idle"))
	}
	for _, count := range []byte{0, 5, 255} {
		s.Freq(count)
		s.add(TypeString, fmt.Sprintf("freq:%d", count), AppendRawString(nil, "used"))
	}
}

// everyType holds each value type in several sizes, some with an expiry. Nothing of this is cut down to what a server would choose itself: a hash
// of 200 fields is packed if its type is, and the server converts it.
func (s *sample) everyType() {
	for _, t := range s.flavor.Types {
		for _, n := range []int{1, 2, 7, 30, 200} {
			if t == TypeString || t == TypeHashZipmap || t == TypeListQuicklist2 {
				continue // in strings, zipmaps and lists
			}
			if n == 7 {
				s.ExpireMs(FutureMs)
			}
			s.add(t, fmt.Sprintf("type:%d:{%d}", t, n), AppendRandom(nil, s.r, t, n))
		}
	}
}

// zipmaps holds hashes of Redis 2.4 within the bounds that its servers kept them to. Longer values and more fields are valid too, AppendRandom makes
// them, but github.com/hdt3213/rdb, a decoder that is widely used to look into dumps, stops at values of 253 bytes and more.
func (s *sample) zipmaps() {
	for _, n := range []int{1, 2, 7, 30, 200} {
		pairs := randomPairs(s.r, n)
		for i, p := range pairs {
			pairs[i] = p[:min(len(p), 64)]
		}
		for i := 0; i < len(pairs); i += 2 { // cut short, they might be the same
			pairs[i] = append(strconv.AppendInt(nil, int64(i), 10), pairs[i]...)
		}
		s.add(TypeHashZipmap, fmt.Sprintf("type:9:{%d}", n), AppendRawString(nil, AppendZipmap(nil, pairs)))
	}
}

// lists holds lists of the newest type. Those with a packed node behind a plain one, which any server may write, are left out for the
// same reason: that decoder stops at them. AppendRandom makes them.
func (s *sample) lists() {
	if !s.reads(TypeListQuicklist2) {
		return
	}
	for _, n := range []int{1, 2, 7, 30, 200} {
		var nodes []Node
		for left := n; left > 0; left -= 20 {
			nodes = append(nodes, Node{Data: AppendListpack(nil, randomElems(s.r, min(left, 20)))})
		}
		s.add(TypeListQuicklist2, fmt.Sprintf("type:18:{%d}", n), AppendQuicklist2(nil, nodes))
	}
	plain := Node{Plain: true, Data: s.r.AppendText(nil, 9000)}
	s.add(TypeListQuicklist2, "list:plain", AppendQuicklist2(nil, []Node{plain, plain}))
	packed := Node{Data: AppendListpack(nil, randomElems(s.r, 10))}
	s.add(TypeListQuicklist2, "list:packed-then-plain", AppendQuicklist2(nil, []Node{packed, packed, plain}))
}

// streams holds those that chance does not make: an empty one, one with all entries of its first node deleted, one with everything pending.
func (s *sample) streams() {
	for _, t := range []Type{TypeStream, TypeStream2, TypeStream3} {
		if !s.reads(t) {
			continue
		}
		empty := &Stream{LastID: StreamID{Ms: 1_700_000_000_000, Seq: 7}, MaxDeletedID: StreamID{Ms: 1_700_000_000_000, Seq: 7}, EntriesAdded: 3}
		empty.Groups = []Group{{Name: "nobody", EntriesRead: ^uint64(0)}}
		s.add(t, fmt.Sprintf("stream:%d:empty", t), AppendStream(nil, t, empty))

		entries := make([]StreamEntry, 20)
		for i := range entries {
			entries[i] = StreamEntry{
				ID:      StreamID{Ms: 1_700_000_000_000 + uint64(i/4), Seq: uint64(i)},
				Fields:  [][]byte{[]byte("sensor"), []byte("a1"), []byte("value"), strconv.AppendInt(nil, int64(i*i), 10)},
				Deleted: i < 10,
			}
		}
		s.add(t, fmt.Sprintf("stream:%d:node-deleted", t), AppendStream(nil, t, NewStream(entries, 10)))

		pending := NewStream(entries, 10)
		g := Group{Name: "all", LastID: entries[19].ID, EntriesRead: 20}
		g.Consumers = []Consumer{{Name: "", SeenMs: 1}, {Name: "42", SeenMs: 1_700_000_000_000, ActiveMs: 1_700_000_000_000}}
		for i, e := range entries {
			g.Pending = append(g.Pending, Pending{ID: e.ID, DeliveredMs: 1_700_000_000_000 + int64(i), Count: uint64(1 + i*100)})
			g.Consumers[i%2].Pending = append(g.Consumers[i%2].Pending, e.ID)
		}
		pending.Groups = []Group{g}
		s.add(t, fmt.Sprintf("stream:%d:all-pending", t), AppendStream(nil, t, pending))
	}
}

// large holds values of some hundred kilobytes.
func (s *sample) large() {
	noise := make([]byte, 300_000)
	s.r.Fill(noise)
	s.add(TypeString, "large:string", AppendRawString(nil, noise))
	s.add(TypeHash, "large:hash", AppendRandom(nil, s.r, TypeHash, 3000))
	s.add(TypeZset2, "large:zset", AppendRandom(nil, s.r, TypeZset2, 3000))
	s.add(TypeSet, "large:set", AppendRandom(nil, s.r, TypeSet, 3000))
	s.add(TypeListQuicklist, "large:list", AppendRandom(nil, s.r, TypeListQuicklist, 3000))
}
