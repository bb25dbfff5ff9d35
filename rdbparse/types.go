package rdbparse

import "fmt"

// A Type names the encoding of a value: the byte that stands before it in the
// dump, and, where two kinds of server use one number for different things, the
// dialect in the high byte.
type Type uint16

// Byte returns the number that stands in the dump and in a RESTORE payload.
func (t Type) Byte() byte { return byte(t) }

// dialects of type and opcode numbers. Redis's is zero.
const (
	redisDialect     Type = 0
	valkeyDialect    Type = 1 << 8
	dragonflyDialect Type = 2 << 8
)

// The value types. The numbers are those of rdb.h of the servers.
const (
	TypeString           Type = 0
	TypeList             Type = 1
	TypeSet              Type = 2
	TypeZSet             Type = 3
	TypeHash             Type = 4
	TypeZSet2            Type = 5
	TypeModulePreGA      Type = 6
	TypeModule2          Type = 7
	TypeHashZipmap       Type = 9
	TypeListZiplist      Type = 10
	TypeSetIntset        Type = 11
	TypeZSetZiplist      Type = 12
	TypeHashZiplist      Type = 13
	TypeListQuicklist    Type = 14
	TypeStreamListpacks  Type = 15
	TypeHashListpack     Type = 16
	TypeZSetListpack     Type = 17
	TypeListQuicklist2   Type = 18
	TypeStreamListpacks2 Type = 19
	TypeSetListpack      Type = 20
	TypeStreamListpacks3 Type = 21
	// Types 22 and 23 of the release candidates of Redis 7.4.
	TypeHashMetadataPreGA   Type = 22
	TypeHashListpackExPreGA Type = 23
	TypeHashMetadata        Type = 24
	TypeHashListpackEx      Type = 25
	TypeStreamListpacks4    Type = 26
	TypeStreamListpacks5    Type = 27
	TypeArray               Type = 28
	TypeHashTmplLP          Type = 29
	TypeHashTmplLPRef       Type = 30
	TypeHashTmplArray       Type = 31
	TypeHashTmplArrayRef    Type = 32

	// TypeHash2 is Valkey's hash with field expiry, number 22.
	TypeHash2 Type = valkeyDialect | 22
	// TypePathHash is Valkey's number 23, whose layout is not known.
	TypePathHash Type = valkeyDialect | 23

	TypeDragonflyJSON   Type = dragonflyDialect | 30
	TypeDragonflyHash   Type = dragonflyDialect | 31
	TypeDragonflySet    Type = dragonflyDialect | 32
	TypeDragonflySBF    Type = dragonflyDialect | 33
	TypeDragonflySBF2   Type = dragonflyDialect | 34
	TypeDragonflyCMS    Type = dragonflyDialect | 35
	TypeDragonflyTopK   Type = dragonflyDialect | 36
	TypeDragonflyCuckoo Type = dragonflyDialect | 37

	// TypeKeyDBCron is KeyDB's number 64.
	TypeKeyDBCron Type = 64
)

// A Kind is what a value is to a user, whatever its encoding.
type Kind uint8

// The kinds of value, as the TYPE command names them.
const (
	KindString Kind = iota
	KindList
	KindSet
	KindZSet
	KindHash
	KindStream
	KindModule
	KindArray
	KindOther
)

var kindNames = [...]string{"string", "list", "set", "zset", "hash", "stream", "module", "array", "other"}

// String returns the name that the TYPE command of the servers gives the kind.
func (k Kind) String() string { return kindNames[k] }

// A TypeInfo is one row of the type table.
type TypeInfo struct {
	Type Type
	Name string // as the servers' sources name it, lower case
	Kind Kind

	// Version is the lowest RDB version that a payload of this type may carry:
	// the one that brought the type. 0 if RESTORE cannot take the type at all.
	Version uint16

	// Redis and Valkey are the first releases that read the type, as major*100 +
	// minor; 0 if none does.
	Redis, Valkey uint16

	frame frame
	parts parts // of each element, for frameElements
	head  parts // before the count, for frameElements
}

// frame is the way in which the end of a value is found.
type frame uint8

const (
	frameUnknown    frame = iota // the end cannot be found
	frameString                  // one string
	frameStrings                 // count, count strings
	frameElements                // head, count, count elements of the given parts
	frameModule                  // module id, items up to the end item
	frameQuicklist2              // count, count times container and string
	frameStream                  // stream, what it holds decided by the type
	frameArray                   // sparse array of Redis 8.8
	frameTmpl                    // hash with a template of its own
	frameTmplRef                 // hash whose template is in a record before
	frameCron                    // scheduled script of KeyDB
	frameDragonfly               // Dragonfly's probabilistic types
)

