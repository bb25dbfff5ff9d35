package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// servers are the servers that are written to.
type servers struct{ *localcluster.Cluster }

// reset empties the masters and has them give their memory back, so that every
// run finds them as a fresh server is.
func (s servers) reset(ctx context.Context) error {
	for _, n := range s.Masters() {
		for _, cmd := range [][]any{{"FLUSHALL"}, {"MEMORY", "PURGE"}} {
			if err := n.Client().Do(ctx, cmd...).Err(); err != nil {
				return fmt.Errorf("%s: %v: %w", n.Addr, cmd, err)
			}
		}
	}
	return nil
}

// keys returns how many keys the masters have.
func (s servers) keys(ctx context.Context) (sum int64, err error) {
	for _, n := range s.Masters() {
		k, err := n.Client().DBSize(ctx).Result()
		if err != nil {
			return 0, fmt.Errorf("%s: DBSIZE: %w", n.Addr, err)
		}
		sum += k
	}
	return sum, nil
}

// cpu returns the processor time that the masters have used since their start,
// in seconds, user and system.
func (s servers) cpu(ctx context.Context) (sum float64, err error) {
	for _, n := range s.Masters() {
		c, err := nodeCPU(ctx, n)
		if err != nil {
			return 0, err
		}
		sum += c
	}
	return sum, nil
}

func nodeCPU(ctx context.Context, n *localcluster.Node) (sum float64, err error) {
	info, err := n.Client().Info(ctx, "cpu").Result()
	if err != nil {
		return 0, fmt.Errorf("%s: INFO: %w", n.Addr, err)
	}
	found := 0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %s: %w", n.Addr, name, err)
			}
			sum += f
			found++
		}
	}
	if found != 2 {
		return 0, fmt.Errorf("%s: INFO does not say what processor time was used", n.Addr)
	}
	return sum, nil
}

// observe runs f and notes what it cost the servers, and the keys they have then.
func (s servers) observe(ctx context.Context, f func() (cost, error)) (cost, error) {
	before, err := s.cpu(ctx)
	if err != nil {
		return cost{}, err
	}
	c, err := f()
	if err != nil {
		return c, err
	}
	after, err := s.cpu(ctx)
	if err != nil {
		return c, err
	}
	c.Servers += after - before
	c.Keys, err = s.keys(ctx)
	return c, err
}
