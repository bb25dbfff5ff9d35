package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// A peer is another way to get a dump into a cluster.
type peer struct {
	name   string
	binary string // must be on the PATH
	off    string // why it is not to run, "" if it is
	run    func(ctx context.Context, s set) (cost, error)
}

// peers lists all that is known. The command lines are those of RedisShake 4,
// librdb 2 and redis-cli 7.
func (b *bench) peers() []peer {
	off, recipe := "", ""
	if b.peerRuns == 0 {
		off = "-peer-runs 0"
	}
	if !b.recipe {
		recipe = "it takes minutes; -recipe runs it"
	}
	return []peer{
		{"redis-shake", "redis-shake", off, b.runShake},
		{"rdb-cli (to one standalone server)", "rdb-cli", off, b.runLibrdb},
		{"redis-cli --cluster import", "redis-cli", off, b.runClusterImport},
		{"reshard, restart, reshard", "redis-cli", recipe, b.runRecipe},
	}
}

// missing returns why a peer cannot be measured, "" if it can.
func (p peer) missing() string {
	if p.off != "" {
		return p.off
	}
	if _, err := exec.LookPath(p.binary); err != nil {
		return p.binary + " is not on the PATH"
	}
	return ""
}

// leftOut lists the peers that are not measured.
func (b *bench) leftOut() []leftOut {
	out := []leftOut{}
	for _, p := range b.peers() {
		if why := p.missing(); why != "" {
			out = append(out, leftOut{p.name, why})
		}
	}
	return out
}

// measurePeer runs a peer some times. The error of one that fails goes into the
// report: a figure of half an import would be worth nothing.
func (b *bench) measurePeer(ctx context.Context, p peer, s set) (peerResult, error) {
	res := peerResult{Name: p.name}
	for i := range max(1, b.peerRuns) {
		c, err := p.run(ctx, s)
		if ctx.Err() != nil {
			return res, ctx.Err()
		}
		if err != nil {
			b.note("%s: %s, run %d: %v", s.name, p.name, i+1, err)
			res.Error, res.Runs = err.Error(), nil
			return res, nil
		}
		b.note("%s: %s, run %d: %.1f s, %d keys", s.name, p.name, i+1, c.Wall, c.Keys)
		res.Runs = append(res.Runs, c)
	}
	return res, nil
}

// runLimited runs a program that imports into the masters, up to the limit.
func (b *bench) runLimited(ctx context.Context, s set, c child) (cost, error) {
	return b.whole(ctx, s, func(ctx context.Context) (cost, error) { return within(ctx, b.peerLimit, c.run) })
}

// runShake imports with RedisShake: its rdb_reader reads the file, its
// redis_writer routes by slot.
func (b *bench) runShake(ctx context.Context, s set) (_ cost, err error) {
	dir, err := os.MkdirTemp(b.dir, "shake-")
	if err != nil {
		return cost{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config := "[rdb_reader]\nfilepath = " + strconv.Quote(s.file) +
		"\n[redis_writer]\ncluster = true\naddress = " + strconv.Quote(b.masters.Addrs()[0]) +
		"\n[advanced]\ndir = " + strconv.Quote(dir) + "\nlog_level = \"warn\"\nrdb_restore_command_behavior = \"panic\"\n"
	file := filepath.Join(dir, "shake.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return cost{}, err
	}
	return b.runLimited(ctx, s, child{path: "redis-shake", args: []string{file}, dir: dir})
}

// runLibrdb imports with librdb's rdb-cli, which knows no clusters: into one
// standalone server, with RESTORE, which it uses when told the server's version,
// and with the most pending commands that it allows.
func (b *bench) runLibrdb(ctx context.Context, s set) (_ cost, err error) {
	one, err := b.standalone(ctx, "")
	if err != nil {
		return cost{}, err
	}
	defer func() { err = errors.Join(err, one.Stop()) }()
	host, port, err := split(one.Addrs()[0])
	if err != nil {
		return cost{}, err
	}
	v := one.Version()
	c := child{path: "rdb-cli", dir: b.dir, args: []string{
		s.file, "-l", os.DevNull, "redis", "-h", host, "-p", port, "-r", "-t", fmt.Sprintf("%d.%d", v[0], v[1]), "-l", "1000",
	}}
	res, err := one.observe(ctx, func() (cost, error) { return within(ctx, b.peerLimit, c.run) })
	return res, complete(res, s, err)
}

// runClusterImport imports with redis-cli from a standalone server that has
// loaded the dump. The time for that does not count.
func (b *bench) runClusterImport(ctx context.Context, s set) (_ cost, err error) {
	source, err := b.standalone(ctx, s.file)
	if err != nil {
		return cost{}, err
	}
	defer func() { err = errors.Join(err, source.Stop()) }()
	before, err := source.cpu(ctx)
	if err != nil {
		return cost{}, err
	}
	res, err := b.runLimited(ctx, s, child{path: "redis-cli", args: []string{
		"--cluster", "import", b.masters.Addrs()[0], "--cluster-from", source.Addrs()[0], "--cluster-copy", "--cluster-replace",
	}})
	if err != nil {
		return res, err
	}
	after, err := source.cpu(ctx)
	res.Servers += after - before
	return res, err
}

// standalone starts a server of the same kind as the masters, which loads a dump
// if one is given.
func (b *bench) standalone(ctx context.Context, dump string) (servers, error) {
	lc, err := localcluster.Start(ctx, localcluster.Options{Standalone: true, Binary: b.server, Dir: b.dir, DumpFile: dump})
	return servers{lc}, err
}

// complete returns an error if a run that was not stopped has left keys out.
func complete(c cost, s set, err error) error {
	if err == nil && !c.Stopped && c.Keys != s.keys {
		err = fmt.Errorf("the server holds %d keys, the dump %d", c.Keys, s.keys)
	}
	return err
}
