package source

import (
	"io"
	"time"
)

// deadliner is what os.File and net.Conn have.
type deadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// newInterrupter gives a reader for r whose Read can be made to return, nil if there is no way.
func newInterrupter(r io.Reader) interrupter {
	if p := newPoller(r); p != nil {
		return p
	}
	if d, ok := r.(deadliner); ok && d.SetReadDeadline(time.Time{}) == nil {
		return deadlined{d}
	}
	return nil
}

// deadlined interrupts by a deadline that has passed.
type deadlined struct{ deadliner }

func (d deadlined) interrupt() { _ = d.SetReadDeadline(time.Unix(1, 0)) }
func (d deadlined) close()     {}
