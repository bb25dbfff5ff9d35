package pipeline

import (
	"fmt"
	"time"
)

// A Conflict says what to do about a key that exists on the target.
type Conflict uint8

// The conflict policies.
const (
	// ConflictFail reads the key back: the same value and expiry is no conflict,
	// another stops the import.
	ConflictFail Conflict = iota
	// ConflictReplace overwrites it.
	ConflictReplace
	// ConflictSkip leaves it as it is.
	ConflictSkip
)

var conflictNames = [...]string{"fail", "replace", "skip"}

// String returns the policy's name on the command line.
func (c Conflict) String() string { return conflictNames[c] }

// ParseConflict returns the policy of that name.
func ParseConflict(name string) (Conflict, error) {
	for i, n := range conflictNames {
		if n == name {
			return Conflict(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no conflict policy; it is fail, replace or skip", name)
}

// AllDatabases is the value of Databases.Only that leaves no database out.
const AllDatabases = -1

// Databases says what becomes of the databases of a dump. The zero value is not
// useful: Only must be AllDatabases where no database is picked.
type Databases struct {
	// Only is the one database of the dump that is imported, or AllDatabases.
	Only int
	// Merge puts the keys of all databases into one.
	Merge bool
	// Prefix is put before each key's name, with %d for the number of its
	// database: "db%d:". Empty for none. It implies Merge.
	Prefix string
}

// Options are the settings of an import. The zero value works, but for
// Databases.
type Options struct {
	Conflict  Conflict
	Databases Databases

	// Memory is the budget in bytes for batches; 0 is DefaultMemory.
	Memory int64
	// Lanes is the number of connections per master. 0 is 1, and more to masters that are
	// far if more of them carry more. It is 1 where keys of two databases can be given
	// one name.
	Lanes int
	// Encoders is the number of goroutines that render commands beside the one that
	// scans the dump: 0 is what fits the processors, the masters and the rate, none
	// where these are few or low; -1 is none. Where the order of keys counts there are
	// none in any case.
	Encoders int
	// RetryTimeout is how long a master may go without one accepted reply
	// before the import stops; 0 is DefaultRetryTimeout.
	RetryTimeout time.Duration
	// SkipDamaged goes on when a value does not fit its own encoding: the key is
	// counted. Otherwise the import stops.
	SkipDamaged bool
	// DropFieldTTL sends hashes whose fields expire to servers that cannot keep
	// that: the fields then stay for ever.
	DropFieldTTL bool
	// AllowModules sends values of modules to servers that exit when the module
	// is not loaded, Redis 6.0 and older.
	AllowModules bool
	// WaitReplicas is how many replicas must have a key before it counts as
	// restored; 0 is none.
	WaitReplicas int
	// Rate and RateKeys bound the bytes and keys sent per second, to all masters
	// together; 0 is no bound.
	Rate, RateKeys int64
	// Expect is how many bytes are about to be imported, 0 if that is not known.
	// It is for warnings only.
	Expect int64
	// WaitOnOOM waits when a master is out of memory, in place of stopping.
	WaitOnOOM bool
	// Marks makes Settled work, for checkpoints. There must then be one Feeder
	// only.
	Marks bool
	// BigValue is the size in bytes of a value from which on it is not held as a
	// whole but written in pieces; 0 is HeldValue of the budget.
	BigValue int64
	// Temporary is told of all keys that large values are collected in, whenever
	// there is a new one, before that is made. It must not call the Importer.
	Temporary func([]TemporaryKey)
	// Leftovers are such keys of an earlier import: they are removed.
	Leftovers []TemporaryKey
	// Refused is told of each key that is refused. It is called from several
	// goroutines, and the key is borrowed.
	Refused func(Refusal)
	// Missed is told of the place in the dump of each record that is no key and that is
	// left out: of a function library or script that a master has refused, or an expiry
	// that no command restores. It is called from several goroutines.
	Missed func(offset int64)
	// Timed is told, for each batch whose replies have all come, how long that took
	// since the first byte of it was written to the master at addr. It is called
	// from the goroutine of each lane, which waits for it; nil asks no clock.
	Timed func(addr string, took time.Duration)
	// Warn is told, in one line of text, what a user should know while the
	// import goes on. It is called from several goroutines, and must not call the
	// Importer.
	Warn func(text string)
}

// Defaults of Options.
const (
	DefaultMemory       = 64 << 20
	DefaultRetryTimeout = 60 * time.Second
)

// Bounds of what is held of one value, in bytes.
const (
	// autoBig is the size above which strings and values of modules are streamed and
	// streams written in pieces, and autoParts that above which all others are. RESTORE keeps a master busy
	// for up to 150 ms a MiB of a sorted set and 125 of a set, hash or list, as
	// measured with members that are numbers; for 25 ms with a string that
	// compresses to one.
	autoBig   = 4 << 20
	autoParts = 1 << 20
	// heldShare is the part of the budget that one value may take.
	heldShare = 16
	mostShare = 4 // where the user says how large
)

// HeldValue returns how many bytes of a value are held: the MaxValue of the
// Scanners whose entries a Feeder is given. Larger ones are streamed.
func (o Options) HeldValue() int {
	o = o.withDefaults()
	if o.BigValue > 0 {
		return int(min(o.BigValue, o.Memory/mostShare))
	}
	return o.textLimit()
}

// HeldParts is the same for values of many parts: the MaxParts of the Scanners.
func (o Options) HeldParts() int {
	if o.BigValue > 0 {
		return o.HeldValue()
	}
	return min(autoParts, o.HeldValue())
}

// textLimit is how many bytes are held of a part of a value that is streamed.
func (o Options) textLimit() int { return int(min(autoBig, o.withDefaults().Memory/heldShare)) }

func (o Options) withDefaults() Options {
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.RetryTimeout <= 0 {
		o.RetryTimeout = DefaultRetryTimeout
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Missed == nil {
		o.Missed = func(int64) {}
	}
	return o
}
