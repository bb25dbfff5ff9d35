package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"maps"
)

// Opcodes of an RDB file, as in rdb.h.
const (
	opSlotInfo  = 244
	opFunction  = 245
	opFreq      = 249
	opIdle      = 248
	opAux       = 250
	opResizeDB  = 251
	opExpireMs  = 252
	opExpireSec = 253
	opSelectDB  = 254
	opEOF       = 255
)

// Expiry times of the data sets, in Unix milliseconds: one that has long passed and one that is far off.
const (
	PastMs   int64 = 1_000_000_000_000 // September 2001
	FutureMs int64 = 4_102_444_800_000 // January 2100
)

// flushSize is how much is gathered before it is summed and written.
const flushSize = 256 << 10

// Stats counts what a [Writer] has written.
type Stats struct {
	Keys     uint64         // all keys, in all databases
	Expiring uint64         // keys with an expiry time
	Expired  uint64         // keys whose expiry time is PastMs or earlier
	Bytes    int64          // of the file so far, header and footer included
	Types    [256]uint64    // keys by value type
	DBs      map[int]uint64 // keys by database
}

// Writer writes an RDB file. Errors are sticky: after the first nothing more is written and [Writer.Close] returns it.
// What was written by its methods is not checked for sense, so broken files can be made too.
// A Writer is not safe for concurrent use.
type Writer struct {
	w       io.Writer
	buf     []byte
	crc     uint64
	table   *crc64.Table
	version int
	err     error
	closed  bool
	db      int
	inDB    uint64 // keys of database db that stats.DBs does not hold yet
	stats   Stats
	// NoChecksum leaves the footer zero, as a server with rdbchecksum off does. It may be set at any time before Close.
	NoChecksum bool
}

// NewWriter returns a writer that has the nine bytes of magic, such as "REDIS0010" or "VALKEY080", written first. Its buffer is flushed
// by Close at the latest; w is never closed.
func NewWriter(w io.Writer, magic string) *Writer {
	out := &Writer{
		w:     w,
		buf:   append(make([]byte, 0, flushSize+flushSize/4), magic...),
		table: crc64.MakeTable(0x95ac9329ac4bc9b5), // Jones, reflected
		stats: Stats{DBs: map[int]uint64{}},
	}
	if _, err := fmt.Sscanf(magic[min(len(magic), 6):], "%d", &out.version); err != nil || len(magic) != 9 {
		out.err = fmt.Errorf("%q is not the magic of an rdb file", magic)
	}
	return out
}

// Stats returns the counts so far; Bytes includes what is still buffered.
func (w *Writer) Stats() Stats {
	w.countDB()
	s := w.stats
	s.DBs = maps.Clone(s.DBs)
	s.Bytes += int64(len(w.buf))
	return s
}

// Aux writes an auxiliary field.
func (w *Writer) Aux(name, value string) {
	w.buf = AppendString(append(w.buf, opAux), name)
	w.buf = AppendString(w.buf, value)
	w.flushIfFull()
}

// Function writes the source of a function library, its "#!lua name=..." line included (version 10 and later).
func (w *Writer) Function(source string) {
	w.buf = AppendRawString(append(w.buf, opFunction), source)
	w.flushIfFull()
}

// SelectDB makes the keys that follow belong to a database.
func (w *Writer) SelectDB(db int) {
	w.countDB()
	w.db = db
	w.buf = AppendLen(append(w.buf, opSelectDB), uint64(db))
}

// ResizeDB writes the hint of how many keys the database has and how many of them expire.
func (w *Writer) ResizeDB(keys, expires uint64) {
	w.buf = AppendLen(AppendLen(append(w.buf, opResizeDB), keys), expires)
}

// SlotInfo writes the hint about a slot that Redis 7.4 and later put into the dumps of a cluster node (version 12 and later).
func (w *Writer) SlotInfo(slot, keys, expires uint64) {
	w.buf = AppendLen(AppendLen(AppendLen(append(w.buf, opSlotInfo), slot), keys), expires)
}

