package rdbparse

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse/internal/lzf"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// Options are the settings of a Scanner. The zero value works.
type Options struct {
	// BufferSize is the size of the read buffer in bytes; 0 is 256 KiB.
	BufferSize int
	// MaxValue is the most bytes of a value that are held; a longer one gives an
	// Entry that is Big. 0 is no limit.
	MaxValue int
	// MaxParts is the same for lists, sets, sorted sets and hashes, where that is
	// less; 0 is MaxValue.
	MaxParts int
	// AnyVersion reads a dump of an unknown version as far as its types and
	// opcodes are known.
	AnyVersion bool
	// SkipChecksum leaves the CRC64 of the dump unchecked.
	SkipChecksum bool

	// Again gives the bytes of the dump by their offset from its magic, where the
	// source can be read more than once, as a plain file can; else it is nil. It
	// serves BigValue.Rewind.
	Again io.ReaderAt
	// Spool, where Again is nil, makes something that keeps the bytes of a big
	// value while they are read. It is called once for each value of which bytes
	// leave the read buffer after BigValue was called, and the Spool is closed by the
	// next call of Next. One that fails, for want of room say, fails no reading, only
	// BigValue.Rewind. If it is nil too, only what is still in the buffer can be read
	// again.
	Spool func() (Spool, error)
}

// A Spool keeps the bytes of one value: they are written in order, and read from
// any place. Close gives them up.
type Spool interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// A Checksum tells what is known of the CRC64 at the end of a dump.
type Checksum uint8

// The states of a checksum.
const (
	ChecksumPending Checksum = iota // the end is not reached, or it is not checked
	ChecksumNone                    // versions 1 to 4 have none
	ChecksumOff                     // zero: the writer had checksums switched off
	ChecksumOK
	ChecksumWrong
)

// String returns the state in one word.
func (c Checksum) String() string {
	return [...]string{"unchecked", "none", "off", "ok", "wrong"}[c]
}

// A Scanner reads a dump record by record, in the idiom of bufio.Scanner:
//
//	sc := rdbparse.NewScanner(r, rdbparse.Options{})
//	for sc.Next() {
//		e := sc.Entry()
//		...
//	}
//	if err := sc.Err(); err != nil {
//
// It finds the end of each value without decoding it. It allocates nothing per
// record once its buffers have grown to the longest value.
type Scanner struct {
	w     *window.Window
	opts  Options
	types *typeSet
	entry Entry
	err   error

	version  int
	valkey   bool
	dialect  Type
	checksum Checksum
	begun    bool
	done     bool

	db        uint32
	prefix    prefix
	keyBuf    []byte // a key or name that does not stand in the dump as it is
	valueBuf  []byte // the same for the value of an AUX and a function library
	metaBuf   []byte
	most      int // bytes of a value that is held
	big       BigValue
	templates templates
}

// prefix is what stands before a key and belongs to it.
type prefix struct {
	begun    bool
	offset   int64
	expires  bool
	expireAt int64
	idle     int64
	freq     int16
	meta     []byte
}

var noPrefix = prefix{idle: -1, freq: -1}

// NewScanner returns a Scanner of the dump that r begins with.
func NewScanner(r io.Reader, opts Options) *Scanner {
	most := opts.MaxValue
	if most <= 0 {
		most = math.MaxInt
	}
	return &Scanner{w: window.New(r, opts.BufferSize), opts: opts, most: most, prefix: noPrefix}
}

// Entry returns the record that the last call of Next read. It is valid until
// the next one.
func (s *Scanner) Entry() *Entry { return &s.entry }

// Err returns the error that ended the dump early, nil at its proper end. It is
// a *FormatError, unless the source itself failed.
func (s *Scanner) Err() error { return s.err }

// Version returns the RDB version in the dump's magic, and whether the magic is
// VALKEY; 0 before the first Next.
func (s *Scanner) Version() (version int, valkey bool) { return s.version, s.valkey }

