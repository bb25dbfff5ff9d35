package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rdbimport/rdbimport/bench/dataset"
)

// writeDump writes a dump:
//
//	dump sample FILE [FLAVOR]     one of everything
//	dump mixed FILE KEYS          ordinary keys
//	dump keys FILE [DB:]KEY=VALUE... strings, in the databases given; KEY is
//	                              unquoted, so that it may hold \xff
//	dump range FILE FROM TO [VALUE] keys key:FROM to key:TO, strings
//	dump twodbs FILE N            N strings in database 0 and one in database 3
//	dump damaged FILE             20 strings, and in their middle a hash with a damaged listpack
//	dump empty FILE               a list without items
//	dump module FILE              a string, and a value of a module
//	dump huge FILE N              a sorted set of N members, a hash of N fields, a string of 40*N bytes, and small keys between
//	dump magic FILE MAGIC         an empty dump that begins so
//	dump nosum FILE               a dump without checksum
//	dump aof FILE                 an AOF with an RDB preamble and two commands behind it
//	dump beside FILE N            N strings behind a script and an expiry of KeyDB that no server takes
func writeDump(ts *testscript.TestScript, _ bool, args []string) {
	kind, name, rest := args[0], ts.MkAbs(args[1]), args[2:]
	var b bytes.Buffer
	var err error
	switch kind {
	case "sample":
		flavor := defaultServer
		if len(rest) > 0 {
			flavor = rest[0]
		}
		f, ferr := dataset.FlavorByName(flavor)
		ts.Check(ferr)
		_, err = dataset.Sample(&b, f)
	case "mixed":
		_, err = dataset.Mixed(&b, number(ts, rest[0]), 7)
	case "range":
		value := "value"
		if len(rest) > 2 {
			value = rest[2]
		}
		var keys []string
		for i := number(ts, rest[0]); i <= number(ts, rest[1]); i++ {
			keys = append(keys, fmt.Sprintf("key:%d=%s", i, value))
		}
		err = writeStrings(&b, keys)
	case "twodbs":
		w := dataset.NewWriter(&b, "REDIS0009")
		w.SelectDB(0)
		for i := range number(ts, rest[0]) {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, "value"))
		}
		w.SelectDB(3)
		w.Key(dataset.TypeString, []byte("last"), dataset.AppendString(nil, "value"))
		err = w.Close()
	case "damaged":
		err = writeDamaged(&b)
	case "empty":
		w := dataset.NewWriter(&b, "REDIS0009")
		w.Key(dataset.TypeList, []byte("l"), []byte{0})
		err = w.Close()
	case "module":
		w := dataset.NewWriter(&b, "REDIS0009")
		w.Key(dataset.TypeString, []byte("k"), dataset.AppendString(nil, "v"))
		w.Key(typeModule2, []byte("m"), moduleValue())
		err = w.Close()
	case "huge":
		n := uint64(number(ts, rest[0]))
		_, err = dataset.Huge(&b, dataset.HugeSizes{ZsetMembers: n, HashFields: n, StringBytes: 40 * n}, 3)
	case "keys":
		err = writeKeys(&b, rest)
	case "magic":
		err = dataset.NewWriter(&b, rest[0]).Close()
	case "nosum":
		w := dataset.NewWriter(&b, "REDIS0009")
		w.NoChecksum = true
		w.Key(dataset.TypeString, []byte("k"), dataset.AppendString(nil, "v"))
		err = w.Close()
	case "aof":
		w := dataset.NewWriter(&b, "REDIS0010")
		w.Aux("aof-base", "1")
		w.Key(dataset.TypeString, []byte("a"), dataset.AppendString(nil, "1"))
		w.Key(dataset.TypeString, []byte("b"), dataset.AppendString(nil, "2"))
		err = w.Close()
		b.WriteString("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n")
	case "beside":
		w := dataset.NewWriter(&b, "REDIS0009")
		w.Aux("lua", "no script")
		w.Aux("keydb-subexpire-key", "member")
		for i := range number(ts, rest[0]) {
			w.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, "value"))
		}
		err = w.Close()
	default:
		ts.Fatalf("no dump %q", kind)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(name, b.Bytes(), 0o600))
}