// ExpireMs gives the next key an expiry time in Unix milliseconds.
func (w *Writer) ExpireMs(at int64) {
	w.buf = binary.LittleEndian.AppendUint64(append(w.buf, opExpireMs), uint64(at))
	w.countExpiry(at)
}

// ExpireSec gives the next key an expiry time in Unix seconds, in the form of RDB versions 1 and 2.
func (w *Writer) ExpireSec(at int32) {
	w.buf = binary.LittleEndian.AppendUint32(append(w.buf, opExpireSec), uint32(at))
	w.countExpiry(int64(at) * 1000)
}

func (w *Writer) countExpiry(ms int64) {
	w.stats.Expiring++
	if ms <= PastMs {
		w.stats.Expired++
	}
}

// Idle gives the next key the seconds since it was last used.
func (w *Writer) Idle(seconds uint64) { w.buf = AppendLen(append(w.buf, opIdle), seconds) }

// Freq gives the next key its LFU counter.
func (w *Writer) Freq(counter byte) { w.buf = append(w.buf, opFreq, counter) }

// Key writes a key with its value, as the Append functions make it for t. The key is int-encoded where it can be, as servers do.
func (w *Writer) Key(t Type, key, value []byte) {
	w.buf = AppendString(append(w.buf, byte(t)), key)
	w.value(t, value)
}

// KeyEncoded is Key for a key that is an RDB string already: compressed, or with a length in one of the longer forms.
func (w *Writer) KeyEncoded(t Type, key, value []byte) {
	w.buf = append(append(w.buf, byte(t)), key...)
	w.value(t, value)
}

func (w *Writer) value(t Type, value []byte) {
	w.count(t)
	if len(value) > flushSize/4 {
		w.Write(value)
		return
	}
	w.buf = append(w.buf, value...)
	w.flushIfFull()
}

// Begin writes the type and a key whose value follows in pieces through [Writer.Write].
func (w *Writer) Begin(t Type, key []byte) {
	w.buf = AppendString(append(w.buf, byte(t)), key)
	w.count(t)
}

func (w *Writer) count(t Type) {
	w.stats.Keys++
	w.stats.Types[t]++
	w.inDB++
}

func (w *Writer) countDB() {
	if w.inDB > 0 {
		w.stats.DBs[w.db] += w.inDB
		w.inDB = 0
	}
}

// Write adds raw bytes to the file: a piece of a value after [Writer.Begin], or anything else. It does not keep p. The error is the sticky one.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) > flushSize/4 {
		w.flush()
		w.emit(p)
	} else {
		w.buf = append(w.buf, p...)
		w.flushIfFull()
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close writes the EOF opcode and the footer, from version 5 on, and flushes. It returns the first error of all.
func (w *Writer) Close() error {
	if w.closed {
		return errors.Join(w.err, errors.New("rdb writer closed twice"))
	}
	w.closed = true
	w.buf = append(w.buf, opEOF)
	w.flush()
	if w.version >= 5 {
		footer := w.crc
		if w.NoChecksum {
			footer = 0
		}
		w.emit(binary.LittleEndian.AppendUint64(nil, footer))
	}
	if w.err != nil {
		return fmt.Errorf("writing a dump: %w", w.err)
	}
	return nil
}

func (w *Writer) flushIfFull() {
	if len(w.buf) >= flushSize {
		w.flush()
	}
}

func (w *Writer) flush() {
	w.emit(w.buf)
	w.buf = w.buf[:0]
}

// emit sums p and passes it on.
func (w *Writer) emit(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	if !w.NoChecksum {
		// hash/crc64 inverts the sum before and after, the checksum of an RDB file does not.
		w.crc = ^crc64.Update(^w.crc, w.table, p)
	}
	n, err := w.w.Write(p)
	w.stats.Bytes += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.err = err
}
