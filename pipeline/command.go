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

// appendRestore appends the command RESTORE for e to dst. prefix goes before the
// key's name; ttl is the expiry as the dialect wants it, in milliseconds since
// the epoch or from now, 0 for none. It does not allocate if dst has room for
// restoreOverhead bytes beside prefix, key and payload.
func appendRestore(dst []byte, d dialect, prefix []byte, e *rdbparse.Entry, ttl int64) []byte {
	args := byte(4)
	if d.replace {
		args++
	}
	absolute := d.absolute && ttl != 0
	idle, freq := d.absolute && e.Idle >= 0, d.absolute && e.Freq >= 0
	if absolute {
		args++
	}
	if freq {
		args += 2
	} else if idle {
		args += 2
	}
	dst = append(dst, '*', '0'+args)
	dst = append(dst, "\r\n$7\r\nRESTORE\r\n$"...)
	dst = strconv.AppendUint(dst, uint64(len(prefix)+len(e.Key)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, prefix...)
	dst = append(dst, e.Key...)
	dst = append(dst, '\r', '\n')
	if ttl == 0 {
		dst = append(dst, "$1\r\n0\r\n$"...)
	} else {
		dst = appendNumber(dst, ttl)
		dst = append(dst, '$')
	}
	dst = strconv.AppendUint(dst, uint64(rdbparse.PayloadSize(e)), 10)
	dst = append(dst, '\r', '\n')
	dst = rdbparse.AppendPayload(dst, e)
	dst = append(dst, '\r', '\n')
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
