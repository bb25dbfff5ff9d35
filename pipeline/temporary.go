package pipeline

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strconv"
	"sync"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// temporaryMark stands in the name of every key that a value is collected in
// before it gets its own name, behind the key's name. What is behind it is the
// number of the import and of the attempt.
const temporaryMark = ":rdbimport-tmp:"

// A TemporaryKey is a key on the target in which a large value is collected.
type TemporaryKey struct {
	DB  uint32 `json:"db"`
	Key []byte `json:"key"`
}

// temporaryEnd is what the names of temporary keys end with.
var temporaryEnd = regexp.MustCompile(temporaryMark + `[0-9a-f]+:[0-9]+(:[0-9a-z]+)?$`)

// IsTemporary reports whether a key's name is that of a temporary key.
func IsTemporary(key []byte) bool { return temporaryEnd.Match(key) }

// appendTouch appends the command that writes a key of that name, which is gone a
// millisecond later.
func appendTouch(dst, name []byte) []byte {
	w := wire{buf: dst}
	w.begin("RESTORE", name)
	w.int(1)
	w.bytes(rdbparse.AppendPayload(nil, &rdbparse.Entry{Type: rdbparse.TypeString.Info(), Value: []byte{0}}))
	w.word("REPLACE")
	w.end(0)
	return w.buf
}

// newRunID returns a number that no other import has.
func newRunID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// temporaryName returns a name in the slot of key that begins with key, so that
// what may be done to key may be done to it: the patterns of ACLs are prefixes
// mostly.
func temporaryName(key []byte, run string, attempt int) []byte {
	suffix := temporaryMark + run + ":" + strconv.Itoa(attempt)
	slot := slotter.Slot(key)
	open := bytes.IndexByte(key, '{')
	if open >= 0 && bytes.IndexByte(key[open+1:], '}') > 0 {
		return append(bytes.Clone(key), suffix...) // it has a tag of its own
	}
	name := bytes.Clone(key)
	if open < 0 {
		name = append(append(name, '{'), slotTags()[slot]...)
		return append(append(name, '}'), suffix...)
	}
	// The first brace opens no tag in the key, and would open one behind it.
	if bytes.IndexByte(key[open+1:], '}') == 0 {
		// "{}" is no tag wherever the name goes on: the whole name counts.
		return wholeName(name, suffix, slot)
	}
	return closedName(name, suffix, slot)
}

// wholeName appends to a name whose hash is that of all its bytes a number that
// brings it into the slot.
func wholeName(name []byte, suffix string, slot uint16) []byte {
	name = append(append(name, suffix...), ':')
	n := len(name)
	for i := 0; ; i++ {
		if name = strconv.AppendInt(name[:n], int64(i), 36); slotter.Slot(name) == slot {
			return name
		}
	}
}

// closedName appends to a name with a brace that nothing closes a number and the
// closing brace, so that what stands between them is in the slot.
func closedName(name []byte, suffix string, slot uint16) []byte {
	name = append(name, ':')
	n := len(name)
	for i := 0; ; i++ {
		name = append(strconv.AppendInt(name[:n], int64(i), 36), '}')
		if slotter.Slot(name) == slot {
			return append(name, suffix...)
		}
	}
}

// slotTags returns a short tag for each slot.
var slotTags = sync.OnceValue(func() *[slotter.Slots]string {
	var tags [slotter.Slots]string
	for i, left := 0, len(tags); left > 0; i++ {
		tag := strconv.FormatInt(int64(i), 36)
		if s := slotter.Slot([]byte(tag)); tags[s] == "" {
			tags[s] = tag
			left--
		}
	}
	return &tags
})
