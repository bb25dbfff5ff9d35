package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/rdbimport/rdbimport/rdbparse/source"
)

const (
	// stdinName is the SOURCE that stands for standard input.
	stdinName  = "-"
	stdinShown = "standard input"

	// What is read ahead of a stream, or unpacked ahead of a compressed file.
	aheadSize  = 256 << 10
	aheadDepth = 8

	// lingerTime is how long a key may wait in a batch that is not full while no
	// bytes come.
	lingerTime = 5 * time.Millisecond
)

// shownName is how a SOURCE is called where people read.
func shownName(name string) string {
	if name == stdinName {
		return stdinShown
	}
	return name
}

// An input is one SOURCE, opened.
type input struct {
	*source.Source
	ahead  *source.ReadAhead // nil for a plain file, which does not block
	reader *feedReader
}

// openInput opens a source. The end of ctx stops the waiting for its first bytes
// and, once it is read, for any others.
func openInput(ctx context.Context, name string, stdin io.Reader) (*input, error) {
	var src *source.Source
	var err error
	if name == stdinName {
		if err := unreadableInput(stdin); err != nil {
			return nil, err
		}
		src, err = source.New(ctx, stdin, stdinShown)
	} else {
		src, err = source.Open(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	in := &input{Source: src}
	return in, nil
}

// errReplaced is the error about a name that belongs to another file than before.
var errReplaced = errors.New("another file has been given this name meanwhile")

// openAgain opens the file of in once more, which may be closed. A server that saves replaces
// its dump: what is read the second time has to be what was read the first.
func (in *input) openAgain(ctx context.Context) (*input, error) {
	again, err := openInput(ctx, in.Name(), nil)
	if err != nil {
		return nil, err
	}
	if !again.SameFile(in.Source) {
		again.close()
		return nil, fmt.Errorf("%s: %w", in.Name(), errReplaced)
	}
	return again, nil
}

// unreadableInput says why standard input cannot be a dump, whatever comes out of it. It
// is asked before anything is begun, since the input itself is opened late.
func unreadableInput(stdin io.Reader) error {
	f, ok := stdin.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return &usageError{"standard input is a directory", "it takes the dump file in it: rdbimport - TARGET < dump.rdb"}
	}
	if term.IsTerminal(int(f.Fd())) {
		return &usageError{"standard input is a terminal", "pipe a dump into it: redis-cli -h old --rdb - | rdbimport - TARGET"}
	}
	return nil
}

// twice reports whether the source can be read again from its start.
func (in *input) twice() bool { return in.Size() >= 0 && in.Name() != stdinShown }

// start readies the input for reading. flush is called, from any goroutine, when
// a reader waits for bytes for long; nil if that is of no interest.
func (in *input) start(ctx context.Context, flush func()) io.Reader {
	in.reader = &feedReader{r: in.Source}
	if !in.Seekable() {
		in.ahead = source.NewReadAhead(ctx, in.Source, aheadSize, aheadDepth)
		in.reader.r, in.reader.ready = in.ahead, in.ahead.Ready
		if flush != nil {
			in.reader.flushAfter(flush)
		}
	}
	return in.reader
}

// waited is how long was waited for bytes so far.
func (in *input) waited() time.Duration {
	if in.reader == nil {
		return 0
	}
	return time.Duration(in.reader.waited.Load())
}

// close ends the reading.
func (in *input) close() {
	if in.reader != nil {
		in.reader.stop()
	}
	if in.ahead != nil {
		_ = in.ahead.Close()
	}
	_ = in.Close() // it was only read
}

// A feedReader is what a Scanner reads from. It notes the time spent waiting for
// bytes, and when the wait is long it has the keys before it sent.
type feedReader struct {
	r      io.Reader
	ready  func() bool  // whether r has bytes; nil if it always does
	waited atomic.Int64 // ns

	skip    int64  // bytes that are to be read before skipped is called
	skipped func() // nil once it was

	// The Feeder is idle while its goroutine waits in Read, so the timer's
	// goroutine may flush it then; mu hands it over.
	mu      sync.Mutex
	waiting bool
	flush   func()
	timer   *time.Timer
}

func (f *feedReader) flushAfter(flush func()) {
	f.flush = flush
	f.timer = time.AfterFunc(time.Hour, f.linger)
	f.timer.Stop()
}

func (f *feedReader) linger() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting {
		f.flush()
	}
}

// Read reads from the source.
func (f *feedReader) Read(p []byte) (int, error) {
	if f.ready != nil && f.ready() {
		n, err := f.r.Read(p)
		f.pass(n)
		return n, err
	}
	from := time.Now()
	f.wait(true)
	n, err := f.r.Read(p)
	f.wait(false)
	f.waited.Add(int64(time.Since(from)))
	f.pass(n)
	return n, err
}

// pass notes that n more bytes have been read.
func (f *feedReader) pass(n int) {
	if f.skipped == nil {
		return
	}
	if f.skip -= int64(n); f.skip <= 0 {
		f.skipped()
		f.skipped = nil
	}
}

func (f *feedReader) wait(on bool) {
	if f.timer == nil {
		return
	}
	f.mu.Lock()
	f.waiting = on
	f.mu.Unlock()
	if on {
		f.timer.Reset(lingerTime)
	} else {
		f.timer.Stop()
	}
}

// stop makes sure that flush is not called any more.
func (f *feedReader) stop() {
	if f.timer != nil {
		f.wait(false)
	}
}

// tailText says what follows a dump, of so many bytes, that should not be there, ""
// if nothing does.
func (in *input) tailText(t source.Tail, dump int64) string {
	switch t.Kind {
	case source.TailAOF:
		cut := ""
		if t.Cut {
			cut = ", the last one cut short"
		}
		return fmt.Sprintf("%s the dump (the rest of an AOF or of a replication stream%s), %s of them writing: not applied",
			follow(t.Commands, "command"), cut, formatCount(t.Writes))
	case source.TailDump:
		at := dump + t.Dump
		return fmt.Sprintf("another dump follows at offset %d, which is left out: %s | rdbimport - TARGET imports it", at, in.from(at))
	case source.TailGarbage:
		return follow(t.Garbage, "byte") + " the dump, belonging to nothing; they are left out"
	}
	return ""
}

// from is a command that prints the input, unpacked, from an offset on.
func (in *input) from(at int64) string {
	tail, wrappers := fmt.Sprintf("tail -c +%d", at+1), in.Wrappers()
	switch {
	case in.Name() == stdinShown || len(wrappers) > 1 || len(wrappers) == 1 && !slices.Contains([]string{"gzip", "zstd", "lz4"}, wrappers[0]):
		return "(what unpacks it) | " + tail
	case len(wrappers) == 1:
		return fmt.Sprintf("%s -dc %s | %s", wrappers[0], in.Name(), tail)
	}
	return tail + " " + in.Name()
}

// follow says that something follows: "1 byte follows", "2 bytes follow".
func follow(n int64, noun string) string {
	if n == 1 {
		return plural(n, noun) + " follows"
	}
	return plural(n, noun) + " follow"
}

// dumpsBehind is how many dumps follow one, which are left out.
func dumpsBehind(t source.Tail) int64 {
	if t.Kind == source.TailDump {
		return 1 // at the least
	}
	return 0
}
