package source

import (
	"bytes"
	"fmt"
	"io"
)

const (
	opEOF        = 0xff
	footerSize   = 1 + 8 // opcode and CRC64
	checksumFrom = 5     // first RDB version with a checksum
	// tailWindow is how much of a file's end is searched for signs of logged commands.
	tailWindow = 4 << 10
)

// QuickCheck looks at the last bytes of an uncompressed regular file and reports with an error that matches
// ErrTruncated if they cannot be the end of a dump. nil means that they can, or that it cannot be told this way: by
// chance one cut in 256 looks whole, so only the reading of everything is proof. What Read gives is not changed.
func (s *Source) QuickCheck() error {
	if !s.Seekable() {
		return nil
	}
	if s.reply != nil && s.reply.mark == nil {
		if have := s.size - s.base; have < s.body.length {
			found := fmt.Sprintf("its header announces %d bytes, the file holds %d of them", s.body.length, have)
			return s.wrong(ErrTruncated, found, hintAgain)
		}
		return nil // commands or anything else may follow
	}
	if s.rdbVersion < checksumFrom {
		return nil
	}
	end := make([]byte, min(s.size-s.base, tailWindow))
	if _, err := s.file.ReadAt(end, s.start+s.size-int64(len(end))); err != nil && err != io.EOF {
		return s.named(bare(err))
	}
	if endsDump(end, s.reply != nil) || s.mayHoldCommands(end) {
		return nil
	}
	return s.wrong(ErrTruncated, "its last bytes are no end of a dump (EOF opcode and checksum)", hintAgain+
		"; or something was appended to it: through a pipe, rdbimport - TARGET < FILE, the dump is read up to its end")
}

// endsDump reports whether b may end with a footer, perhaps with an end mark behind it.
func endsDump(b []byte, needMark bool) bool {
	if n := len(b) - markSize; n >= 0 && isMark(b[n:]) {
		if footerAt(b[:n]) {
			return true
		}
	}
	return !needMark && footerAt(b)
}

func footerAt(b []byte) bool { return len(b) >= magicSize+footerSize && b[len(b)-footerSize] == opEOF }

// mayHoldCommands is true for a file that is, or may be, an RDB with commands behind it, or with a line end that some
// transfer added.
func (s *Source) mayHoldCommands(end []byte) bool {
	head := s.layers[len(s.layers)-1].seen()
	for _, field := range []string{"aof-preamble\xc0\x01", "aof-base\xc0\x01"} {
		if bytes.Contains(head, []byte(field)) {
			return true
		}
	}
	return bytes.HasSuffix(end, []byte("\n")) || bytes.Contains(end, []byte("\r\n$"))
}
