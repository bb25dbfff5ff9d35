package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// format is what the first bytes of a layer say about it.
type format uint8

const (
	formatOther format = iota // refused, see the signature's row
	formatRDB
	formatGzip
	formatZstd
	formatLZ4
	formatSkippable // a frame that zstd and lz4 share, with the real one behind it
	formatReply
	formatLine // a status or error line of a server
)

// signature is one row of the table of everything that is told apart.
type signature struct {
	magic  string
	format format
	kind   error // for formatOther
	found  string
	hint   string
}

const (
	hintUnpack   = "unpack it first and name the dump inside"
	hintBzip2    = "gzip, zstd and lz4 are read directly; unpack this into a pipe: bzip2 -dc FILE | rdbimport - TARGET"
	hintXZ       = "gzip, zstd and lz4 are read directly; unpack this into a pipe: xz -dc FILE | rdbimport - TARGET"
	hintEnvelope = "write it again with rdbcompression set to yes or no, not to a codec"
	hintAOF      = "load it with redis-cli --pipe, or let a server load it and take its dump.rdb"
	hintManifest = "name the *.base.rdb file that it lists; what was written since is not in that: BGSAVE, or redis-cli --rdb, makes a dump of everything"
	hintNoise    = "leave the 2>&1 before the pipe out"
	hintNothing  = "what writes into the pipe has given nothing: see what it says, and its exit code"
	hintDump     = "a dump is the file that SAVE, BGSAVE or redis-cli --rdb writes"
)

const gzipMagic = "\x1f\x8b"

var signatures = []signature{
	{magic: "REDIS", format: formatRDB},
	{magic: "VALKEY", format: formatRDB},
	{magic: gzipMagic, format: formatGzip},
	{magic: "\x28\xb5\x2f\xfd", format: formatZstd},
	{magic: "\x04\x22\x4d\x18", format: formatLZ4},
	{magic: "\x02\x21\x4c\x18", format: formatLZ4}, // legacy frame of lz4 -l
	{magic: "$", format: formatReply},
	{magic: "\n", format: formatReply}, // keep-alives of a master that is still saving
	{magic: "-", format: formatLine},
	{magic: "+", format: formatLine},
	{magic: "*", kind: ErrNotRDB, found: "commands only, an AOF with no RDB part", hint: hintAOF},
	{magic: "#TS:", kind: ErrNotRDB, found: "commands only, an AOF with no RDB part", hint: hintAOF},
	{magic: "file ", kind: ErrNotRDB, found: "looks like the manifest of an AOF", hint: hintManifest},
	{magic: "VCS", kind: ErrUnsupported, found: "Valkey's compressed RDB (VCS)", hint: hintEnvelope},
	{magic: "VKCS", kind: ErrUnsupported, found: "Valkey's compressed RDB (VKCS)", hint: hintEnvelope},
	{magic: "PK\x03\x04", kind: ErrNotRDB, found: "a zip archive", hint: hintUnpack},
	{magic: "PK\x05\x06", kind: ErrNotRDB, found: "an empty zip archive", hint: hintUnpack},
	{magic: "7z\xbc\xaf\x27\x1c", kind: ErrNotRDB, found: "a 7z archive", hint: hintUnpack},
	{magic: "BZh", kind: ErrUnsupported, found: "bzip2 data", hint: hintBzip2},
	{magic: "\xfd7zXZ\x00", kind: ErrUnsupported, found: "xz data", hint: hintXZ},
	{magic: "sending REPLCONF", kind: ErrNotRDB, found: "what redis-cli says while it fetches a dump", hint: hintNoise},
	{magic: "SYNC ", kind: ErrNotRDB, found: "what redis-cli says while it fetches a dump", hint: hintNoise},
	{magic: "{", kind: ErrNotRDB, found: "looks like JSON", hint: hintDump},
	{magic: "[", kind: ErrNotRDB, found: "looks like JSON", hint: hintDump},
}

// match finds the row for b. more says that b is too short to tell.
func match(b []byte) (sig *signature, more bool) {
	for i := range signatures {
		switch magic := signatures[i].magic; {
		case len(b) >= len(magic) && string(b[:len(magic)]) == magic:
			return &signatures[i], false
		case len(b) < len(magic) && magic[:len(b)] == string(b):
			more = true
		}
	}
	if skippable, short := matchSkippable(b); skippable {
		return &signature{format: formatSkippable}, false
	} else if short {
		more = true
	}
	return nil, more
}

// matchSkippable tells the frames 0x184D2A50 to 0x184D2A5F, which carry no data; pzstd starts its files with one.
func matchSkippable(b []byte) (is, short bool) {
	if len(b) == 0 || b[0]&0xf0 != 0x50 {
		return false, false
	}
	const tail = "\x2a\x4d\x18"
	n := min(len(b)-1, len(tail))
	if string(b[1:1+n]) != tail[:n] {
		return false, false
	}
	return n == len(tail), n < len(tail)
}

