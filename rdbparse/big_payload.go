package rdbparse

import (
	"encoding/binary"

	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
)

// CopyPayload gives f the argument of RESTORE for e, as AppendPayload makes it, piece by
// piece: borrowed, valid until f returns. The bytes of the value are those that value
// gives, as BigValue.Copy does; errors are its own.
func CopyPayload(e *Entry, value func(f func(p []byte) error) error, f func(p []byte) error) error {
	version := e.Type.Version
	head := make([]byte, 0, len(e.Meta)+1)
	if e.Meta != nil {
		head = append(head, e.Meta...)
		version = max(version, metaVersion)
	}
	head = append(head, e.Type.Type.Byte())
	sum := crc64.Update(0, head)
	if err := f(head); err != nil {
		return err
	}
	err := value(func(p []byte) error {
		sum = crc64.Update(sum, p)
		return f(p)
	})
	if err != nil {
		return err
	}
	foot := binary.LittleEndian.AppendUint16(nil, version)
	return f(binary.LittleEndian.AppendUint64(foot, crc64.Update(sum, foot)))
}
