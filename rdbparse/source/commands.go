package source

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
)

// errNoCommand: what comes next is not in the form in which servers log commands.
var errNoCommand = errors.New("no command")

// passive are the commands that change no key.
var passive = []string{"SELECT", "MULTI", "EXEC", "PING", "REPLCONF"}

// commandScanner counts the commands of an AOF, whatever their size, in a fixed buffer.
type commandScanner struct {
	br   *bufio.Reader
	read *countReader
}

func newCommandScanner(r io.Reader) *commandScanner {
	c := &countReader{r: r}
	return &commandScanner{br: bufio.NewReaderSize(c, headSize), read: c}
}

// offset is how far the scanner is in its input.
func (c *commandScanner) offset() int64 { return c.read.n - int64(c.br.Buffered()) }

func (c *commandScanner) skipNewlines() {
	for {
		if b, err := c.br.Peek(1); err != nil || b[0] != '\n' {
			return
		}
		_, _ = c.br.Discard(1)
	}
}

// takeMark takes an end mark off the input if there is one: 40 letters and digits with nothing or a command behind.
func (c *commandScanner) takeMark(t *Tail) error {
	b, err := c.br.Peek(markSize + 1)
	if err != nil && err != io.EOF {
		return err
	}
	if len(b) < markSize || !isMark(b[:markSize]) || len(b) > markSize && b[markSize] != '*' && b[markSize] != '\n' {
		return nil
	}
	t.Kind, t.EndMark = TailEndMark, true
	_, _ = c.br.Discard(markSize)
	c.skipNewlines()
	return nil
}

// scan counts commands into t up to the end of the input. It gives the offset behind the last whole one (behind the
// input's last byte if the last is cut), and errNoCommand where something else follows.
func (c *commandScanner) scan(t *Tail) (end int64, err error) {
	for {
		end = c.offset()
		b, err := c.br.ReadByte()
		switch {
		case err == io.EOF:
			return end, nil
		case err != nil:
			return end, err
		case b == '#': // a timestamp annotation
			err = c.skipLine()
		case b == '*':
			err = c.command(t)
		default:
			_ = c.br.UnreadByte() // as it was read, it can be
			err = errNoCommand
		}
		if err == io.EOF {
			t.Cut = true
			return c.offset(), nil
		}
		if err != nil {
			return end, err
		}
	}
}

// atMagic reports whether the magic of an RDB comes next.
func (c *commandScanner) atMagic() bool {
	b, _ := c.br.Peek(magicSize)
	_, ok := versionOf(b)
	return ok
}

// command reads one behind its asterisk. io.EOF means that it is cut.
func (c *commandScanner) command(t *Tail) error {
	args, err := c.number()
	if err != nil {
		return err
	}
	if args == 0 {
		return errNoCommand
	}
	passes := false
	for i := range args {
		if b, err := c.br.ReadByte(); err != nil {
			return err
		} else if b != '$' {
			return errNoCommand
		}
		n, err := c.number()
		if err != nil {
			return err
		}
		if i == 0 {
			passes = c.isPassive(n)
		}
		if err := c.discard(n); err != nil {
			return err
		}
		if err := c.lineEnd(); err != nil {
			return err
		}
	}
	t.Commands++
	if !passes {
		t.Writes++
	}
	return nil
}

func (c *commandScanner) isPassive(n int64) bool {
	if n > int64(len("REPLCONF")) {
		return false
	}
	name, err := c.br.Peek(int(n))
	return err == nil && slices.Contains(passive, strings.ToUpper(string(name)))
}

// number reads decimal digits and the end of their line.
func (c *commandScanner) number() (int64, error) {
	const most = 1 << 40 // no argument, and no count of them, comes near
	var n int64
	for digits := 0; ; digits++ {
		b, err := c.br.ReadByte()
		switch {
		case err != nil:
			return 0, err
		case b >= '0' && b <= '9' && n < most:
			n = n*10 + int64(b-'0')
		case b == '\r' && digits > 0:
			_ = c.br.UnreadByte()
			return n, c.lineEnd()
		default:
			return 0, errNoCommand
		}
	}
}

func (c *commandScanner) lineEnd() error {
	for _, want := range []byte("\r\n") {
		if b, err := c.br.ReadByte(); err != nil {
			return err
		} else if b != want {
			return errNoCommand
		}
	}
	return nil
}

func (c *commandScanner) discard(n int64) error {
	for n > 0 {
		step, err := c.br.Discard(int(min(n, 1<<30)))
		if err != nil {
			return err
		}
		n -= int64(step)
	}
	return nil
}

func (c *commandScanner) skipLine() error {
	for {
		if _, err := c.br.ReadSlice('\n'); err != bufio.ErrBufferFull {
			return err
		}
	}
}

// drain reads the rest and gives the input's length.
func (c *commandScanner) drain() (int64, error) {
	_, err := c.br.WriteTo(io.Discard)
	return c.offset(), err
}

// countReader counts what it passes on.
type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
