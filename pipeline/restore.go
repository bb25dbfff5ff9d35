package pipeline

import (
	"unsafe"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A dialect is what RESTORE of the target understands.
type dialect struct {
	replace  bool // overwrite existing keys
	absolute bool // ABSTTL, IDLETIME and FREQ: Redis 5.0 and newer
}

// A form is how keys become commands: in a dialect, and with a prefix before each
// key's name.
type form struct {
	dialect
	prefix prefix
}

// A prefix stands before the name of each key on the target.
type prefix []byte

// slot returns the slot of a key behind the prefix.
func (p *prefix) slot(key []byte) uint16 {
	if len(*p) == 0 {
		return slotter.Slot(key)
	}
	name := append(*p, key...)
	*p = name[:len(*p)] // with the room that name has
	return slotter.Slot(name)
}

// ttl returns the expiry of a key as RESTORE of the target wants it, 0 for none.
func (im *Importer) ttl(e *rdbparse.Entry) int64 {
	switch {
	case !e.Expires:
		return 0
	case im.dialect.absolute:
		return e.ExpireAt
	}
	return max(1, e.ExpireAt-im.clock.now.Load())
}

// restoreOverhead bounds the bytes of a RESTORE command beside prefix, key and
// payload.
const restoreOverhead = 192

// room returns how many bytes putRestore wants for e.
func (f *form) room(e *rdbparse.Entry) int {
	return len(f.prefix) + len(e.Key) + rdbparse.PayloadSize(e) + restoreOverhead
}

// Pieces of a command.
var (
	restoreHead = [18]byte([]byte("*4\r\n$7\r\nRESTORE\r\n$"))
	noExpiry    = [10]byte([]byte("\r\n$1\r\n0\r\n$"))
	replaceWord = [13]byte([]byte("$7\r\nREPLACE\r\n"))
	absTTLWord  = [12]byte([]byte("$6\r\nABSTTL\r\n"))
	freqWord    = [10]byte([]byte("$4\r\nFREQ\r\n"))
	idleWord    = [14]byte([]byte("$8\r\nIDLETIME\r\n"))
)

// putRestore writes the command RESTORE for e to b, and returns how many bytes that
// is. ttl is the expiry as the dialect wants it, in milliseconds since the epoch or
// from now, 0 for none. b must have the room that room says.
//
// All of it that every command has is written through p, after one look at the room:
// slices of b, and their bounds looked at for each piece, are half of the work otherwise.
func (f *form) putRestore(b []byte, e *rdbparse.Entry, ttl int64) int {
	name, size := len(f.prefix)+len(e.Key), rdbparse.PayloadSize(e)
	if len(b) < name+size+restoreOverhead {
		panic("pipeline: no room for a command")
	}
	start := unsafe.Pointer(unsafe.SliceData(b))
	*(*[18]byte)(start) = restoreHead
	p := putNumber(unsafe.Add(start, len(restoreHead)), name)
	if len(f.prefix) > 0 {
		p = putText(p, f.prefix)
	}
	p = putText(p, e.Key)
	if ttl == 0 {
		*(*[10]byte)(p) = noExpiry
		p = unsafe.Add(p, len(noExpiry))
	} else {
		p = unsafe.Add(p, putExpiry((*[40]byte)(p)[:], ttl))
	}
	p = putNumber(p, size)
	n := int(uintptr(p) - uintptr(start))
	n += rdbparse.PutPayload(b[n:], e)
	*(*[2]byte)(unsafe.Add(start, n)) = [2]byte{'\r', '\n'}
	n += 2
	if f.replace || f.absolute && (ttl != 0 || e.Idle >= 0 || e.Freq >= 0) {
		n = f.putOptions(b, n, e, ttl)
	}
	return n
}

// putNumber writes a number that is not negative and the end of the line to p, and
// returns where they end. It may write 8 bytes more. It is small, and so part of its
// caller.
func putNumber(p unsafe.Pointer, n int) unsafe.Pointer {
	if n >= len(shortNumbers) {
		return putLongNumber(p, n)
	}
	*(*[8]byte)(p) = shortNumbers[n]
	return unsafe.Add(p, shortNumbers[n][7])
}

//go:noinline
func putLongNumber(p unsafe.Pointer, n int) unsafe.Pointer {
	b := (*[32]byte)(p)[:]
	size := putDigits(b, uint64(n))
	*(*[2]byte)(b[size:]) = [2]byte{'\r', '\n'}
	return unsafe.Add(p, size+2)
}

// putText copies s to p and returns where it ends. For most names two moves, of which
// the second may write again what the first has written, take the place of a call.
func putText(p unsafe.Pointer, s []byte) unsafe.Pointer {
	if n := len(s); n >= 8 && n <= 16 {
		from := unsafe.Pointer(unsafe.SliceData(s))
		*(*[8]byte)(p) = *(*[8]byte)(from)
		*(*[8]byte)(unsafe.Add(p, n-8)) = *(*[8]byte)(unsafe.Add(from, n-8))
	} else {
		copy(unsafe.Slice((*byte)(p), n), s)
	}
	return unsafe.Add(p, len(s))
}

// putExpiry writes what stands between the key's name and the length of the payload,
// as noExpiry does for a key without one, and returns how many bytes that is.
func putExpiry(b []byte, ttl int64) int {
	*(*[2]byte)(b) = [2]byte{'\r', '\n'}
	n := 2 + putBulkNumber(b[2:], ttl)
	b[n] = '$'
	return n + 1
}

// putOptions writes what follows the payload, where the command has n bytes so far and
// four arguments, counts it in its head, and returns how many bytes it then has.
func (f *form) putOptions(b []byte, n int, e *rdbparse.Entry, ttl int64) int {
	if f.replace {
		*(*[13]byte)(b[n:]) = replaceWord
		n += len(replaceWord)
		b[1]++
	}
	if !f.absolute {
		return n
	}
	if ttl != 0 {
		*(*[12]byte)(b[n:]) = absTTLWord
		n += len(absTTLWord)
		b[1]++
	}
	switch {
	case e.Freq >= 0:
		*(*[10]byte)(b[n:]) = freqWord
		n += len(freqWord)
		n += putBulkNumber(b[n:], int64(e.Freq))
		b[1] += 2
	case e.Idle >= 0:
		*(*[14]byte)(b[n:]) = idleWord
		n += len(idleWord)
		n += putBulkNumber(b[n:], e.Idle)
		b[1] += 2
	}
	return n
}
