package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

func TestQuickCheck(t *testing.T) {
	dump := string(testDump(filler(10_000)))
	cut := dump[:len(dump)-20]
	diskless := "$EOF:" + testMark + "\r\n"
	tests := []struct {
		name, in string
		cut      bool
	}{
		{"whole", dump, false},
		{"cut", cut, true},
		{"cut in the checksum", dump[:len(dump)-1], true},
		{"only the magic", "REDIS0011", true},
		{"magic and little", "REDIS0011\xff1234567", true},
		{"smallest", "REDIS0011\xff12345678", false},
		{"no checksum yet", "REDIS0004" + cut[9:], false},
		{"valkey", "VALKEY080" + dump[9:], false},
		{"valkey cut", "VALKEY080" + cut[9:], true},
		{"captured mark", dump + testMark, false},
		{"captured mark cut", dump + testMark[:30], true},
		{"mark", diskless + dump + testMark, false},
		{"mark missing", diskless + dump, true},
		{"mark cut", diskless + dump + testMark[1:], true},
		{"AOF", dump + cmdSet, false},
		{"AOF cut", dump + cmdSet + cmdSet[:len(cmdSet)-3], false},
		{"AOF cut in a big value", "REDIS0009\xfa\x0caof-preamble\xc0\x01" + dump + filler(5000), false},
		{"AOF base of 7.0", "REDIS0011\xfa\x08aof-base\xc0\x01" + dump + filler(5000), false},
		{"no AOF base", "REDIS0011\xfa\x08aof-base\xc0\x00" + cut, true},
		{"line end added", dump + "\n", false},
		{"NULs added", dump + strings.Repeat("\x00", 512), true},
		{"reply", string(asReply([]byte(dump))), false},
		{"reply and commands", string(asReply([]byte(dump))) + cmdSet, false},
		{"reply cut", string(asReply([]byte(dump))[:5000]), true},
		{"gzip of a cut one", string(gzipped(t, []byte(cut))), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := opened(t, []byte(tt.in))
			err := s.QuickCheck()
			if errors.Is(err, ErrTruncated) != tt.cut || err != nil && (!strings.HasPrefix(err.Error(), s.Name()+": cut short: ") ||
				strings.Contains(err.Error(), "appended to it") != strings.Contains(err.Error(), "no end of a dump")) {
				t.Errorf("error %v, want one: %v", err, tt.cut)
			}
			if got, err := io.ReadAll(s); len(s.Wrappers()) == 0 && (err != nil || string(got) != tt.in) {
				t.Errorf("then read %d bytes, %v", len(got), err)
			}
			if err := streamed(t, bytes.NewReader([]byte(tt.in))).QuickCheck(); err != nil {
				t.Errorf("a stream: %v", err)
			}
		})
	}
}

// TestCorpusQuickCheck: no real dump is taken for a cut one, and most cut ones are seen.
func TestCorpusQuickCheck(t *testing.T) {
	seen, all := 0, 0
	err := filepath.WalkDir(corpus(t, ""), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".rdb" {
			return err
		}
		s, err := Open(context.Background(), path)
		if err != nil {
			return err
		}
		defer closeOK(t, s)
		if err := s.QuickCheck(); err != nil {
			t.Errorf("a whole dump: %v", err)
		}
		b, err := io.ReadAll(s)
		if err != nil || s.rdbVersion < checksumFrom || len(b) < 100 {
			return err
		}
		all++
		if errors.Is(opened(t, b[:len(b)-len(b)/3]).QuickCheck(), ErrTruncated) {
			seen++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if all == 0 || seen*10 < all*8 {
		t.Errorf("%d of %d cut dumps seen", seen, all)
	}
}
