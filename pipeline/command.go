package pipeline

import (
	"strconv"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A dialect is what RESTORE of the target understands.
type dialect struct {
	replace  bool // overwrite existing keys
	absolute bool // ABSTTL, IDLETIME and FREQ: Redis 5.0 and newer
}

// restoreOverhead bounds the bytes of a RESTORE command beside prefix, key and
// payload.
const restoreOverhead = 192

// heads are the beginnings of a RESTORE command by its number of arguments.
var heads = func() (h [10][len(restoreHead)]byte) {
	for n := range h {
		h[n] = [len(restoreHead)]byte([]byte(restoreHead))
		h[n][1] = '0' + byte(n)
	}
	return h
}()

const restoreHead = "*4\r\n$7\r\nRESTORE\r\n$"

// Pieces of a command. They are stored whole, so that one for which there is no
// room is no shorter command but a panic.
var (
	noExpiry    = [10]byte([]byte("\r\n$1\r\n0\r\n$"))
	replaceWord = [13]byte([]byte("$7\r\nREPLACE\r\n"))
	absTTLWord  = [12]byte([]byte("$6\r\nABSTTL\r\n"))
	freqWord    = [10]byte([]byte("$4\r\nFREQ\r\n"))
	idleWord    = [14]byte([]byte("$8\r\nIDLETIME\r\n"))
)

// appendRestore appends the command RESTORE for e to dst. prefix goes before the
// key's name; ttl is the expiry as the dialect wants it, in milliseconds since
// the epoch or from now, 0 for none. dst must have room for restoreOverhead
// bytes beside prefix, key and payload; nothing is allocated then.
func appendRestore(dst []byte, d dialect, prefix []byte, e *rdbparse.Entry, ttl int64) []byte {
	args := 4
	if d.replace {
		args++
	}
	absolute := d.absolute && ttl != 0
	idle, freq := d.absolute && e.Idle >= 0, d.absolute && e.Freq >= 0
	if absolute {
		args++
	}
	if freq || idle {
		args += 2
	}
	b := dst[len(dst):cap(dst)]
	*(*[len(restoreHead)]byte)(b) = heads[args]
	n := len(restoreHead)
	n += putNumber(b[n:], len(prefix)+len(e.Key))
	if len(prefix) > 0 {
		n += copy(b[n:], prefix)
	}
	n += copy(b[n:], e.Key)
	if ttl == 0 {
		*(*[10]byte)(b[n:]) = noExpiry
		n += len(noExpiry)
	} else {
		*(*[2]byte)(b[n:]) = [2]byte{'\r', '\n'}
		n += 2
		n += putBulkNumber(b[n:], ttl)
		b[n] = '$'
		n++
	}
	n += putNumber(b[n:], rdbparse.PayloadSize(e))
	n += rdbparse.PutPayload(b[n:], e)
	*(*[2]byte)(b[n:]) = [2]byte{'\r', '\n'}
	n += 2
	if args > 4 {
		n += putOptions(b[n:], d.replace, absolute, freq, idle, e)
	}
	return dst[:len(dst)+n]
}

// putOptions writes what follows the payload of a RESTORE, and returns how many
// bytes that is.
func putOptions(b []byte, overwrite, absolute, freq, idle bool, e *rdbparse.Entry) int {
	n := 0
	if overwrite {
		*(*[13]byte)(b[n:]) = replaceWord
		n += len(replaceWord)
	}
	if absolute {
		*(*[12]byte)(b[n:]) = absTTLWord
		n += len(absTTLWord)
	}
	switch {
	case freq:
		*(*[10]byte)(b[n:]) = freqWord
		n += len(freqWord)
		n += putBulkNumber(b[n:], int64(e.Freq))
	case idle:
		*(*[14]byte)(b[n:]) = idleWord
		n += len(idleWord)
		n += putBulkNumber(b[n:], e.Idle)
	}
	return n
}

// appendCommand appends a command of the given words and one key.
func appendCommand(dst []byte, word string, key []byte) []byte {
	dst = append(dst, "*2\r\n$"...)
	dst = strconv.AppendInt(dst, int64(len(word)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, word...)
	dst = append(dst, "\r\n$"...)
	dst = strconv.AppendInt(dst, int64(len(key)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, key...)
	return append(dst, '\r', '\n')
}

// A restore is a RESTORE command taken apart again. Its slices lie in the
// command.
type restore struct {
	key, payload []byte
	ttl          int64
}

// parseRestore takes apart what appendRestore made. It is for the commands that
// need care, not for all.
func parseRestore(cmd []byte) restore {
	var r restore
	_, cmd = nextLine(cmd) // the number of arguments
	_, cmd = nextBulk(cmd) // RESTORE
	r.key, cmd = nextBulk(cmd)
	ttl, cmd := nextBulk(cmd)
	r.ttl, _ = strconv.ParseInt(string(ttl), 10, 64)
	r.payload, _ = nextBulk(cmd)
	return r
}

func nextLine(b []byte) (line, rest []byte) {
	i := 0
	for b[i] != '\r' {
		i++
	}
	return b[:i], b[i+2:]
}

func nextBulk(b []byte) (arg, rest []byte) {
	line, b := nextLine(b)
	n := 0
	for _, c := range line[1:] {
		n = 10*n + int(c-'0')
	}
	return b[:n:n], b[n+2:]
}