// writeStrings writes strings KEY=VALUE, with any bytes in KEY but =.
func writeStrings(w io.Writer, keys []string) error {
	out := dataset.NewWriter(w, "REDIS0009")
	for _, k := range keys {
		key, value, _ := strings.Cut(k, "=")
		out.Key(dataset.TypeString, []byte(key), dataset.AppendString(nil, value))
	}
	return out.Close()
}

// writeDamaged writes a dump whose checksum is right, and one value of which is
// not: its listpack claims more bytes than it has.
func writeDamaged(w io.Writer) error {
	out := dataset.NewWriter(w, "REDIS0010")
	for i := range 20 {
		if i == 10 {
			lp := dataset.AppendListpack(nil, [][]byte{[]byte("field"), []byte("value")})
			lp[0] += 7
			out.Key(dataset.TypeHashListpack, []byte("broken"), dataset.AppendRawString(nil, lp))
		}
		out.Key(dataset.TypeString, fmt.Appendf(nil, "key:%d", i), dataset.AppendString(nil, "v"))
	}
	return out.Close()
}

const typeModule2 dataset.Type = 7

// moduleValue returns a value of a module type that no server has: its name in 54
// bits and a version in 10, then a number, then the end.
func moduleValue() []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	id := uint64(0)
	for _, c := range "imaginary" {
		id = id<<6 | uint64(strings.IndexRune(letters, c))
	}
	b := dataset.AppendLen64(nil, id<<10|1)
	return append(b, 2, 7, 0) // opcodes: unsigned 7, end
}

// wrapFile puts a dump into what dumps come in:
//
//	wrap gzip|zstd|lz4 FROM TO
//	wrap reply FROM TO          a replication reply with a length
//	wrap eof FROM TO            one with an end mark
//	wrap mark FROM TO           the end mark of a diskless replication only
//	wrap vcs|vkcs FROM TO       the envelope of Valkey's compressed dumps
func wrapFile(ts *testscript.TestScript, _ bool, args []string) {
	dump := []byte(ts.ReadFile(args[1]))
	mark := strings.Repeat("0123456789abcdef", 3)[:40]
	var b bytes.Buffer
	var z io.WriteCloser
	switch args[0] {
	case "gzip":
		z = gzip.NewWriter(&b)
	case "zstd":
		w, err := zstd.NewWriter(&b)
		ts.Check(err)
		z = w
	case "lz4":
		z = lz4.NewWriter(&b)
	case "reply":
		fmt.Fprintf(&b, "$%d\r\n%s", len(dump), dump)
	case "eof":
		fmt.Fprintf(&b, "$EOF:%s\r\n%s%s", mark, dump, mark)
	case "mark":
		fmt.Fprintf(&b, "%s%s", dump, mark)
	case "vcs":
		fmt.Fprintf(&b, "VCS\x01%s", dump)
	case "vkcs":
		fmt.Fprintf(&b, "VKCS\x01%s", dump)
	default:
		ts.Fatalf("no wrapping %q", args[0])
	}
	if z != nil {
		_, err := z.Write(dump)
		ts.Check(errors.Join(err, z.Close()))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b.Bytes(), 0o600))
}

func writeKeys(b *bytes.Buffer, keys []string) error {
	w := dataset.NewWriter(b, "REDIS0009")
	db := "0"
	w.SelectDB(0)
	for _, k := range keys {
		in, pair, ok := strings.Cut(k, ":")
		if !ok {
			in, pair = db, k
		}
		if in != db {
			n := 0
			if _, err := fmt.Sscan(in, &n); err != nil {
				return err
			}
			w.SelectDB(n)
			db = in
		}
		key, value, _ := strings.Cut(pair, "=")
		key = strings.ReplaceAll(key, `\xff`, "\xff")
		w.Key(dataset.TypeString, []byte(key), dataset.AppendString(nil, value))
	}
	return w.Close()
}