// parts are the parts of one element, four bits each, lowest first.
type parts uint32

const (
	partNone   parts = iota
	partString       // a string
	partLen          // a length
	partDouble       // a score as text
	part8            // 8 bytes
)

func elements(p ...parts) (all parts) {
	for i, x := range p {
		all |= x << (4 * i)
	}
	return all
}

// typeTable describes every type that a dump can hold. The facts are those of
// rdb.c and rdb.h of Redis 2.4 to 8.10, Valkey 7.2 to 9.1, KeyDB and Dragonfly.
var typeTable = []TypeInfo{
	{Type: TypeString, Name: "string", Kind: KindString, Version: 1, Redis: 100, Valkey: 700, frame: frameString},
	{Type: TypeList, Name: "list", Kind: KindList, Version: 1, Redis: 100, Valkey: 700, frame: frameStrings},
	{Type: TypeSet, Name: "set", Kind: KindSet, Version: 1, Redis: 100, Valkey: 700, frame: frameStrings},
	{Type: TypeZSet, Name: "zset", Kind: KindZSet, Version: 1, Redis: 102, Valkey: 700, frame: frameElements, parts: elements(partString, partDouble)},
	{Type: TypeHash, Name: "hash", Kind: KindHash, Version: 1, Redis: 200, Valkey: 700, frame: frameElements, parts: elements(partString, partString)},
	{Type: TypeZSet2, Name: "zset_2", Kind: KindZSet, Version: 8, Redis: 400, Valkey: 700, frame: frameElements, parts: elements(partString, part8)},
	{Type: TypeModulePreGA, Name: "module_pre_ga", Kind: KindModule, frame: frameUnknown},
	{Type: TypeModule2, Name: "module_2", Kind: KindModule, Version: 8, Redis: 400, Valkey: 700, frame: frameModule},
	{Type: TypeHashZipmap, Name: "hash_zipmap", Kind: KindHash, Version: 2, Redis: 204, Valkey: 700, frame: frameString},
	{Type: TypeListZiplist, Name: "list_ziplist", Kind: KindList, Version: 2, Redis: 204, Valkey: 700, frame: frameString},
	{Type: TypeSetIntset, Name: "set_intset", Kind: KindSet, Version: 2, Redis: 204, Valkey: 700, frame: frameString},
	{Type: TypeZSetZiplist, Name: "zset_ziplist", Kind: KindZSet, Version: 2, Redis: 204, Valkey: 700, frame: frameString},
	{Type: TypeHashZiplist, Name: "hash_ziplist", Kind: KindHash, Version: 4, Redis: 206, Valkey: 700, frame: frameString},
	{Type: TypeListQuicklist, Name: "list_quicklist", Kind: KindList, Version: 7, Redis: 302, Valkey: 700, frame: frameStrings},
	{Type: TypeStreamListpacks, Name: "stream_listpacks", Kind: KindStream, Version: 9, Redis: 500, Valkey: 700, frame: frameStream},
	{Type: TypeHashListpack, Name: "hash_listpack", Kind: KindHash, Version: 10, Redis: 700, Valkey: 700, frame: frameString},
	{Type: TypeZSetListpack, Name: "zset_listpack", Kind: KindZSet, Version: 10, Redis: 700, Valkey: 700, frame: frameString},
	{Type: TypeListQuicklist2, Name: "list_quicklist_2", Kind: KindList, Version: 10, Redis: 700, Valkey: 700, frame: frameQuicklist2},
	{Type: TypeStreamListpacks2, Name: "stream_listpacks_2", Kind: KindStream, Version: 10, Redis: 700, Valkey: 700, frame: frameStream},
	{Type: TypeSetListpack, Name: "set_listpack", Kind: KindSet, Version: 11, Redis: 702, Valkey: 700, frame: frameString},
	{Type: TypeStreamListpacks3, Name: "stream_listpacks_3", Kind: KindStream, Version: 11, Redis: 702, Valkey: 700, frame: frameStream},
	{Type: TypeHashMetadataPreGA, Name: "hash_metadata_pre_ga", Kind: KindHash, Version: 12, Redis: 704, frame: frameElements, parts: elements(partLen, partString, partString)},
	{Type: TypeHashListpackExPreGA, Name: "hash_listpack_ex_pre_ga", Kind: KindHash, Version: 12, Redis: 704, frame: frameString},
	{Type: TypeHashMetadata, Name: "hash_metadata", Kind: KindHash, Version: 12, Redis: 704, frame: frameElements, head: elements(part8), parts: elements(partLen, partString, partString)},
	{Type: TypeHashListpackEx, Name: "hash_listpack_ex", Kind: KindHash, Version: 12, Redis: 704, frame: frameString, head: elements(part8)},
	{Type: TypeStreamListpacks4, Name: "stream_listpacks_4", Kind: KindStream, Version: 13, Redis: 806, frame: frameStream},
	{Type: TypeStreamListpacks5, Name: "stream_listpacks_5", Kind: KindStream, Version: 14, Redis: 808, frame: frameStream},
	{Type: TypeArray, Name: "array", Kind: KindArray, Version: 14, Redis: 808, frame: frameArray},
	{Type: TypeHashTmplLP, Name: "hash_tmpl_lp", Kind: KindHash, Version: 15, Redis: 810, frame: frameTmpl},
	{Type: TypeHashTmplLPRef, Name: "hash_tmpl_lp_ref", Kind: KindHash, frame: frameTmplRef},
	{Type: TypeHashTmplArray, Name: "hash_tmpl_array", Kind: KindHash, Version: 15, Redis: 810, frame: frameTmpl},
	{Type: TypeHashTmplArrayRef, Name: "hash_tmpl_array_ref", Kind: KindHash, frame: frameTmplRef},

	{Type: TypeHash2, Name: "hash_2", Kind: KindHash, Version: 80, Valkey: 900, frame: frameElements, parts: elements(partString, partString, part8)},
	{Type: TypePathHash, Name: "path_hash", Kind: KindHash, Version: 81, Valkey: 902, frame: frameUnknown},

	{Type: TypeDragonflyJSON, Name: "dragonfly_json", Kind: KindOther, frame: frameString},
	{Type: TypeDragonflyHash, Name: "dragonfly_hash", Kind: KindHash, frame: frameElements, parts: elements(partString, partString, partString)},
	{Type: TypeDragonflySet, Name: "dragonfly_set", Kind: KindSet, frame: frameElements, parts: elements(partString, partString)},
	{Type: TypeDragonflySBF, Name: "dragonfly_sbf", Kind: KindOther, frame: frameDragonfly},
	{Type: TypeDragonflySBF2, Name: "dragonfly_sbf_2", Kind: KindOther, frame: frameDragonfly},
	{Type: TypeDragonflyCMS, Name: "dragonfly_cms", Kind: KindOther, frame: frameDragonfly},
	{Type: TypeDragonflyTopK, Name: "dragonfly_topk", Kind: KindOther, frame: frameDragonfly},
	{Type: TypeDragonflyCuckoo, Name: "dragonfly_cuckoo", Kind: KindOther, frame: frameDragonfly},

	{Type: TypeKeyDBCron, Name: "keydb_cron", Kind: KindOther, frame: frameCron},
}

