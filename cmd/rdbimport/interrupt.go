package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// interrupts are what a user's Ctrl-C ends. The first signal ends soft: no more
// is read, and what is in flight is finished. The second one ends hard as well,
// and with it everything. A third has its ordinary effect. Where a signal comes to the
// process and to its group as well, as from timeout(1), both are one.
type interrupts struct {
	soft, hard context.Context
	stop       func() // joins; the contexts end too
}

// sameInterrupt is how soon behind the first signal another one is no second.
const sameInterrupt = 250 * time.Millisecond

// catchInterrupts starts to listen for SIGINT, SIGTERM and SIGHUP. said is called at the
// first one.
func catchInterrupts(ctx context.Context, said func()) *interrupts {
	hard, endHard := context.WithCancelCause(ctx)
	soft, endSoft := context.WithCancelCause(hard)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	var listener sync.WaitGroup
	listener.Go(func() {
		defer signal.Stop(signals)
		var first time.Time
		for _, step := range []func(){
			func() { said(); endSoft(errInterrupted) },
			func() { endHard(errInterrupted) },
		} {
			for early := true; early; {
				select {
				case <-signals:
					early = time.Since(first) < sameInterrupt
				case <-done:
					return
				}
			}
			first = time.Now()
			step()
		}
	})
	return &interrupts{soft: soft, hard: hard, stop: func() {
		close(done)
		listener.Wait()
		endSoft(nil)
		endHard(nil)
	}}
}

// or returns errInterrupted where a signal is behind err.
func (i *interrupts) or(err error) error {
	if err != nil && i.soft.Err() != nil {
		return context.Cause(i.soft)
	}
	return err
}