// identify looks at no more bytes than it needs, since a pipe may hold back the rest.
func (s *Source) identify(l *lookahead) (format, error) {
	for {
		b := l.rest()
		sig, more := match(b)
		if sig == nil && more && l.fill() {
			continue
		}
		if sig == nil && l.err != nil && l.err != io.EOF {
			return formatOther, l.err
		}
		switch {
		case sig == nil && len(b) == 0 && s.pipe && len(s.layers) == 1:
			return formatOther, s.wrong(ErrNotRDB, "it is empty", hintNothing)
		case sig == nil && len(b) == 0:
			return formatOther, s.wrong(ErrNotRDB, "it is empty", hintDump)
		case sig == nil && more:
			return formatOther, s.wrong(ErrTruncated, fmt.Sprintf("it ends after %s, too soon to tell what it is", count(len(b), "byte")), "")
		case sig == nil:
			return formatOther, s.unknown(l)
		case sig.format == formatSkippable:
			return behindSkippable(l), nil
		case sig.format == formatLine:
			return formatOther, s.serverLine(l)
		case sig.format == formatOther:
			return formatOther, s.wrong(sig.kind, sig.found, sig.hint)
		}
		return sig.format, nil
	}
}

// behindSkippable tells zstd from lz4, which share these frames, by the frame behind them. Where that is out of sight
// it is taken for zstd, whose tools are known to write them.
func behindSkippable(l *lookahead) format {
	const header = 8
	for at := int64(0); ; {
		for int64(len(l.rest())) < at+header && l.fill() {
		}
		b := l.rest()
		if int64(len(b)) < at+4 {
			return formatZstd
		}
		if is, _ := matchSkippable(b[at:]); is && int64(len(b)) >= at+header {
			at += header + int64(binary.LittleEndian.Uint32(b[at+4:]))
			continue
		}
		if sig, _ := match(b[at:]); sig != nil && sig.format == formatLZ4 {
			return formatLZ4
		}
		return formatZstd
	}
}

// unknown names what has no row; a tar file has its magic at byte 257.
func (s *Source) unknown(l *lookahead) error {
	const tarMagic, tarAt = "ustar", 257
	for len(l.rest()) < tarAt+len(tarMagic) && l.fill() {
	}
	if l.err != nil && l.err != io.EOF {
		return l.err
	}
	b := l.rest()
	if len(b) >= tarAt+len(tarMagic) && string(b[tarAt:tarAt+len(tarMagic)]) == tarMagic {
		return s.wrong(ErrNotRDB, "a tar archive", hintUnpack)
	}
	return s.wrong(ErrNotRDB, fmt.Sprintf("it starts with %q", b[:min(len(b), 16)]), hintDump)
}

// serverLine is what arrives when a connection's error went where a dump was meant to go.
func (s *Source) serverLine(l *lookahead) error {
	const limit = 120
	for len(l.rest()) < limit && bytes.IndexByte(l.rest(), '\n') < 0 && l.fill() {
	}
	if l.err != nil && l.err != io.EOF {
		return l.err
	}
	line, _, _ := bytes.Cut(l.rest(), []byte("\n"))
	line = line[:min(len(line), limit)]
	return s.wrong(ErrNotRDB, fmt.Sprintf("looks like a server's answer: %q", strings.TrimRight(string(line), "\r")), "")
}

// magicSize is the length of REDIS0011 and of VALKEY080.
const magicSize = 9

// version checks the magic and gives its number.
func (s *Source) version(l *lookahead) (int, error) {
	for len(l.rest()) < magicSize && l.fill() {
	}
	b := l.rest()
	if len(b) < magicSize {
		if l.err != nil && l.err != io.EOF {
			return 0, l.err
		}
		return 0, s.wrong(ErrTruncated, fmt.Sprintf("it ends after %s, inside the magic", count(len(b), "byte")), "")
	}
	version, ok := versionOf(b)
	if !ok {
		return 0, s.wrong(ErrNotRDB, fmt.Sprintf("it starts with %q", b[:magicSize]), "")
	}
	return version, nil
}

// versionOf reads the number in a magic; ok is false if b does not begin with one.
func versionOf(b []byte) (version int, ok bool) {
	if len(b) < magicSize {
		return 0, false
	}
	digits, ok := bytes.CutPrefix(b[:magicSize], []byte("REDIS"))
	if !ok {
		if digits, ok = bytes.CutPrefix(b[:magicSize], []byte("VALKEY")); !ok {
			return 0, false
		}
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		version = version*10 + int(c-'0')
	}
	return version, true
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
