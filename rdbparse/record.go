package rdbparse

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// opcode reads what follows the opcode op at offset at. It reports whether that
// is a record for the caller, and whether the scan goes on.
func (s *Scanner) opcode(op byte, at int64) (emit, ok bool) {
	w := s.w
	switch op {
	case opEOF:
		return false, s.end(at)
	case opSelectDB:
		db := w.Len()
		if db > math.MaxInt32 {
			w.Fail(fmt.Errorf("%w: database %d", ErrCorrupt, db))
		}
		s.db = uint32(db)
	case opExpireTime:
		s.begin(at)
		s.prefix.expires, s.prefix.expireAt = true, int64(int32(w.Uint32()))*1000
	case opExpireTimeMS:
		s.begin(at)
		s.prefix.expires, s.prefix.expireAt = true, int64(w.Uint64())
	case opFreq:
		s.begin(at)
		s.prefix.freq = int16(w.Byte())
	case opIdle:
		s.begin(at)
		s.prefix.idle = int64(min(w.Len(), math.MaxInt64))
	case opResizeDB:
		skipLens(w, 2)
	case opSlotInfo:
		skipLens(w, 3)
	case opRAMLRU, opSlotNum:
		w.Len()
	case opAux:
		emit = s.aux(at)
	case opModuleAux:
		emit = s.moduleAux(at)
	case opFunction2:
		emit = s.function(at)
	case opFunctionPreGA:
		emit = s.functionPreGA(at)
	default:
		s.dialectOpcode(op, at)
	}
	if w.Err() != nil {
		return false, s.fail(opcodeName(op))
	}
	return emit, true
}

// begin notes that a prefix of a key has begun at offset at.
func (s *Scanner) begin(at int64) {
	if !s.prefix.begun {
		s.prefix.begun, s.prefix.offset = true, at
	}
}

// dialectOpcode reads what follows an opcode that not every kind of server has.
func (s *Scanner) dialectOpcode(op byte, at int64) {
	w := s.w
	switch {
	case s.dialect == redisDialect && op == opKeyMeta:
		s.begin(at)
		s.keyMeta()
	case s.dialect == redisDialect && op == opHashTemplate:
		s.hashTemplate()
	case s.dialect == valkeyDialect && op == opSlotImport:
		w.SkipString()
		n := w.Len()
		for ; n > 0 && w.Err() == nil; n-- {
			skipLens(w, 2)
		}
	case s.dialect == dragonflyDialect:
		s.dragonflyOpcode(op)
	default:
		w.Fail(fmt.Errorf("%w: %d is no type or opcode of a %s dump of version %d", ErrUnknown, op, s.magicName(), s.version))
	}
}

func (s *Scanner) dragonflyOpcode(op byte) {
	w := s.w
	switch op {
	case opDFMask:
		if mask := w.Uint32(); mask&2 != 0 {
			w.Skip(4)
		}
	case opDFFullSyncEnd, opDFJournal:
		w.Skip(8)
	case opDFJournalBlob:
		w.Len()
		w.SkipString()
	case opDFIndex, opDFIndexMap, opDFStreamMux, opDFZstdBlob, opDFLZ4Blob:
		w.Fail(fmt.Errorf("%w: opcode %d of Dragonfly's own snapshots; save with dbfilename ending in .rdb (--df_snapshot_format=false)", ErrUnknown, op))
	default:
		w.Fail(fmt.Errorf("%w: %d is no type or opcode of a Dragonfly dump", ErrUnknown, op))
	}
}

func (s *Scanner) magicName() string {
	if s.valkey {
		return "VALKEY"
	}
	return "REDIS"
}

func opcodeName(op byte) string {
	if name := opcodeNames[op]; name != "" {
		return fmt.Sprintf("opcode %d (%s)", op, name)
	}
	return fmt.Sprintf("opcode %d", op)
}

// emitText makes the entry of a record that is no key.
func (s *Scanner) emitText(r Record, at int64, name, value []byte) bool {
	s.entry = Entry{Record: r, DB: s.db, Key: name, Value: value, Idle: -1, Freq: -1, Offset: at}
	return true
}

// Bounds on what is held of records that are no keys.
const (
	maxAux  = 1 << 20  // bytes of a name, and of a value: a longer one is passed over
	maxCode = 32 << 20 // bytes of a script or function library
	maxMeta = 4 << 20  // bytes of the metadata of a key
)

