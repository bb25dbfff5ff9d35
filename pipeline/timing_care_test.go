package pipeline

import (
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// TestSentAsIs looks at keys that two servers take as they stand, or not.
func TestSentAsIs(t *testing.T) {
	key := func(typ rdbparse.Type, value string) *rdbparse.Entry {
		return &rdbparse.Entry{Type: typ.Info(), Key: []byte("k"), Value: []byte(value), Idle: -1, Freq: -1}
	}
	meta, big, long := key(rdbparse.TypeString, "\x01v"), key(rdbparse.TypeString, ""), key(rdbparse.TypeString, "\x01v")
	meta.Meta, big.Big, long.Key = []byte{1}, true, make([]byte, 1000)
	const listpack = "\x07\x07\x00\x00\x00\x00\x00\xff" // of nothing
	for name, tc := range map[string]struct {
		e          *rdbparse.Entry
		on60, on70 bool
	}{
		"string":                   {key(rdbparse.TypeString, "\x01v"), true, true},
		"set":                      {key(rdbparse.TypeSet, "\x01\x01m"), true, true},
		"set without members":      {key(rdbparse.TypeSet, "\x00"), false, false},
		"string without bytes":     {key(rdbparse.TypeString, "\x00"), true, true},
		"damaged set":              {key(rdbparse.TypeSet, "\x02\x01m"), false, true},
		"hash as listpack":         {key(rdbparse.TypeHashListpack, listpack), false, true},
		"set as listpack":          {key(rdbparse.TypeSetListpack, listpack), false, false},
		"module":                   {key(rdbparse.TypeModule2, "\x80"), false, true},
		"metadata":                 {meta, false, false},
		"longer than may be held":  {big, false, false},
		"longer than may be sent":  {long, false, false},
		"of a type not restorable": {key(rdbparse.TypeModulePreGA, "\x80"), false, false},
	} {
		for version, want := range map[uint16]bool{600: tc.on60, 700: tc.on70} {
			v := element.ServerVersion{Version: int(version)}
			im := &Importer{target: target{care: makeCare(v, false), maxCommand: 1000, version: v}}
			if got := im.SentAsIs()(tc.e); got != want {
				t.Errorf("%s to %v: %v", name, v, got)
			}
		}
	}
}
