package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
)

// Source is a stream of RDB bytes, from the magic on. See the package's comment for what may be called from where.
type Source struct {
	name  string
	file  *os.File // nil for a reader that is no file
	info  os.FileInfo
	owned bool // whether Close closes file

	regular bool  // a regular file: it can be sought in, and never blocks
	pipe    bool  // what is read has a writer
	start   int64 // where in the regular file the raw input starts
	size    int64 // of the raw input, -1 if unknown

	interrupt   interrupter // nil if reads cannot be interrupted
	interrupted atomic.Bool
	raw         atomic.Int64 // bytes read from the input
	offset      atomic.Int64 // RDB bytes delivered

	in         *lookahead   // the raw input
	layers     []*lookahead // every layer, the raw input first, the RDB last
	body       *body        // of a reply with a length, else nil
	reply      *reply       // nil without one
	compressed int
	decoders   []*decoder
	wrappers   []string
	base       int64 // where in the raw input the RDB starts, if nothing is compressed
	rdbVersion int

	err error // the first failure: layers above it may see it changed by a decompressor
}

// interrupter makes a blocked Read return. close frees what it holds.
type interrupter interface {
	io.Reader
	interrupt()
	close()
}

// Open opens a file, a FIFO or a device and looks at its first bytes. The end of ctx stops the waiting for them (on
// Linux also that for a FIFO's writer) and has no effect later. The errors of the operating system can be told with
// errors.Is(err, fs.ErrNotExist) and the like.
func Open(ctx context.Context, path string) (*Source, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, &Error{Name: path, Err: bare(err)}
	}
	s, err := newSource(ctx, f, path, true)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

// New reads from a stream, e.g. standard input; name stands for it in errors. Where r is a regular file all that is
// said about these holds, counted from where r stands. Close does not close r. The end of ctx stops the waiting for
// the first bytes, as far as r can be interrupted (see Interrupt).
func New(ctx context.Context, r io.Reader, name string) (*Source, error) {
	return newSource(ctx, r, name, false)
}

func newSource(ctx context.Context, r io.Reader, name string, owned bool) (*Source, error) {
	s := &Source{name: name, size: -1, owned: owned}
	if f, ok := r.(*os.File); ok {
		if err := s.useFile(f); err != nil {
			return nil, err
		}
	} else {
		s.pipe = true
	}
	if !s.regular {
		if s.interrupt = newInterrupter(r); s.interrupt != nil {
			r = s.interrupt
		}
	}
	s.in = newLookahead(&counter{s: s, r: r})
	stop := s.interruptOn(ctx)
	err := s.unwrap()
	stop()
	if err != nil {
		s.owned = false // Open closes what it opened
		_ = s.Close()
		return nil, s.named(err)
	}
	return s, nil
}

func (s *Source) useFile(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return &Error{Name: s.name, Err: bare(err)}
	case info.IsDir():
		return &Error{Name: s.name, Err: syscall.EISDIR, Hint: "name the dump file in it, of an appendonlydir the *.base.rdb file"}
	}
	s.file, s.info = f, info
	if !info.Mode().IsRegular() {
		s.pipe = info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
		return nil
	}
	// Standard input may be a regular file of which a shell has read some already.
	if s.start, err = f.Seek(0, io.SeekCurrent); err != nil {
		return &Error{Name: s.name, Err: bare(err)}
	}
	s.regular = true
	s.size = max(info.Size()-s.start, 0)
	adviseSequential(f)
	return nil
}

// unwrap looks at one layer after another until the RDB is found.
func (s *Source) unwrap() error {
	l := s.in
	for {
		s.layers = append(s.layers, l)
		f, err := s.identify(l)
		if err != nil {
			return err
		}
		var inner *lookahead
		switch f {
		case formatRDB:
			s.rdbVersion, err = s.version(l)
			return err
		case formatReply:
			if s.reply != nil {
				return s.wrong(ErrUnsupported, "a replication reply inside another", "")
			}
			inner, err = s.openReply(l)
		default:
			inner, err = s.openCompressed(l, f)
		}
		if err != nil {
			return err
		}
		l = inner
	}
}

