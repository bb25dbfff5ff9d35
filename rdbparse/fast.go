package rdbparse

import "encoding/binary"

// fastKey reads a record of the most common form: an expiry, idle time or access
// count if there is any, a type whose value is one string, a key and a value of
// which the lengths are short, all of it at hand, and no value that is Big. That is most of most dumps, so
// it is read on locals, in one pass. It reports false, and has done nothing, for
// any other record: Next reads these, and would read this one in the same way.
func (s *Scanner) fastKey() bool {
	b := s.w.Buffered()
	if len(b) < 16 || s.prefix.begun {
		return false
	}
	e, i := &s.entry, 0
	expires, expireAt := false, int64(0)
	if b[0] == opExpireTimeMS {
		expires, expireAt = true, int64(binary.LittleEndian.Uint64(b[1:]))
		i = 9
	}
	idle, freq := int64(-1), int16(-1)
	switch b[i] {
	case opFreq:
		freq = int16(b[i+1])
		i += 2
	case opIdle:
		switch c := b[i+1]; {
		case c < 0x40:
			idle = int64(c)
			i += 2
		case c < 0x80:
			idle = int64(c&0x3f)<<8 | int64(b[i+2])
			i += 3
		default:
			return false
		}
	}
	row := s.types[b[i]]
	if row == nil || row.frame != frameString || row.head != 0 || i+3 > len(b) {
		return false
	}
	key, keyEnd := shortText(b, i+1)
	if keyEnd+2 > len(b) {
		return false
	}
	_, end := shortText(b, keyEnd)
	if c := b[keyEnd]; c >= 0xc0 && c <= 0xc2 { // an integer of 1, 2 or 4 bytes
		end = keyEnd + 1 + 1<<(c-0xc0)
	}
	if end > len(b) || end-keyEnd > s.most {
		return false
	}
	e.Record, e.DB, e.Type, e.Offset = RecordKey, s.db, row, s.w.Offset()
	e.Key, e.Value = b[key:keyEnd:keyEnd], b[keyEnd:end:end]
	e.Meta, e.Fields, e.Big = nil, nil, false
	e.Expires, e.ExpireAt, e.Idle, e.Freq = expires, expireAt, idle, freq
	s.w.Advance(end)
	return true
}

// shortText returns where the bytes of the plain string at b[i:] begin and end,
// if its length takes one or two bytes; otherwise an end far behind b.
func shortText(b []byte, i int) (from, to int) {
	if i+1 < len(b) {
		c := b[i]
		if c < 0x40 {
			return i + 1, i + 1 + int(c)
		}
		if c < 0x80 {
			return i + 2, i + 2 + int(c&0x3f)<<8 + int(b[i+1])
		}
	}
	return i, 1 << 40
}
