package rdbparse

// A Record says what an Entry is.
type Record uint8

// The records that a Scanner returns.
const (
	// RecordKey is a key with its value.
	RecordKey Record = iota
	// RecordAux is a named piece of information about the dump: Key is its name,
	// Value its value. A "lua" one holds a script of EVAL's cache.
	RecordAux
	// RecordFunction is a function library: Value is its source code.
	RecordFunction
	// RecordModuleAux is what a module keeps beside the keys: Key is the name of
	// the module's type. Its content is passed over: no command loads it.
	RecordModuleAux
)

// An Entry is one record of a dump. Key, Value, Meta and Fields are borrowed: they are
// valid until the next call of Scanner.Next, and must not be written to.
type Entry struct {
	Record Record
	DB     uint32
	Type   *TypeInfo // the row of the value's type; nil unless RecordKey

	Key   []byte // the key itself, decompressed, or the name of an AUX
	Value []byte // the value's bytes as they stand behind the key; nil if Big

	// Meta is the KEY_META opcode with its operands as Redis 8.6 and newer write
	// it before a type; nil in all other dumps. It belongs to the value.
	Meta []byte

	// Fields are the field names of a hash of type 30 or 32, which stand in the
	// record of their template: strings, as in the dump. nil for other types.
	Fields []byte

	// Expires tells whether the key has an expiry; ExpireAt is then its time in
	// milliseconds since the epoch, which may be in the past, zero or negative.
	Expires  bool
	ExpireAt int64

	Idle int64 // seconds since the key was used, -1 if the dump does not say
	Freq int16 // LFU counter, 0 to 255, -1 if the dump does not say

	// Big tells that the value is longer than Options.MaxValue: it is not held.
	// Scanner.BigValue reads it; the next call of Next passes over what has not
	// been read.
	Big bool

	Offset int64 // of the record's first byte, counted from the dump's magic
}
