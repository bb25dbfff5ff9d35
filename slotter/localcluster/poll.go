package localcluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollInterval is how often a state is looked at.
const pollInterval = 10 * time.Millisecond

// finalError ends a poll.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// final marks an error that waiting does not mend.
func final(err error) error { return finalError{err} }

// poll calls check until it returns nil or a final error, or ctx ends; then the error says what check last missed.
func poll(ctx context.Context, check func() error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := check()
		var end finalError
		if err == nil || errors.As(err, &end) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w while waiting: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
