package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/redis/go-redis/v9"
)

// checkFunction compares a function library of the dump with what each master has of
// its name. The code has to be the same, byte for byte: servers keep it as it was given.
func (v *Verifier) checkFunction(e *rdbparse.Entry) error {
	if !v.libs.once(e.Value) {
		return nil
	}
	v.counts.functions.Add(1)
	name := libraryName(e.Value)
	m, err := v.cluster.Map(v.ctx)
	if err != nil {
		return err
	}
	found := make([]string, len(m.Masters))
	err = m.EachMaster(v.ctx, func(ctx context.Context, i int) (err error) {
		found[i], err = v.libraryOn(ctx, m.Masters[i].Addr, string(name), string(e.Value))
		return err
	})
	if err != nil {
		return err
	}
	var first string
	differ := 0
	for i, what := range found {
		if what == "" {
			continue
		}
		if differ++; differ == 1 {
			first = m.Masters[i].Addr + " " + what
		}
	}
	if differ == 0 {
		return nil
	}
	if differ > 1 {
		first += fmt.Sprintf(" (one of %d masters where it is not as in the dump)", differ)
	}
	v.found(KeyDifference{Kind: Function, Key: name, What: first, Offset: e.Offset})
	return nil
}

// libraryOn says how what a master has of a library differs from its code, "" if it
// does not. A master that cannot tell at the moment is asked again.
func (v *Verifier) libraryOn(ctx context.Context, addr, name, code string) (differs string, err error) {
	until := time.Now().Add(v.opts.RetryTimeout)
	var same, there bool
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		same, there, err = findLibrary(ctx, v.cluster.Client(addr), name, code)
		if !asksLater(err) || ctx.Err() != nil || time.Now().After(until) {
			break
		}
		v.counts.reconnects.Add(1)
		if err := v.pause(ctx, pause); err != nil {
			return "", err
		}
	}
	switch {
	case err == nil && same:
		return "", nil
	case err == nil && there:
		return "has other code", nil
	case err == nil:
		return "does not have it", nil
	case strings.HasPrefix(err.Error(), "ERR unknown command"):
		return "has no functions", nil
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		return "does not tell: " + err.Error(), nil
	}
	return "", fmt.Errorf("%s: FUNCTION LIST: %w", addr, err)
}

// asksLater reports whether err, of a command, comes from what may be over soon: the
// connection broke, or the server cannot answer at the moment.
func asksLater(err error) bool {
	var reply redis.Error
	if errors.As(err, &reply) {
		act := classify([]byte(reply.Error()))
		return act == actLater || act == actLoading
	}
	return err != nil
}
