package rdbparse

// Opcodes of a dump, after rdb.h of the servers. 242 and 243 mean one thing in a
// file with the magic REDIS and another in one with VALKEY.
const (
	opEOF           = 255
	opSelectDB      = 254
	opExpireTime    = 253
	opExpireTimeMS  = 252
	opResizeDB      = 251
	opAux           = 250
	opFreq          = 249
	opIdle          = 248
	opModuleAux     = 247
	opFunctionPreGA = 246
	opFunction2     = 245
	opSlotInfo      = 244
	opKeyMeta       = 243 // REDIS
	opSlotImport    = 243 // VALKEY
	opHashTemplate  = 242 // REDIS
	opUpdate        = 242 // VALKEY

	// Redis Enterprise.
	opSlotNum = 121
	opRAMLRU  = 107

	// Dragonfly.
	opDFMask        = 220
	opDFJournal     = 211
	opDFFullSyncEnd = 200
	opDFJournalBlob = 210
	opDFZstdBlob    = 201
	opDFLZ4Blob     = 202
	opDFStreamMux   = 224
	opDFIndex       = 222
	opDFIndexMap    = 223
)

// opcodeNames are for messages.
var opcodeNames = map[byte]string{
	opEOF: "EOF", opSelectDB: "SELECTDB", opExpireTime: "EXPIRETIME", opExpireTimeMS: "EXPIRETIME_MS",
	opResizeDB: "RESIZEDB", opAux: "AUX", opFreq: "FREQ", opIdle: "IDLE", opModuleAux: "MODULE_AUX",
	opFunctionPreGA: "FUNCTION_PRE_GA", opFunction2: "FUNCTION2", opSlotInfo: "SLOT_INFO",
	opKeyMeta: "KEY_META or SLOT_IMPORT", opHashTemplate: "HASH_TEMPLATE or UPDATE",
	opSlotNum: "SLOT_NUM", opRAMLRU: "RAM_LRU",
}