// Read gives RDB bytes, whatever is behind the RDB included (see CheckTail).
func (s *Source) Read(p []byte) (int, error) {
	n, err := s.layers[len(s.layers)-1].Read(p)
	s.offset.Add(int64(n))
	return n, err
}

// Name is what the source was opened as.
func (s *Source) Name() string { return s.name }

// SameFile reports whether s reads the file that before did, which may be closed, and not one that has been given its name since.
func (s *Source) SameFile(before *Source) bool {
	return s.info != nil && before.info != nil && os.SameFile(s.info, before.info)
}

// Size is the length of the raw input in bytes as it was when opened, -1 if unknown.
func (s *Source) Size() int64 { return s.size }

// RawRead is how many bytes of the raw input have been read: the part of Size that is done. It runs ahead of what was
// delivered by the decompressors' buffers, and by up to 64 KiB at the start.
func (s *Source) RawRead() int64 { return s.raw.Load() }

// Offset is the position in the RDB of the next byte that Read delivers.
func (s *Source) Offset() int64 { return s.offset.Load() }

// Wrappers names what the RDB is wrapped in, the outermost first: "gzip", "zstd", "lz4", "replication stream".
// It is empty for a plain RDB.
func (s *Source) Wrappers() []string { return slices.Clone(s.wrappers) }

// Seekable reports whether SkipTo is a seek and not reading.
func (s *Source) Seekable() bool { return s.regular && s.compressed == 0 }

// Waits reports whether Read may have to wait for somebody to write, as on a pipe.
func (s *Source) Waits() bool { return !s.regular }

// Interrupt makes a Read that waits for input return an error that matches ErrInterrupted, and every later read of the
// input. It works for pipes, sockets and terminals on Linux, and everywhere for readers with a SetReadDeadline method
// that works; another reader's Read is not interrupted, only the next one.
func (s *Source) Interrupt() {
	s.interrupted.Store(true)
	if s.interrupt != nil {
		s.interrupt.interrupt()
	}
}

// interruptOn interrupts when ctx ends; the returned function ends that.
func (s *Source) interruptOn(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, s.Interrupt)
}

// Close frees what the source holds; a file that Open opened is closed. It must not run together with Read.
func (s *Source) Close() error {
	for _, d := range s.decoders {
		d.close()
	}
	s.decoders = nil
	s.interrupted.Store(true) // nothing is read from here on
	if s.interrupt != nil {
		s.interrupt.close()
	}
	if !s.owned {
		return nil
	}
	s.owned = false
	if err := s.file.Close(); err != nil {
		return &Error{Name: s.name, Found: "cannot be closed", Err: bare(err)}
	}
	return nil
}

// wrong makes the error about what was found.
func (s *Source) wrong(kind error, found, hint string) error {
	if len(s.wrappers) > 0 {
		found = fmt.Sprintf("inside %s: %s", joinWrappers(s.wrappers), found)
	}
	return &Error{Name: s.name, Kind: kind, Found: found, Hint: hint}
}

// named puts the source's name in front of an error that lacks it.
func (s *Source) named(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Name: s.name, Err: err}
}

func joinWrappers(list []string) string {
	text := list[len(list)-1]
	for _, w := range slices.Backward(list[:len(list)-1]) {
		text += " inside " + w
	}
	return text
}

// fail keeps the first failure and returns it ever after.
func (s *Source) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// counter is the lowest layer: it counts, and names the source in the operating system's errors.
type counter struct {
	s *Source
	r io.Reader
}

func (c *counter) Read(p []byte) (int, error) {
	if c.s.interrupted.Load() {
		return 0, c.s.fail(&Error{Name: c.s.name, Kind: ErrInterrupted})
	}
	n, err := c.r.Read(p)
	if n < 0 || n > len(p) {
		return 0, c.s.fail(&Error{Name: c.s.name, Err: errors.New("the reader returned an impossible count")})
	}
	c.s.raw.Add(int64(n))
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case c.s.interrupted.Load():
		return n, c.s.fail(&Error{Name: c.s.name, Kind: ErrInterrupted})
	default:
		return n, c.s.fail(&Error{Name: c.s.name, Found: "cannot be read", Err: bare(err)})
	}
}
