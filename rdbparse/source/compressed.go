package source

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// maxWindow is the largest zstd window accepted: what zstd -19 to -22 and --long write, and what zstd -d accepts
	// without being asked. The decoder keeps that much of the output, however small the input is.
	maxWindow = 128 << 20
	// maxCompressed is how many compressions may lie inside each other.
	maxCompressed = 2
	// inputBuffer keeps the decoders' small reads off the operating system.
	inputBuffer = 128 << 10

	hintAgain  = "copy or download it again"
	hintWindow = "unpack it into a pipe: zstd -dc --long=31 FILE | rdbimport - TARGET"
)

// openCompressed gives the layer inside l.
func (s *Source) openCompressed(l *lookahead, f format) (*lookahead, error) {
	if s.reply != nil && s.reply.mark != nil {
		return nil, s.wrong(ErrUnsupported, "compressed data in a replication reply with an end mark", "")
	}
	if s.compressed++; s.compressed > maxCompressed {
		return nil, s.wrong(ErrUnsupported, "compressed more than twice", hintUnpack)
	}
	in := bufio.NewReaderSize(l, inputBuffer)
	d := &decoder{s: s}
	switch f {
	case formatGzip:
		d.name = "gzip"
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, d.explain(err, true)
		}
		d.r, d.close = &members{z: z, in: in}, func() { _ = z.Close() }
		z.Multistream(false)
	case formatZstd:
		d.name = "zstd"
		// One decoder and no goroutines: reading ahead is ReadAhead's task, and costs less memory there.
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, d.explain(err, true)
		}
		d.r, d.close = z, z.Close
	case formatLZ4:
		d.name = "lz4"
		z := lz4.NewReader(in)
		d.r, d.close = z, func() { z.Reset(nil) } // gives the block buffers back
	}
	s.wrappers = append(s.wrappers, d.name)
	s.decoders = append(s.decoders, d)
	return newLookahead(d), nil
}

// members reads gzip data of several members, and tells a member that is cut from something else behind the last one.
type members struct {
	z  *gzip.Reader
	in *bufio.Reader
}

// errBehind: compressed data has come to its end, and the input goes on.
var errBehind = errors.New("something else follows")

func (m *members) Read(p []byte) (int, error) {
	n, err := m.z.Read(p)
	if err != io.EOF {
		return n, err
	}
	switch b, err := m.in.Peek(len(gzipMagic)); {
	case len(b) == 0:
		return n, err
	case string(b) != gzipMagic[:len(b)]:
		return n, m.padding()
	}
	if err := m.z.Reset(m.in); err != nil {
		return n, err
	}
	m.z.Multistream(false)
	return n, nil
}

// padding reads to the end of the input, where that is of zeros, as tapes have them; gzip ignores these too.
func (m *members) padding() error {
	for {
		switch b, err := m.in.ReadByte(); {
		case err != nil:
			return err
		case b != 0:
			return errBehind
		}
	}
}

// decoder names the source in a decompressor's errors.
type decoder struct {
	s     *Source
	name  string
	r     io.Reader
	close func()
}

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil {
		err = d.explain(err, false)
	}
	return n, err
}

// explain turns a decompressor's error into one that says what is wrong. In a header the end of the input is no end.
func (d *decoder) explain(err error, header bool) error {
	if err == io.EOF {
		if !header {
			return io.EOF
		}
		err = io.ErrUnexpectedEOF
	}
	e := &Error{Name: d.s.name, Kind: ErrCompressed, Err: err}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Found, e.Hint = "its "+d.name+" data is cut short", hintAgain
	case errors.Is(err, errBehind), errors.Is(err, zstd.ErrMagicMismatch), errors.Is(err, lz4.ErrInvalidFrame):
		// The first frame was told by its magic, so this is behind a whole one. Where more was to come it is cut short.
		e.Kind, e.Found, e.Err = ErrBehind, "its "+d.name+" data is followed by something else, which is left out", io.ErrUnexpectedEOF
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		e.Kind, e.Found, e.Hint = ErrUnsupported, "its zstd window is larger than 128 MiB", hintWindow
	case errors.Is(err, zstd.ErrUnknownDictionary):
		e.Kind, e.Found, e.Hint = ErrUnsupported, "it was compressed with a zstd dictionary", "unpack it into a pipe with zstd -dc -D DICTIONARY"
	default:
		e.Found, e.Hint = "its "+d.name+" data is damaged", hintAgain
	}
	return d.s.fail(e)
}
