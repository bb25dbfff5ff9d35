package pipeline

import "strconv"

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

// parseRestore takes apart what putRestore made. It is for the commands that
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
