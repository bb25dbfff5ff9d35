package pipeline

import (
	"errors"
	"io"
	"testing"
)

// TestFromSource: an error of the dump is told from one of where its bytes go.
func TestFromSource(t *testing.T) {
	broken := errors.New("connection broken")
	for _, c := range []struct {
		name           string
		read, sink     error
		want           error
		wantFromSource bool
	}{
		{name: "all went well"},
		{name: "the dump is cut", read: io.ErrUnexpectedEOF, want: io.ErrUnexpectedEOF, wantFromSource: true},
		{name: "the sink fails", sink: broken, want: broken},
		{name: "the sink fails with an error that a dump can have", sink: io.ErrUnexpectedEOF, want: io.ErrUnexpectedEOF},
	} {
		err := fromSource(func(sink func(p []byte) error) error {
			if err := sink([]byte("part")); err != nil {
				return err
			}
			return c.read
		}, func([]byte) error { return c.sink })
		var from *sourceError
		if !errors.Is(err, c.want) || errors.As(err, &from) != c.wantFromSource {
			t.Errorf("%s: %v, of the dump: %t", c.name, err, from != nil)
		}
	}
}
