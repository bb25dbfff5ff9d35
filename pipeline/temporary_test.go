package pipeline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rdbimport/rdbimport/slotter"
)

func TestTemporaryName(t *testing.T) {
	keys := []string{"", "a", "user:1", "{", "}", "{}", "}{", "{}{}", "a{b}c", "a{b", "a}b", "a{}b", "a{}{x}", "{{", "{{}", "{{}}", "a{b{c", "}a{b}", "}a{b",
		"\x00", "\r\n{\xff}", "{\x00}", "x{", "x{}", "}}}", "{a}{b}", ":rdbimport-tmp:"}
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := "{}ab\x00\xff"
	for range 2000 {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		keys = append(keys, string(b))
	}
	for _, key := range keys {
		name := temporaryName([]byte(key), "0011aa", 3)
		if !bytes.HasPrefix(name, []byte(key)) || !IsTemporary(name[len(key):]) {
			t.Fatalf("key %q: name %q", key, name)
		}
		if slotter.Slot(name) != slotter.Slot([]byte(key)) {
			t.Fatalf("key %q is in slot %d, %q in slot %d", key, slotter.Slot([]byte(key)), name, slotter.Slot(name))
		}
		if other := temporaryName([]byte(key), "0011aa", 4); bytes.Equal(name, other) {
			t.Fatalf("key %q: two attempts have the name %q", key, name)
		}
	}
}

func TestSlotTags(t *testing.T) {
	for slot, tag := range slotTags() {
		if got := slotter.Slot(fmt.Appendf(nil, "x{%s}y", tag)); got != uint16(slot) {
			t.Fatalf("tag %q of slot %d is in slot %d", tag, slot, got)
		}
	}
}
