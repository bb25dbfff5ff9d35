package dataset

import (
	"fmt"
	"io"
)

// SmallKeys is the number of keys of the small set in the benchmarks.
const SmallKeys = 5_000_000

// Small writes strings of which key and value together are 40 bytes: the set in which only the cost of a key counts.
func Small(w io.Writer, keys int, seed uint64) (Stats, error) {
	const maxKeys = 1_000_000_000_000 // what the digits of a key hold
	if keys < 0 || keys > maxKeys {
		return Stats{}, fmt.Errorf("a set of %d keys", keys)
	}
	out := NewWriter(w, "REDIS0010")
	writeHeader(out, "7.0.15")
	out.SelectDB(0)
	out.ResizeDB(uint64(keys), 0)
	r := NewRand(seed)
	key, value := []byte("key:000000000000"), make([]byte, 0, 25)
	for range keys {
		value = r.AppendText(append(value[:0], 24), 24)
		out.Key(TypeString, key, value)
		increment(key)
	}
	err := out.Close()
	return out.Stats(), err
}

// increment adds one to the decimal number that key ends with. The number has room for it.
func increment(key []byte) {
	i := len(key) - 1
	for key[i] == '9' {
		key[i] = '0'
		i--
	}
	key[i]++
}

// Defaults of the set of big strings.
const (
	BigStringKeys = 600
	BigStringSize = 1 << 20
)

// BigStrings writes strings of BigStringSize random bytes: the set in which only the cost of a byte counts.
func BigStrings(w io.Writer, keys int, seed uint64) (Stats, error) {
	if keys < 0 {
		return Stats{}, fmt.Errorf("a set of %d keys", keys)
	}
	out := NewWriter(w, "REDIS0010")
	writeHeader(out, "7.0.15")
	out.SelectDB(0)
	out.ResizeDB(uint64(keys), 0)
	r := NewRand(seed)
	for i := range keys {
		out.Begin(TypeString, fmt.Appendf(nil, "image:%d", i))
		writeRandomString(out, r, BigStringSize)
	}
	err := out.Close()
	return out.Stats(), err
}

// writeRandomString writes an RDB string of n random bytes.
func writeRandomString(w *Writer, r *Rand, n uint64) {
	var piece [16 << 10]byte
	w.Write(AppendLen(piece[:0], n))
	for n > 0 {
		p := piece[:min(n, uint64(len(piece)))]
		r.Fill(p)
		w.Write(p)
		n -= uint64(len(p))
	}
}
