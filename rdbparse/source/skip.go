package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Identity tells one dump from another without reading all of it.
type Identity struct {
	Size   int64  `json:"size"`   // of the raw input, -1 if unknown
	Bytes  int64  `json:"bytes"`  // how many first bytes of it Hash covers
	SHA256 string `json:"sha256"` // of these, in hex
}

// Identity covers the first 64 KiB of the raw input, or as much as has been read of a stream; so a checkpoint of a
// stream asks for it late. It may be called while another goroutine reads.
func (s *Source) Identity() (Identity, error) {
	head := s.in.seen()
	if s.regular {
		head = make([]byte, min(s.size, headSize))
		n, err := s.file.ReadAt(head, s.start)
		if err != nil && err != io.EOF {
			return Identity{}, s.named(bare(err))
		}
		head = head[:n]
	}
	return Identity{Size: s.size, Bytes: int64(len(head)), SHA256: hash(head)}, nil
}

// Matches reports whether this source may be the one that id was taken of: the same first bytes, and the same size
// where both are known. Of a stream it reads up to id.Bytes ahead, which waits for them; so it must not run together
// with Read, and comes before SkipTo and before a ReadAhead is made.
func (s *Source) Matches(ctx context.Context, id Identity) (bool, error) {
	if id.Size >= 0 && s.size >= 0 && id.Size != s.size || id.Bytes < 0 || id.Bytes > headSize {
		return false, nil
	}
	if s.regular {
		own, err := s.Identity()
		if err != nil || own.Bytes == id.Bytes {
			return err == nil && own.SHA256 == id.SHA256, err
		}
		head := make([]byte, id.Bytes)
		switch _, err := s.file.ReadAt(head, s.start); {
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, s.named(bare(err))
		}
		return hash(head) == id.SHA256, nil
	}
	stop := s.interruptOn(ctx)
	defer stop()
	for int64(len(s.in.seen())) < id.Bytes && s.in.fill() {
	}
	head := s.in.seen()
	if int64(len(head)) < id.Bytes {
		if err := s.in.err; err != io.EOF {
			return false, s.named(err)
		}
		return false, nil
	}
	return hash(head[:id.Bytes]) == id.SHA256, nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// skipBuffer is the piece in which skipped bytes are read.
const skipBuffer = 256 << 10

// SkipTo makes offset the position in the RDB from which Read goes on: by a seek where Seekable, else by reading up to
// it, which goes forward only. It must come before a ReadAhead is made. An RDB that ends before offset is ErrTruncated.
func (s *Source) SkipTo(ctx context.Context, offset int64) error {
	switch at := s.Offset(); {
	case offset < 0:
		return s.named(fmt.Errorf("cannot go to offset %d", offset))
	case offset == at:
		return nil
	case s.Seekable():
		return s.seek(offset)
	case offset < at:
		return s.named(fmt.Errorf("cannot go back from offset %d to %d in a stream", at, offset))
	}
	stop := s.interruptOn(ctx)
	defer stop()
	left := offset - s.Offset()
	n, err := io.CopyBuffer(io.Discard, io.LimitReader(&ctxReader{ctx: ctx, r: s}, left), make([]byte, min(left, skipBuffer)))
	if err == nil && n < left {
		return s.short(offset)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return s.named(err)
}

func (s *Source) seek(offset int64) error {
	have := s.size - s.base
	if s.body != nil {
		have = min(have, s.body.length)
	}
	if offset > have {
		return s.short(offset)
	}
	if _, err := s.file.Seek(s.start+s.base+offset, io.SeekStart); err != nil {
		return s.named(bare(err))
	}
	for _, l := range s.layers {
		l.jumped()
	}
	if s.body != nil {
		s.body.left = s.body.length - offset
	}
	s.err = nil
	s.raw.Store(s.base + offset)
	s.offset.Store(offset)
	return nil
}

func (s *Source) short(offset int64) error {
	return s.wrong(ErrTruncated, fmt.Sprintf("it ends before offset %d", offset), "is it the dump that was begun with?")
}
