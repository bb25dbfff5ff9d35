package element

import "strconv"

// A Kind says what an Element is.
type Kind uint8

// The kinds of element, and which parts of Element they fill. A stream gives its
// entries, then Stream, then each group with its Pending entries and its
// consumers, each consumer with its Owned entries, then the group's Returned
// entries, and at last the idempotence records.
const (
	Text        Kind = iota // the whole of a string: Value
	ListItem                // Value
	Member                  // of a set: Key
	Scored                  // member of a sorted set: Key, Score
	Field                   // of a hash: Key, Value, ExpireAt
	Slot                    // of an array: Index, Value
	Entry                   // of a stream: ID, Pairs
	Stream                  // Info
	Group                   // Key, ID (last delivered), Read
	Pending                 // entry of the group: ID, Time (of delivery), Count (of deliveries)
	Consumer                // of the group: Key, Time (seen), Active
	Owned                   // entry pending with the consumer: ID
	Returned                // entry given back by its consumer, pending with none: ID
	Idempotent              // Time (duration in s), Count (most entries)
	Producer                // Key
	Produced                // entry of the producer: Key, ID
	Idempotency             // Time (ids added), Count (duplicates)
)

// An ID is that of a stream entry.
type ID struct{ Ms, Seq uint64 }

// String returns the ID as the servers write it.
func (id ID) String() string { return string(id.append(nil)) }

func (id ID) append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, id.Ms, 10), '-')
	return strconv.AppendUint(dst, id.Seq, 10)
}

// StreamInfo is what a stream says of itself. All but Length and LastID are zero
// in the encoding of Redis 5.0 to 6.2, which lacks them.
type StreamInfo struct {
	Length       uint64
	LastID       ID
	FirstID      ID
	MaxDeletedID ID
	EntriesAdded uint64
}

// An Element is one part of a value. Key, Value and Pairs are borrowed: they are
// valid until the next call of Reader.Next, and must not be written to. Times are
// in milliseconds since the epoch. An element with a Long value, of a Text, ListItem,
// Field or Slot, comes from a Reader made with OfBig only, and cannot be digested.
type Element struct {
	Kind     Kind
	Key      []byte
	Value    []byte
	Long     int64 // > 0: Value is not held, has so many bytes, and Reader.Parts gives them
	Score    float64
	ExpireAt int64 // of a hash field; 0 for none
	Index    uint64

	ID     ID
	Pairs  [][]byte // field, value, field, value, ... in order, repeated ones too
	Info   StreamInfo
	Read   uint64 // entries that the group has read, 2^64-1 if not known
	Time   int64
	Active int64 // the consumer last got an entry; -1 if never
	Count  uint64
}

// NackConsumer is the consumer that entries given back to their group (XNACK of
// Redis 8.8) belong to after conversion for a server that cannot leave a pending
// entry without one.
const NackConsumer = "rdbimport-nacked"
