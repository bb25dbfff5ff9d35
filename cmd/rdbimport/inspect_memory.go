package main

import (
	"bufio"
	"bytes"
	"encoding/binary"

	"github.com/hdt3213/rdb/core"
	"github.com/hdt3213/rdb/model"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// A profiler estimates the memory that a key takes in a server, with the profiler
// of github.com/hdt3213/rdb. Its decoder reads whole dumps, so it is given one
// for each key.
type profiler struct {
	dump    []byte
	from    bytes.Reader
	in      *bufio.Reader
	checker element.Reader
}

func newProfiler() *profiler {
	return &profiler{in: bufio.NewReaderSize(nil, 4096)} // large enough for the decoder to take it as it is
}

// The decoder's newest versions, and RDB's bytes around a key.
const (
	profiledRedis  = "REDIS0012"
	profiledValkey = "VALKEY080"

	rdbExpireMS = 252
	rdbEOF      = 255
	rdbLen64    = 0x81
)

// profilable reports whether the decoder opens a type. It takes the newest types
// for unknown, passes over the values of modules, and it reads what other
// families number alike in the wrong way.
func profilable(t rdbparse.Type) bool {
	switch t {
	case rdbparse.TypeModule2, rdbparse.TypeModulePreGA:
		return false
	case rdbparse.TypeHash2:
		return true
	}
	return t <= rdbparse.TypeHashListpackEx
}

// estimate returns the bytes that a key takes, without what the server itself
// takes; false if the value cannot be opened.
func (p *profiler) estimate(e *rdbparse.Entry) (n int64, ok bool) {
	if e.Big || !profilable(e.Type.Type) || !p.sound(e) {
		return 0, false
	}
	magic := profiledRedis
	if e.Type.Type == rdbparse.TypeHash2 {
		magic = profiledValkey
	}
	b := append(p.dump[:0], magic...)
	if e.Expires { // when does not matter, but the decoder takes none before 1970 for one
		b = binary.LittleEndian.AppendUint64(append(b, rdbExpireMS), uint64(max(1, e.ExpireAt)))
	}
	b = append(b, e.Type.Type.Byte(), rdbLen64)
	b = binary.BigEndian.AppendUint64(b, uint64(len(e.Key)))
	b = append(append(b, e.Key...), e.Value...)
	b = append(b, rdbEOF, 0, 0, 0, 0, 0, 0, 0, 0)
	p.dump = b
	defer func() {
		if recover() != nil { // the decoder catches its own, unless it has another way out
			n, ok = 0, false
		}
	}()
	p.from.Reset(b)
	p.in.Reset(&p.from)
	err := core.NewDecoder(p.in).Parse(func(o model.RedisObject) bool {
		n, ok = int64(o.GetSize()), true
		return true
	})
	return n, ok && err == nil
}

// sound reports whether a packed value is what it says it is: the decoder
// allocates what the header of a damaged one claims.
func (p *profiler) sound(e *rdbparse.Entry) bool {
	if e.Type.Type <= rdbparse.TypeZSet2 { // framed by its counts
		return true
	}
	p.checker.Reset(element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields})
	for p.checker.Next() {
	}
	return p.checker.Err() == nil
}
