package dataset

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
)

// AppendRandom appends a random value of type t with n elements (fields, members, entries; at least one). Elements are chosen to be awkward:
// empty, binary, integers and lengths at the edges of each encoding, strings that compress. Sizes suit a test: n elements are some 50 n bytes
// on average, single strings up to 20 KB. Values are valid: members and fields are distinct and packed forms in order, so every server that knows
// t takes them, deep checks included. A string's n is ignored.
func AppendRandom(dst []byte, r *Rand, t Type, n int) []byte {
	n = max(n, 1)
	switch t {
	case TypeString:
		return appendAnyString(dst, r, randomElem(r))
	case TypeList:
		return appendAnyStrings(dst, r, uint64(n), randomElems(r, n))
	case TypeSet:
		return appendAnyStrings(dst, r, uint64(n), distinctElems(r, n))
	case TypeHash:
		return appendAnyStrings(dst, r, uint64(n), randomPairs(r, n))
	case TypeZset:
		return AppendZset(dst, RandomMembers(r, n))
	case TypeZset2:
		return AppendZset2(dst, RandomMembers(r, n))
	case TypeListQuicklist, TypeListQuicklist2:
		return appendRandomList(dst, r, t, n)
	case TypeStream, TypeStream2, TypeStream3:
		return AppendStream(dst, t, RandomStream(r, n))
	case TypeHashMetadata:
		return AppendHashMetadata(dst, RandomFields(r, n))
	case TypeHashListpackEx:
		return AppendHashListpackEx(dst, RandomFields(r, n))
	case TypeHash2Valkey:
		return AppendHash2Valkey(dst, RandomFields(r, n))
	default:
		return appendAnyString(dst, r, randomBlob(r, t, n))
	}
}

// randomBlob makes the blob of a type that is a single string in the file.
func randomBlob(r *Rand, t Type, n int) []byte {
	switch t {
	case TypeHashZipmap:
		return AppendZipmap(nil, randomPairs(r, n))
	case TypeListZiplist:
		return AppendZiplist(nil, randomElems(r, n))
	case TypeSetIntset:
		return AppendIntset(nil, randomInts(r, n))
	case TypeZsetZiplist:
		return AppendZiplist(nil, ZsetElems(RandomMembers(r, n)))
	case TypeHashZiplist:
		return AppendZiplist(nil, randomPairs(r, n))
	case TypeHashListpack:
		return AppendListpack(nil, randomPairs(r, n))
	case TypeZsetListpack:
		return AppendListpack(nil, ZsetElems(RandomMembers(r, n)))
	case TypeSetListpack:
		return AppendListpack(nil, distinctElems(r, n))
	default:
		panic("dataset: no random values of type " + strconv.Itoa(int(t)))
	}
}

// appendAnyString appends s in one of the forms an RDB string may have.
func appendAnyString(dst []byte, r *Rand, s []byte) []byte {
	switch r.Intn(6) {
	case 0:
		return AppendLZFString(dst, s)
	case 1:
		return append(AppendLen32(dst, uint32(len(s))), s...)
	case 2:
		return AppendRawString(dst, s)
	default:
		return AppendString(dst, s)
	}
}

func appendAnyStrings(dst []byte, r *Rand, count uint64, elems [][]byte) []byte {
	dst = AppendLen(dst, count)
	for _, e := range elems {
		dst = appendAnyString(dst, r, e)
	}
	return dst
}

// appendRandomList appends a list in nodes of up to seven elements, in the newer form some of them plain.
func appendRandomList(dst []byte, r *Rand, t Type, n int) []byte {
	var nodes []Node
	for n > 0 {
		size := min(n, r.Between(1, 7))
		n -= size
		elems := randomElems(r, size)
		switch {
		case t == TypeListQuicklist:
			nodes = append(nodes, Node{Data: AppendZiplist(nil, elems)})
		case size == 1 && len(elems[0]) > 0:
			nodes = append(nodes, Node{Plain: true, Data: elems[0]})
		default:
			nodes = append(nodes, Node{Data: AppendListpack(nil, elems)})
		}
	}
	dst = AppendLen(dst, uint64(len(nodes)))
	for _, node := range nodes {
		if t == TypeListQuicklist2 && node.Plain {
			dst = append(dst, 1)
		} else if t == TypeListQuicklist2 {
			dst = append(dst, 2)
		}
		dst = appendAnyString(dst, r, node.Data)
	}
	return dst
}