// aux reads a name and its value. A value that is too long for anything but a script
// is passed over, and empty.
func (s *Scanner) aux(at int64) bool {
	w := s.w
	w.Mark()
	from, to := s.text(&s.keyBuf, maxAux)
	if w.Err() != nil {
		return false
	}
	if from >= 0 { // these are rare, so it is copied
		s.keyBuf = append(s.keyBuf[:0], s.taken(nil, from, to)...)
	}
	name := s.keyBuf
	if string(name) == "df-ver" && !s.valkey {
		s.types, s.dialect = dragonflyTypes, dragonflyDialect
	}
	w.Mark()
	h := w.String()
	if max(h.Size, h.Plain) > maxAux && string(name) != "lua" {
		w.Unmark()
		w.Skip(h.Size)
		return s.emitText(RecordAux, at, name, nil)
	}
	from, to = s.textOf(h, &s.valueBuf, maxCode)
	if w.Err() != nil {
		return false
	}
	return s.emitText(RecordAux, at, name, s.taken(s.valueBuf, from, to))
}

func (s *Scanner) function(at int64) bool {
	s.w.Mark()
	from, to := s.text(&s.valueBuf, maxCode)
	if s.w.Err() != nil {
		return false
	}
	return s.emitText(RecordFunction, at, nil, s.taken(s.valueBuf, from, to))
}

// functionPreGA reads a library as the first release candidates of Redis 7.0
// wrote it, and gives its code the first line that it lacks.
func (s *Scanner) functionPreGA(at int64) bool {
	w := s.w
	var parts [3][]byte // name, engine, code: these are rare, so they are copied
	for i := range parts {
		if i == 2 {
			if w.Len() != 0 {
				w.SkipString()
			}
		}
		w.Mark()
		from, to := s.text(&s.valueBuf, maxCode)
		if w.Err() != nil {
			return false
		}
		parts[i] = append([]byte(nil), s.taken(s.valueBuf, from, to)...)
		w.Unmark()
	}
	code := fmt.Appendf(nil, "#!%s name=%s\n%s", parts[1], parts[0], parts[2])
	return s.emitText(RecordFunction, at, parts[0], code)
}

// moduleAux passes over what a module keeps beside the keys, and returns the
// name of its type. The first item says when it is to be loaded.
func (s *Scanner) moduleAux(at int64) bool {
	w := s.w
	id := w.Len()
	w.SkipModuleItems()
	if w.Err() != nil {
		return false
	}
	s.keyBuf = appendModuleName(s.keyBuf[:0], id)
	return s.emitText(RecordModuleAux, at, s.keyBuf, nil)
}

// moduleCharset are the characters of the name of a module's type.
const moduleCharset = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// appendModuleName appends the name of the type of a module value to dst. id is
// the length-encoded number that the value starts with: nine characters of six
// bits, then ten bits of the version of the module's encoding.
func appendModuleName(dst []byte, id uint64) []byte {
	for shift := 58; shift >= 10; shift -= 6 {
		dst = append(dst, moduleCharset[id>>shift&63])
	}
	return dst
}

// ModuleName returns the name of the module type of a value of type TypeModule2,
// or "" if value is none.
func ModuleName(value []byte) string {
	w := window.Of(value)
	id := w.Len()
	if w.Err() != nil {
		return ""
	}
	return string(appendModuleName(nil, id))
}

// keyMeta reads the metadata of a key, which Redis 8.6 and newer write directly
// before its type. The bytes are kept as they stand, the opcode with them.
func (s *Scanner) keyMeta() {
	w := s.w
	w.Mark()
	w.SetLimit(maxMeta)
	for n := w.Len(); n > 0 && w.Err() == nil; n-- {
		w.Skip(4)
		w.SkipModuleItems()
	}
	w.SetLimit(0)
	if w.Err() == nil {
		s.metaBuf = append(append(s.metaBuf[:0], opKeyMeta), w.Since(0, w.Pos())...)
		s.prefix.meta = s.metaBuf
	}
	w.Unmark()
}

// end reads the checksum behind the EOF opcode at offset at. It returns false:
// the scan is over.
func (s *Scanner) end(at int64) bool {
	w := s.w
	sum := w.Sum()
	s.done = true
	if !s.valkey && s.version < 5 {
		s.checksum = ChecksumNone
		return false
	}
	p := w.Bytes(8)
	if p == nil {
		return s.fail("the checksum")
	}
	switch want := binary.LittleEndian.Uint64(p); {
	case want == 0:
		s.checksum = ChecksumOff
	case s.opts.SkipChecksum:
	case want == sum:
		s.checksum = ChecksumOK
	default:
		s.checksum = ChecksumWrong
		s.err = &FormatError{Offset: at + 1, Within: "the checksum",
			Err: fmt.Errorf("%w: the file says %016x, its bytes give %016x", ErrChecksum, want, sum)}
	}
	return false
}
