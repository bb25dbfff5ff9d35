package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/pipeline"
)

// TestInterruptText: the first interrupt says what it waits for, and how long.
func TestInterruptText(t *testing.T) {
	masters := []pipeline.MasterResult{{Addr: "a:1", State: pipeline.MasterOK}, {Addr: "b:2", State: pipeline.MasterUnreachable, For: 75 * time.Second}}
	for _, tt := range []struct {
		masters []pipeline.MasterResult
		want    string
	}{
		{masters[:1], "interrupted: finishing what is in flight; once more stops at once"},
		{masters, "interrupted: finishing what is in flight, for up to 10 s where a master accepts nothing: b:2 unreachable for 1:15; once more stops at once"},
	} {
		if got := interruptText(tt.masters); got != tt.want {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}

// TestInterrupts: the first signal ends the reading, the second one everything.
func TestInterrupts(t *testing.T) {
	said := make(chan struct{}, 2)
	in := catchInterrupts(t.Context(), func() { said <- struct{}{} })
	defer in.stop()
	if err := in.or(errPartly); err != errPartly {
		t.Errorf("without a signal %v", err)
	}
	signaled := func(sig syscall.Signal, ends context.Context) {
		t.Helper()
		again := time.NewTicker(sameInterrupt / 5)
		defer again.Stop()
		if err := ends.Err(); err != nil {
			t.Fatalf("ended before %v: %v", sig, err)
		}
		for late := time.Now().Add(10 * time.Second); ends.Err() == nil; {
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ends.Done():
			case <-again.C:
			}
			if time.Now().After(late) {
				t.Fatalf("%v has no effect", sig)
			}
		}
	}
	from := time.Now()
	signaled(syscall.SIGINT, in.soft)
	signaled(syscall.SIGTERM, in.hard)
	if took := time.Since(from); took < sameInterrupt {
		t.Errorf("a signal %v behind the first was taken for a second", took)
	}
	if err := in.or(errPartly); !errors.Is(err, errInterrupted) {
		t.Errorf("with a signal %v", err)
	}
	if len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
}
