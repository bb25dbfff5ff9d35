package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/rdbimport/rdbimport/rdbparse/census"
)

// A keyLister prints one JSON object a line for each key.
type keyLister struct {
	*inspection
	out *bufio.Writer
	buf []byte
}

// line prints one key. What the dump does not say is left out of the object.
func (l *keyLister) line(k *census.Key) error {
	b := append(l.buf[:0], '{')
	if utf8.Valid(k.Key) {
		b = appendJSONText(append(b, `"key":`...), k.Key)
	} else {
		b = append(b, `"key_base64":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, k.Key), '"')
	}
	b = strconv.AppendUint(append(b, `,"db":`...), uint64(k.DB), 10)
	b = append(append(b, `,"type":"`...), k.Type.Kind.String()...)
	b = append(append(b, `","encoding":"`...), k.Type.Name...)
	b = appendField(append(b, '"'), "bytes", k.Bytes)
	if k.Expires {
		b = appendField(b, "expire_at", k.ExpireAt)
	}
	b = appendField(b, "slot", int64(k.Slot))
	if k.Idle >= 0 {
		b = appendField(b, "idle", k.Idle)
	}
	if k.Freq >= 0 {
		b = appendField(b, "freq", int64(k.Freq))
	}
	b = appendField(b, "offset", k.Offset)
	if k.Memory >= 0 {
		b = appendField(b, "memory", k.Memory)
	}
	if len(l.sources) > 1 {
		b = appendJSONText(append(b, `,"source":`...), []byte(l.current.name))
	}
	l.buf = append(b, '}', '\n')
	_, err := l.out.Write(l.buf)
	return writeError(err)
}

func appendField(b []byte, name string, n int64) []byte {
	b = append(append(append(b, ',', '"'), name...), '"', ':')
	return strconv.AppendInt(b, n, 10)
}

// appendJSONText appends a text as a JSON string.
func appendJSONText(b, text []byte) []byte {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(string(text))
			if err != nil { // a string always can be
				panic(err)
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
