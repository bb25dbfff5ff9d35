package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestInterrupts: the first signal ends the reading, the second one everything.
func TestInterrupts(t *testing.T) {
	said := make(chan struct{}, 2)
	in := catchInterrupts(t.Context(), func() { said <- struct{}{} })
	defer in.stop()
	if err := in.or(errPartly); err != errPartly {
		t.Errorf("without a signal %v", err)
	}
	for _, c := range []struct {
		sig  syscall.Signal
		ends context.Context
	}{{syscall.SIGINT, in.soft}, {syscall.SIGTERM, in.hard}} {
		if err := c.ends.Err(); err != nil {
			t.Fatalf("ended before %v: %v", c.sig, err)
		}
		if err := syscall.Kill(os.Getpid(), c.sig); err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.ends.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("%v has no effect", c.sig)
		}
	}
	if err := in.or(errPartly); !errors.Is(err, errInterrupted) {
		t.Errorf("with a signal %v", err)
	}
	if len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
}
