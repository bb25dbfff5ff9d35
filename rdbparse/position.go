package rdbparse

import (
	"fmt"
	"io"
)

// A Position is a place between two records of a dump from which it can be read
// on, with what has to be known of everything before. It can be kept as JSON.
type Position struct {
	Offset  int64  `json:"offset"` // of the next record, from the dump's magic
	Sum     uint64 `json:"crc64"`  // of all bytes before
	DB      uint32 `json:"db"`
	Version int    `json:"rdb_version"`
	Valkey  bool   `json:"valkey,omitempty"`
	Dialect uint16 `json:"dialect,omitempty"`
}

// Position returns the place behind the current entry. It reports false where
// reading on from there is not possible: hash templates stand before it, it is
// between what belongs to one key, or the entry is Big and the value has not been
// read to its end.
func (s *Scanner) Position() (Position, bool) {
	if !s.begun || s.err != nil || s.entry.Big && !s.big.atEnd() || s.prefix.begun || s.templates.byID != nil {
		return Position{}, false
	}
	return Position{
		Offset: s.w.Offset(), Sum: s.w.Sum(), DB: s.db,
		Version: s.version, Valkey: s.valkey, Dialect: uint16(s.dialect),
	}, true
}

// ResumeScanner returns a Scanner that goes on at p. The next byte of r must be
// the one at p.Offset.
func ResumeScanner(r io.Reader, p Position, opts Options) (*Scanner, error) {
	s := NewScanner(r, opts)
	s.begun = true
	s.version, s.valkey, s.db = p.Version, p.Valkey, p.DB
	switch s.dialect = Type(p.Dialect); s.dialect {
	case redisDialect:
		s.types = redisTypes
	case valkeyDialect:
		s.types = valkeyTypes
	case dragonflyDialect:
		s.types = dragonflyTypes
	default:
		return nil, fmt.Errorf("position of an unknown dialect %d", p.Dialect)
	}
	s.w.StartAt(p.Offset, p.Sum)
	if !opts.SkipChecksum {
		s.w.StartSum()
	}
	return s, nil
}
