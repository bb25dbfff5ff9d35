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

// shortNumbers are the numbers below their count, with the end of the line
// behind them; the last byte says how many bytes that is.
var shortNumbers = func() (all [1024][8]byte) {
	for n := range all {
		text := strconv.AppendInt(all[n][:0], int64(n), 10)
		text = append(text, '\r', '\n')
		all[n][7] = byte(len(text))
	}
	return all
}()

// putNumber writes a number and the end of the line to b, which has room for 8
// bytes more than that, and returns how many bytes these are.
func putNumber(b []byte, n int) int {
	if uint(n) < uint(len(shortNumbers)) {
		short := &shortNumbers[n]
		*(*[8]byte)(b) = *short
		return int(short[7])
	}
	return len(append(strconv.AppendInt(b[:0], int64(n), 10), '\r', '\n'))
}

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
	n += copy(b[n:], prefix)
	n += copy(b[n:], e.Key)
	if ttl == 0 {
		*(*[10]byte)(b[n:]) = [10]byte{'\r', '\n', '$', '1', '\r', '\n', '0', '\r', '\n', '$'}
		n += 10
	} else {
		*(*[2]byte)(b[n:]) = [2]byte{'\r', '\n'}
		n = len(appendNumber(b[:n+2], ttl))
		b[n] = '$'
		n++
	}
	n += putNumber(b[n:], rdbparse.PayloadSize(e))
	dst = rdbparse.AppendPayload(dst[:len(dst)+n], e)
	dst = append(dst, '\r', '\n')
	if args == 4 {
		return dst
	}
	if d.replace {
		dst = append(dst, "$7\r\nREPLACE\r\n"...)
	}
	if absolute {
		dst = append(dst, "$6\r\nABSTTL\r\n"...)
	}
	switch {
	case freq:
		dst = append(dst, "$4\r\nFREQ\r\n"...)
		dst = appendNumber(dst, int64(e.Freq))
	case idle:
		dst = append(dst, "$8\r\nIDLETIME\r\n"...)
		dst = appendNumber(dst, e.Idle)
	}
	return dst
}

// appendNumber appends a number that is not negative as a bulk string.
func appendNumber(dst []byte, n int64) []byte {
	digits := byte(1)
	for x := n; x >= 10; x /= 10 {
		digits++
	}
	dst = append(dst, '$')
	if digits >= 10 {
		dst = append(dst, '1', '0'+digits-10)
	} else {
		dst = append(dst, '0'+digits)
	}
	dst = append(dst, '\r', '\n')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
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
