package floor

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// pieceSize is how many bytes are written at a time, which is what an import
// with its default budget writes.
const pieceSize = 256 << 10

// A Stream holds the commands for one master.
type Stream struct {
	Addr     string // of the master, host:port
	Commands int64
	Bytes    int64

	pieces [][]byte // full, but for the last
}

// Options say what an import would do.
type Options struct {
	// Now is the target's time: a key that has expired by then is left out, as an
	// import leaves it out.
	Now time.Time
	// Replace overwrites keys that exist.
	Replace bool
	// Merge puts the keys of all databases into the one that the connections have
	// selected. Without it a key of another database than 0 is an error.
	Merge bool
	// Skip tells which keys to leave out, since an import would not send them as
	// they stand in the dump; nil for none.
	Skip func(e *rdbparse.Entry) bool
}

// Errors of Render about dumps that it cannot do as an import would.
var (
	errDatabases = errors.New("the dump has keys in another database than 0")
	errNoRestore = errors.New("RESTORE takes no value of this type")
)

// Render reads a dump and renders the RESTORE commands that an import sends to a
// target that takes every value as it stands in the dump, by master, in the order
// of the dump. Everything is held in memory. Only keys are rendered, not function
// libraries; a value of a type that RESTORE cannot take is an error.
func Render(dump io.Reader, m *slotter.Map, o Options) ([]*Stream, error) {
	now := o.Now.UnixMilli()
	streams := make([]*Stream, len(m.Masters))
	for i, master := range m.Masters {
		streams[i] = &Stream{Addr: master.Addr}
	}
	sc := rdbparse.NewScanner(dump, rdbparse.Options{})
	var cmd []byte
	for sc.Next() {
		e := sc.Entry()
		switch {
		case e.Record != rdbparse.RecordKey, e.Expires && e.ExpireAt <= now, o.Skip != nil && o.Skip(e):
			continue
		case e.DB != 0 && !o.Merge:
			return nil, errDatabases
		case e.Type.Version == 0:
			return nil, fmt.Errorf("offset %d: %w: %s", e.Offset, errNoRestore, e.Type.Type)
		}
		owner := m.Owner(slotter.Slot(e.Key))
		if owner < 0 {
			return nil, fmt.Errorf("slot %d has no owner", slotter.Slot(e.Key))
		}
		cmd = appendRestore(cmd[:0], e, o.Replace)
		streams[owner].add(cmd)
	}
	return streams, sc.Err()
}

// add appends a command, which may go over the edge of a piece.
func (s *Stream) add(cmd []byte) {
	s.Commands++
	s.Bytes += int64(len(cmd))
	for len(cmd) > 0 {
		last := len(s.pieces) - 1
		if last < 0 || len(s.pieces[last]) == pieceSize {
			s.pieces = append(s.pieces, make([]byte, 0, pieceSize))
			last++
		}
		n := min(len(cmd), pieceSize-len(s.pieces[last]))
		s.pieces[last] = append(s.pieces[last], cmd[:n]...)
		cmd = cmd[n:]
	}
}

// appendRestore appends RESTORE key ttl payload [REPLACE] [ABSTTL] [FREQ n |
// IDLETIME n].
func appendRestore(dst []byte, e *rdbparse.Entry, replace bool) []byte {
	args := 4
	if replace {
		args++
	}
	if e.Expires {
		args++
	}
	if e.Freq >= 0 || e.Idle >= 0 {
		args += 2
	}
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(args), 10)
	dst = append(dst, "\r\n$7\r\nRESTORE\r\n"...)
	dst = appendBulk(dst, e.Key)
	ttl := int64(0)
	if e.Expires {
		ttl = e.ExpireAt
	}
	dst = appendNumber(dst, ttl)
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(rdbparse.PayloadSize(e)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(rdbparse.AppendPayload(dst, e), "\r\n"...)
	if replace {
		dst = append(dst, "$7\r\nREPLACE\r\n"...)
	}
	if e.Expires {
		dst = append(dst, "$6\r\nABSTTL\r\n"...)
	}
	switch {
	case e.Freq >= 0:
		dst = append(dst, "$4\r\nFREQ\r\n"...)
		dst = appendNumber(dst, int64(e.Freq))
	case e.Idle >= 0:
		dst = append(dst, "$8\r\nIDLETIME\r\n"...)
		dst = appendNumber(dst, e.Idle)
	}
	return dst
}

func appendBulk(dst, text []byte) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}

func appendNumber(dst []byte, n int64) []byte {
	var digits [20]byte
	return appendBulk(dst, strconv.AppendInt(digits[:0], n, 10))
}
