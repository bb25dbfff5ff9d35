package main

import (
	"bytes"
	"io"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A beginning is as much of a dump as the floor can hold: whole records from its
// start.
type beginning struct {
	most    int64 // bytes of commands
	size    int64 // of the commands so far, or a little more
	full    bool  // the next one had no room
	keys    int64
	end     int64 // where the last one ends in the dump
	version int   // of the dump
}

// commandOverhead bounds what a command has beside key and payload, all but
// always.
const commandOverhead = 96

// note adds a key whose record ends at end, if there is room.
func (p *beginning) note(e *rdbparse.Entry, end int64) {
	if p.full {
		return
	}
	p.size += int64(len(e.Key) + rdbparse.PayloadSize(e) + commandOverhead)
	if p.full = e.Big || p.size > p.most; !p.full {
		p.keys++
		p.end = end
	}
}

// of returns a dump of this beginning alone, which has a key at least, of a
// reader of the whole one. For nil it is the whole one.
func (p *beginning) of(r io.Reader) io.Reader {
	if p == nil || !p.full {
		return r
	}
	const opcodeEOF = 0xff
	tail := []byte{opcodeEOF}
	if p.version >= 5 { // a checksum follows; zero is one that was not made
		tail = append(tail, make([]byte, 8)...)
	}
	return io.MultiReader(io.LimitReader(r, p.end), bytes.NewReader(tail))
}