// edgeInts are integers at the edges of the integer forms of RDB strings, listpacks and ziplists.
var edgeInts = []int64{
	0, 1, 12, 13, -1, 127, 128, -128, -129, 4095, 4096, -4096, -4097, 32767, 32768, -32768, -32769, 1<<23 - 1, 1 << 23, -1 << 23, -1<<23 - 1,
	math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1, math.MaxInt64, math.MinInt64,
}

// edgeLens are lengths at the edges of the length forms of RDB strings, listpacks, ziplists and zipmaps.
var edgeLens = []int{0, 1, 20, 21, 62, 63, 64, 125, 126, 127, 252, 253, 254, 255}

// longLens are drawn less often, so that values stay small.
var longLens = []int{4095, 4096, 16383, 16384, 20000}

// notQuiteInts look like integers and must be kept as they are.
var notQuiteInts = []string{"007", "-0", "+1", " 1", "1 ", "0x10", "1e3", "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "--1", "-"}

func randomElem(r *Rand) []byte {
	switch k := r.Intn(100); {
	case k < 20:
		return strconv.AppendInt(nil, edgeInts[r.Intn(len(edgeInts))], 10)
	case k < 25:
		return []byte(notQuiteInts[r.Intn(len(notQuiteInts))])
	case k < 35:
		return strconv.AppendInt(nil, int64(r.Uint64())>>r.Intn(64), 10)
	case k < 45:
		b := make([]byte, edgeLens[r.Intn(len(edgeLens))])
		r.Fill(b)
		return b
	case k < 55:
		return bytes.Repeat([]byte("ab\x00\r\n"), r.Between(0, 40))
	case k < 56:
		return r.AppendText(nil, longLens[r.Intn(len(longLens))])
	default:
		return r.AppendText(nil, r.Between(1, 40))
	}
}

func randomElems(r *Rand, n int) [][]byte {
	elems := make([][]byte, n)
	for i := range elems {
		elems[i] = randomElem(r)
	}
	return elems
}

func distinctElems(r *Rand, n int) [][]byte {
	seen := make(map[string]bool, n)
	elems := make([][]byte, 0, n)
	for len(elems) < n {
		e := randomElem(r)
		if seen[string(e)] {
			e = r.AppendText(e, 8)
		}
		if !seen[string(e)] {
			seen[string(e)] = true
			elems = append(elems, e)
		}
	}
	return elems
}

func randomPairs(r *Rand, n int) [][]byte {
	pairs := make([][]byte, 0, 2*n)
	for _, f := range distinctElems(r, n) {
		pairs = append(pairs, f, randomElem(r))
	}
	return pairs
}

// randomInts returns n distinct integers, all in 16, 32 or 64 bits.
func randomInts(r *Rand, n int) []int64 {
	shift := []int{48, 32, 0}[r.Intn(3)]
	if n > 1<<12 {
		shift = 0
	}
	seen := make(map[int64]bool, n)
	ints := make([]int64, 0, n)
	for len(ints) < n {
		v := int64(r.Uint64()) >> shift
		if !seen[v] {
			seen[v] = true
			ints = append(ints, v)
		}
	}
	return ints
}

// edgeScores are the doubles that are easily lost on the way through text.
var edgeScores = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, -0.1, 1.0 / 3, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
	math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 1e15, 1e17, 1 << 53, 1<<53 + 2, 3.0e-5, 123456789.125,
}

// RandomMembers returns n distinct members in the order of a sorted set: by score, then by name.
func RandomMembers(r *Rand, n int) []Member {
	members := make([]Member, 0, n)
	for _, name := range distinctElems(r, n) {
		score := (r.Float64() - 0.5) * 1e6
		switch r.Intn(4) {
		case 0:
			score = edgeScores[r.Intn(len(edgeScores))]
		case 1:
			score = math.Trunc(score)
		}
		members = append(members, Member{Name: name, Score: score})
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), bytes.Compare(a.Name, b.Name))
	})
	return members
}

// RandomFields returns n distinct fields, half of them expiring in or after 2100, in the order of [AppendHashListpackEx]. At least one expires.
func RandomFields(r *Rand, n int) []Field {
	fields := make([]Field, 0, n)
	for i, name := range distinctElems(r, n) {
		f := Field{Name: name, Value: randomElem(r)}
		if i == 0 || r.Chance(50) {
			f.ExpireMs = FutureMs + int64(r.Intn(1<<40))
		}
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b Field) int {
		// As unsigned numbers, 0-1 makes "none" the greatest.
		return cmp.Compare(uint64(a.ExpireMs)-1, uint64(b.ExpireMs)-1)
	})
	return fields
}
