package pipeline

import (
	"fmt"
	"strconv"
)

// An expiryQuery is how a target is asked when a key expires. Before Redis 7.0 it tells
// only the time that is left. What time it is there is asked for along with that: masters
// may differ in it, and when the answer is read here it may have been on its way for long.
type expiryQuery struct {
	command string // PEXPIRETIME or PTTL
	timed   bool   // TIME follows
}

// timeLeft is the query of servers before Redis 7.0.
var timeLeft = expiryQuery{"PTTL", true}

const timeCommand = "*1\r\n$4\r\nTIME\r\n"

// append appends the commands about one key.
func (q expiryQuery) append(dst, key []byte) []byte {
	dst = appendCommand(dst, q.command, key)
	if q.timed {
		dst = append(dst, timeCommand...)
	}
	return dst
}

// read reads the answers: when the key expires, in ms, -1 for never, -2 if it is not
// there; or an error that the target gave. otherwise is what time it is there if the
// target does not tell.
func (q expiryQuery) read(r *replyReader, otherwise func() int64) (at int64, refused string, err error) {
	rep, err := r.next()
	if err != nil {
		return 0, "", err
	}
	at, ok := parseInt(rep.text)
	switch {
	case rep.kind == '-':
		refused = string(rep.text)
	case rep.kind != ':' || !ok:
		return 0, "", fmt.Errorf("%w: %q in answer to %s", errProtocol, rep.text, q.command)
	}
	if q.timed {
		now, err := readTime(r, otherwise)
		if err != nil {
			return 0, "", err
		}
		if at >= 0 {
			at += now
		}
	}
	return at, refused, nil
}

// readTime reads the answer to TIME, in ms; otherwise gives it if the target does not
// tell.
func readTime(r *replyReader, otherwise func() int64) (int64, error) {
	rep, err := r.next()
	if err != nil {
		return 0, err
	}
	var parts [2]int64 // s, and µs beyond those
	switch {
	case rep.kind == '-':
		return otherwise(), nil
	case rep.kind != '*' || rep.size != int64(len(parts)):
		return 0, fmt.Errorf("%w: %q in answer to TIME", errProtocol, rep.text)
	}
	for i := range parts {
		if rep, err = r.next(); err != nil {
			return 0, err
		}
		parts[i], _ = parseInt(rep.text)
	}
	return parts[0]*1000 + parts[1]/1000, nil
}

// expiresAt asks when the key expires that is compared.
func (c *rangeCompare) expiresAt(q expiryQuery) (int64, error) {
	c.buf = q.append(c.buf, c.key)
	if err := c.send(); err != nil {
		return 0, err
	}
	at, refused, err := q.read(c.replies, c.clock)
	if refused != "" {
		err = &replyError{c.addr, refused}
	}
	return at, err
}

// expiryDiffers compares two expiries in the same terms, want with 0 for none and
// have with -1.
func expiryDiffers(want, have, tolerance int64) string {
	switch {
	case want == 0 && have == -1:
		return ""
	case want == 0:
		return "it has an expiry, and none in the dump"
	case have == -1:
		return "it has no expiry, and one in the dump"
	}
	if d := have - want; d > tolerance || d < -tolerance {
		if d < 0 {
			return "it expires " + strconv.FormatInt(-d, 10) + " ms sooner than in the dump"
		}
		return "it expires " + strconv.FormatInt(d, 10) + " ms later than in the dump"
	}
	return ""
}

// ttlTolerance is by how many ms the expiry of an existing key may be off. MIGRATE
// sends the time that is left, and so moves it by a few ms whenever a slot moves;
// and before Redis 7.0 it can only be read as the time that is left.
const ttlTolerance = 1500
