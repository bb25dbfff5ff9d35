package dataset

import (
	"encoding/binary"
	"math"
)

// Member is a member of a sorted set.
type Member struct {
	Name  []byte
	Score float64
}

// AppendStrings appends a count and so many strings: the value of a list (type 1) or a set (type 2).
func AppendStrings(dst []byte, elems [][]byte) []byte {
	dst = AppendLen(dst, uint64(len(elems)))
	for _, e := range elems {
		dst = AppendString(dst, e)
	}
	return dst
}

// AppendHash appends the value of a plain hash (type 4) from pairs: field, value, field, value ...
func AppendHash(dst []byte, pairs [][]byte) []byte {
	dst = AppendLen(dst, uint64(len(pairs)/2))
	for _, p := range pairs {
		dst = AppendString(dst, p)
	}
	return dst
}

// AppendZset appends the value of a sorted set with scores in ASCII (type 3).
func AppendZset(dst []byte, members []Member) []byte {
	dst = AppendLen(dst, uint64(len(members)))
	for _, m := range members {
		dst = AppendString(dst, m.Name)
		dst = appendOldDouble(dst, m.Score)
	}
	return dst
}

// appendOldDouble appends the double of RDB versions 1 to 7: a length byte and ASCII, or one of three lengths that stand for a value.
func appendOldDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, 253)
	case math.IsInf(f, 1):
		return append(dst, 254)
	case math.IsInf(f, -1):
		return append(dst, 255)
	}
	at := len(dst)
	dst = appendScore(append(dst, 0), f)
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// AppendZset2 appends the value of a sorted set with scores in binary (type 5).
func AppendZset2(dst []byte, members []Member) []byte {
	dst = AppendLen(dst, uint64(len(members)))
	for _, m := range members {
		dst = appendMember(dst, m.Name, m.Score)
	}
	return dst
}

func appendMember(dst, name []byte, score float64) []byte {
	return binary.LittleEndian.AppendUint64(AppendString(dst, name), math.Float64bits(score))
}

// ZsetElems lists names and scores in turn, as the packed forms (types 12 and 17) hold them. members must be sorted by score, then name.
func ZsetElems(members []Member) [][]byte {
	elems := make([][]byte, 0, 2*len(members))
	for _, m := range members {
		elems = append(elems, m.Name, appendScore(nil, m.Score))
	}
	return elems
}

// AppendQuicklist appends the value of a list of ziplist nodes (type 14); each node is a ziplist.
func AppendQuicklist(dst []byte, nodes [][]byte) []byte {
	dst = AppendLen(dst, uint64(len(nodes)))
	for _, n := range nodes {
		dst = AppendRawString(dst, n)
	}
	return dst
}

// Node is a node of a list (type 18): a listpack, or one plain element.
type Node struct {
	Plain bool
	Data  []byte
}

// AppendQuicklist2 appends the value of a list of plain and listpack nodes (type 18).
func AppendQuicklist2(dst []byte, nodes []Node) []byte {
	dst = AppendLen(dst, uint64(len(nodes)))
	for _, n := range nodes {
		container := byte(2)
		if n.Plain {
			container = 1
		}
		dst = AppendRawString(append(dst, container), n.Data)
	}
	return dst
}

// Field is a field of a hash whose fields may expire. ExpireMs is an absolute Unix time in milliseconds, 0 for none.
type Field struct {
	Name, Value []byte
	ExpireMs    int64
}

// AppendHashMetadata appends the value of a hash with field expiry as Redis 7.4 and later writes it (type 24).
func AppendHashMetadata(dst []byte, fields []Field) []byte {
	earliest := earliestExpiry(fields)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(earliest))
	dst = AppendLen(dst, uint64(len(fields)))
	for _, f := range fields {
		ttl := uint64(0)
		if f.ExpireMs != 0 {
			ttl = uint64(f.ExpireMs-earliest) + 1
		}
		dst = AppendLen(dst, ttl)
		dst = AppendString(dst, f.Name)
		dst = AppendString(dst, f.Value)
	}
	return dst
}

// AppendHashListpackEx appends the value of a small hash with field expiry (type 25): a listpack of field, value, expiry. fields must be sorted by
// expiry with those that have none last, which is the order Redis keeps them in.
func AppendHashListpackEx(dst []byte, fields []Field) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(earliestExpiry(fields)))
	lp := beginListpack(nil)
	for _, f := range fields {
		lp = appendListpackString(lp, f.Name)
		lp = appendListpackString(lp, f.Value)
		lp = appendListpackInt(lp, f.ExpireMs)
	}
	return AppendRawString(dst, endListpack(lp, 0, 3*len(fields)))
}

// AppendHash2Valkey appends the value of a hash with field expiry as Valkey 9 writes it (type 22 of VALKEY files).
func AppendHash2Valkey(dst []byte, fields []Field) []byte {
	dst = AppendLen(dst, uint64(len(fields)))
	for _, f := range fields {
		dst = AppendString(dst, f.Name)
		dst = AppendString(dst, f.Value)
		at := f.ExpireMs
		if at == 0 {
			at = -1
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(at))
	}
	return dst
}

// earliestExpiry is the smallest expiry time, 0 if no field has one.
func earliestExpiry(fields []Field) int64 {
	earliest := int64(0)
	for _, f := range fields {
		if f.ExpireMs != 0 && (earliest == 0 || f.ExpireMs < earliest) {
			earliest = f.ExpireMs
		}
	}
	return earliest
}