// Checksum tells what is known of the dump's CRC64.
func (s *Scanner) Checksum() Checksum { return s.checksum }

// Offset returns how many bytes of the dump have been read.
func (s *Scanner) Offset() int64 { return s.w.Offset() }

// Held returns how many bytes the Scanner's buffers take.
func (s *Scanner) Held() int {
	return s.w.Size() + cap(s.keyBuf) + cap(s.valueBuf) + cap(s.metaBuf)
}

// Rest returns what has been read from the source beyond the dump's end, once
// Next has returned false.
func (s *Scanner) Rest() []byte {
	if !s.done {
		return nil
	}
	return s.w.Buffered()
}

// Next reads the next record and reports whether there was one. At the end of
// the dump, and at the first error, it returns false.
func (s *Scanner) Next() bool {
	if s.done || s.err != nil {
		return false
	}
	if !s.begun {
		if !s.header() {
			return false
		}
	} else if s.entry.Big && !s.leaveBig() {
		return false
	}
	w := s.w
	w.Unmark()
	if s.fastKey() {
		return true
	}
	for {
		at := w.Offset()
		op := w.Byte()
		if w.Err() != nil {
			return s.fail("the opcode of a record")
		}
		if row := s.types[op]; row != nil {
			return s.key(row, at)
		}
		emit, ok := s.opcode(op, at)
		if !ok {
			return false
		}
		if emit {
			return true
		}
	}
}

// header reads magic and version.
func (s *Scanner) header() bool {
	w := s.w
	if !s.opts.SkipChecksum {
		w.StartSum()
	}
	s.begun = true
	magic := w.Bytes(9)
	if magic == nil && w.Err() != io.ErrUnexpectedEOF {
		return s.fail("the magic")
	}
	digits, known := 0, false
	switch {
	case magic == nil:
	case string(magic[:5]) == "REDIS":
		digits, known = 5, true
	case string(magic[:6]) == "VALKEY":
		digits, known = 6, true
		s.valkey = true
	}
	if !known {
		s.err = &FormatError{Offset: 0, Within: "the magic", Err: ErrNotRDB}
		return false
	}
	for _, c := range magic[digits:] {
		if c < '0' || c > '9' {
			s.err = &FormatError{Offset: 0, Within: "the magic", Err: ErrNotRDB}
			return false
		}
		s.version = 10*s.version + int(c-'0')
	}
	s.types = redisTypes
	if s.valkey {
		s.types, s.dialect = valkeyTypes, valkeyDialect
	}
	if !s.knownVersion() && !s.opts.AnyVersion {
		s.err = &FormatError{Offset: int64(digits), Within: "the magic", Err: fmt.Errorf("%w %q", ErrVersion, magic)}
		return false
	}
	return true
}

// Newest versions of the two families whose content is known.
const (
	newestRedis  = 15
	oldestValkey = 80
	newestValkey = 81
)

func (s *Scanner) knownVersion() bool {
	if s.valkey {
		return s.version >= oldestValkey && s.version <= newestValkey
	}
	return s.version >= 1 && s.version <= newestRedis
}

// key reads the rest of a record that holds a key: the type byte has been read,
// and the record started at offset at unless a prefix came before it.
func (s *Scanner) key(row *TypeInfo, at int64) bool {
	w := s.w
	w.Mark()
	from, to := s.text(&s.keyBuf, maxString)
	if w.Err() != nil {
		return s.fail("a key")
	}
	value := w.Pos()
	most := s.most
	if s.opts.MaxParts > 0 && row.Kind >= KindList && row.Kind <= KindHash {
		most = min(most, s.opts.MaxParts)
	}
	if most != math.MaxInt {
		w.SetLimit(value + most)
		defer w.SetLimit(0)
	}
	s.skipValue(w, row)
	if err := w.Err(); err == window.ErrTooLong || err == nil && w.Pos()-value > most {
		w.SetLimit(0)
		return s.bigValue(row, at, from, to, value)
	} else if err != nil {
		return s.failKey(row, s.taken(s.keyBuf, from, to), err)
	}
	s.setKey(row, at, s.taken(s.keyBuf, from, to))
	s.entry.Value = w.Since(value, w.Pos())
	s.entry.Fields = nil
	if row.frame == frameTmplRef {
		return s.setFields(window.Of(s.entry.Value), row)
	}
	return true
}

