package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts are what a user's Ctrl-C ends. The first signal ends soft: no more
// is read, and what is in flight is finished. The second one ends hard as well,
// and with it everything. A third has its ordinary effect.
type interrupts struct {
	soft, hard context.Context
	stop       func() // joins; the contexts end too
}

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
		for _, step := range []func(){
			func() { said(); endSoft(errInterrupted) },
			func() { endHard(errInterrupted) },
		} {
			select {
			case <-signals:
				step()
			case <-done:
				return
			}
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
