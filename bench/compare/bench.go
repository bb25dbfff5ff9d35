package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A bench is all that the measurements share.
type bench struct {
	options
	log      io.Writer
	dir      string
	importer string // binary
	masters  servers
	host     host
}

// newBench builds the importer and starts the cluster.
func newBench(ctx context.Context, o options, log io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "rdbimport-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, log: log, dir: dir, importer: o.importer}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) start(ctx context.Context) error {
	if b.importer == "" {
		b.importer = filepath.Join(b.dir, "rdbimport")
		b.note("building rdbimport")
		out, err := exec.CommandContext(ctx, "go", "build", "-o", b.importer, "github.com/rdbimport/rdbimport/cmd/rdbimport").CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	lc, err := localcluster.Start(ctx, localcluster.Options{Binary: b.server, Dir: b.dir})
	if err != nil {
		return err
	}
	b.masters = servers{lc}
	b.host, err = describeHost(ctx, lc)
	return err
}

// close stops the cluster and removes everything.
func (b *bench) close() error {
	var errs []error
	if b.masters.Cluster != nil {
		errs = append(errs, b.masters.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// note tells what goes on.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.log, format+"\n", args...)
}

// measure measures all sets.
func (b *bench) measure(ctx context.Context) (*report, error) {
	rep := &report{Host: b.host, LeftOut: b.leftOut()}
	for _, name := range b.sets {
		measure := b.measureSet
		if name == hugeSet {
			measure = func(ctx context.Context, _ string) (setResult, error) { return b.measureHuge(ctx) }
		}
		res, err := measure(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		rep.Sets = append(rep.Sets, res)
	}
	return rep, nil
}

// measureSet makes a set, imports it in all ways, and removes it.
func (b *bench) measureSet(ctx context.Context, name string) (setResult, error) {
	set, err := makeSet(b.dir, name, b.keys)
	if err != nil {
		return setResult{}, err
	}
	defer func() { _ = os.Remove(set.file) }() // if it fails, the folder goes in the end
	b.note("%s: %d keys, %.1f MB", name, set.keys, float64(set.bytes)/1e6)
	res := setResult{Name: name, Keys: set.keys, Bytes: set.bytes}
	if res.Pairs, err = b.measurePairs(ctx, set); err != nil {
		return res, err
	}
	res.summarise()
	for _, p := range b.peers() {
		if p.missing() != "" {
			continue
		}
		pr, err := b.measurePeer(ctx, p, set)
		if err != nil {
			return res, err
		}
		res.Peers = append(res.Peers, pr)
	}
	return res, nil
}