// setKey fills the entry for a key and forgets what stood before it.
func (s *Scanner) setKey(row *TypeInfo, at int64, key []byte) {
	e, p := &s.entry, &s.prefix
	e.Record, e.DB, e.Type, e.Key = RecordKey, s.db, row, key
	e.Big = false
	if !p.begun {
		e.Expires, e.ExpireAt, e.Idle, e.Freq, e.Meta, e.Offset = false, 0, -1, -1, nil, at
		return
	}
	e.Expires, e.ExpireAt, e.Idle, e.Freq, e.Offset = p.expires, p.expireAt, p.idle, p.freq, p.offset
	e.Meta = p.meta
	*p = noPrefix
}

// text reads a string of up to most bytes. One that is stored as it is stays in the
// window, and from and to are the distances of its ends from the mark; any other is
// decoded into buf, and from is -1.
func (s *Scanner) text(buf *[]byte, most uint64) (from, to int) {
	return s.textOf(s.w.String(), buf, most)
}

// textOf is text behind the head of the string.
func (s *Scanner) textOf(h window.StringHead, buf *[]byte, most uint64) (from, to int) {
	w := s.w
	if w.Err() != nil {
		return 0, 0
	}
	if cap(*buf) > maxTextKept {
		*buf = nil
	}
	if h.Size > most || h.Plain > most {
		w.Fail(window.ErrTooBig)
		return 0, 0
	}
	p := w.Bytes(int(h.Size))
	if p == nil && w.Err() != nil {
		return 0, 0
	}
	b := (*buf)[:0]
	switch h.Form {
	case window.Raw:
		return w.Pos() - len(p), w.Pos()
	case window.Int8:
		b = strconv.AppendInt(b, int64(int8(p[0])), 10)
	case window.Int16:
		b = strconv.AppendInt(b, int64(int16(binary.LittleEndian.Uint16(p))), 10)
	case window.Int32:
		b = strconv.AppendInt(b, int64(int32(binary.LittleEndian.Uint32(p))), 10)
	case window.LZF:
		if lzf.Size(p) != h.Plain { // before there is room for what it only claims
			w.Fail(fmt.Errorf("%w: %w", ErrCorrupt, lzf.ErrCorrupt))
			return 0, 0
		}
		b = slices.Grow(b, int(h.Plain))[:h.Plain]
		if err := lzf.Decompress(b, p); err != nil {
			w.Fail(fmt.Errorf("%w: %w", ErrCorrupt, err))
		}
	}
	*buf = b
	return -1, -1
}

// maxString is the longest string that any server takes, 512 MiB.
const maxString = 512 << 20

// maxTextKept is the most bytes of a decoded key, or name, that are kept for the next.
const maxTextKept = 1 << 20

// taken returns the string that text has read.
func (s *Scanner) taken(buf []byte, from, to int) []byte {
	if from < 0 {
		return buf
	}
	return s.w.Since(from, to)
}

// fail ends the scan with the window's error, met in the part that within names.
func (s *Scanner) fail(within string) bool {
	s.err = &FormatError{Offset: s.w.Offset(), Within: within, Err: Reason(s.w.Err())}
	return false
}

// failKey ends the scan with an error within the value of a key.
func (s *Scanner) failKey(row *TypeInfo, key []byte, err error) bool {
	s.err = &FormatError{
		Offset: s.w.Offset(),
		Within: "the value, " + row.Type.String() + ",",
		Key:    append([]byte(nil), key...),
		Err:    Reason(err),
	}
	return false
}