// A typeSet maps the type bytes of one dialect to their rows.
type typeSet [256]*TypeInfo

// typesOf returns the types of a dialect: its own, and Redis's for every number
// that it does not use otherwise.
func typesOf(dialect Type) *typeSet {
	var set typeSet
	for i := range typeTable {
		row := &typeTable[i]
		own := row.Type&^0xff == dialect
		if own || row.Type&^0xff == redisDialect && set[row.Type.Byte()] == nil && !redisOnly(row.Type, dialect) {
			set[row.Type.Byte()] = row
		}
	}
	return &set
}

// redisOnly reports whether a number of Redis's has no meaning in a dialect:
// after version 11 Valkey went its own way.
func redisOnly(t, dialect Type) bool {
	return dialect == valkeyDialect && t >= TypeHashMetadataPreGA
}

var (
	redisTypes     = typesOf(redisDialect)
	valkeyTypes    = typesOf(valkeyDialect)
	dragonflyTypes = typesOf(dragonflyDialect)
)

// Info returns the row of the type table for t, or nil for an unknown type.
func (t Type) Info() *TypeInfo {
	for i := range typeTable {
		if typeTable[i].Type == t {
			return &typeTable[i]
		}
	}
	return nil
}

// String returns the name of the type and its number.
func (t Type) String() string {
	if row := t.Info(); row != nil {
		return fmt.Sprintf("%s (%d)", row.Name, t.Byte())
	}
	return fmt.Sprintf("unknown type %d", t.Byte())
}

// Types returns a copy of the type table.
func Types() []TypeInfo { return append([]TypeInfo(nil), typeTable...) }
