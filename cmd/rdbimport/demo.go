package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// demoFlags are the flags of the demo.
type demoFlags struct {
	keys    countFlag
	server  string
	masters int
	keep    bool
	output  outputFlags
}

func newDemoCommand(s *streams) *cobra.Command {
	f := &demoFlags{}
	cmd := &cobra.Command{
		Use:     "demo [flags]",
		Short:   "start a local cluster, import a sample dump, check it, stop it",
		Example: "  rdbimport demo\n  rdbimport demo --keys 1000000 --keep",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{"demo takes no arguments", "a file named demo is imported as ./demo"}
			}
			if err := f.validate(cmd); err != nil {
				return err
			}
			return f.run(cmd.Context(), s)
		},
	}
	fs := cmd.Flags()
	fs.Var(&f.keys, "keys", "import `N` mixed keys, and not the small sample with every type of value")
	fs.StringVar(&f.server, "server", "", "binary of the server, `PATH` (default: what is installed)")
	fs.IntVar(&f.masters, "masters", 3, "`N` masters")
	fs.BoolVar(&f.keep, "keep", false, "keep the cluster running until Ctrl-C")
	f.output.register(fs)
	annotate(fs, "keys", "1000000 (also 1M)")
	annotate(fs, "masters", "3")
	annotate(fs, "server", "/usr/bin/valkey-server")
	fs.SortFlags = false
	return cmd
}

func (f *demoFlags) validate(cmd *cobra.Command) error {
	const mostKeys, mostMasters = 100_000_000, 16
	fs := cmd.Flags()
	if f.keys > mostKeys {
		return valueError(fs.Lookup("keys"), f.keys.String(), fmt.Sprintf("it is a number from 1 to %d", mostKeys))
	}
	if f.masters < 1 || f.masters > mostMasters {
		return valueError(fs.Lookup("masters"), fmt.Sprint(f.masters), fmt.Sprintf("it is a number from 1 to %d", mostMasters))
	}
	return f.output.validate(fs)
}

// run is the demo.
func (f *demoFlags) run(ctx context.Context, s *streams) (err error) {
	in := catchInterrupts(ctx, func() {})
	defer in.stop()
	say := func(format string, args ...any) {
		if !f.output.quiet {
			s.con.line(format, args...)
		}
	}
	dir, err := os.MkdirTemp("", "rdbimport-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	say("starting %s", plural(int64(f.masters), "master"))
	cluster, err := localcluster.Start(in.soft, localcluster.Options{Binary: f.server, Masters: f.masters, Dir: dir})
	if err != nil {
		return in.or(err)
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	say("%s %s, at redis://%s", cluster.Family(), cluster.Version(), cluster.Addrs()[0])

	file := filepath.Join(dir, "dump.rdb")
	stats, err := f.writeDump(in.soft, file, cluster)
	if err != nil {
		return in.or(err)
	}
	say("wrote a dump of %s, %s\n", plural(int64(stats.Keys), "key"), formatBytes(stats.Bytes))
	if err := f.importAndCheck(in.hard, s, file, cluster.URL()); err != nil {
		return err
	}
	if f.keep {
		say("\nthe cluster keeps running until Ctrl-C: %s", cluster.URL())
		<-in.soft.Done()
	} else {
		say("\nthe cluster is stopped; rdbimport demo --keys 1000000 --keep leaves one running to try things on")
	}
	return nil
}

// importAndCheck imports file, reports on it, and imports it again: every key
// must then be there with the value that the dump has.
func (f *demoFlags) importAndCheck(ctx context.Context, s *streams, file, url string) error {
	target, err := slotter.ParseTarget(url)
	if err != nil {
		return err
	}
	set := &settings{
		sources: []string{file}, target: target, output: f.output,
		pipeline: pipeline.Options{Databases: pipeline.Databases{Only: pipeline.AllDatabases}, Warn: s.con.warn},
	}
	began := time.Now()
	first, err := newImport(s, set).run(ctx)
	if first == nil {
		return err
	}
	if !f.output.json {
		first.report(s, f.output)
	}
	if err == nil {
		err = checkAgain(ctx, s, set, first)
	}
	if f.output.json { // one object, which knows of the check
		first.err, first.code = err, exitCode(err)
		first.report(s, f.output)
	}
	switch {
	case err != nil:
		s.con.failure(err)
		return &shownError{err}
	case !f.output.quiet && !f.output.json:
		_, _ = fmt.Fprintf(s.stdout, "\nchecked: %s are the same as in the dump (%s in all)\n",
			plural(first.Restored, "key"), formatDuration(time.Since(began)))
	}
	return nil
}

// checkAgain imports once more what first says has been imported.
func checkAgain(ctx context.Context, s *streams, set *settings, first *summary) error {
	again := newImport(s, set)
	again.phase = "check"
	second, err := again.run(ctx)
	if second != nil {
		first.checked = &second.Existing
	}
	switch {
	case err != nil:
		return fmt.Errorf("checking what was imported: %w", err)
	case second.Existing != first.Restored || second.Restored != 0:
		return fmt.Errorf("of %s that were imported %s are on the cluster", plural(first.Restored, "key"), formatCount(second.Existing))
	}
	return nil
}

// writeDump writes the dump that the demo imports.
func (f *demoFlags) writeDump(ctx context.Context, name string, cluster *localcluster.Cluster) (stats dataset.Stats, err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return stats, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := &untilDone{ctx, file}
	if f.keys > 0 {
		return dataset.Mixed(w, int(f.keys), 1)
	}
	return dataset.Sample(w, flavorOf(cluster))
}

// flavorOf returns the newest flavor of sample that the cluster can read.
func flavorOf(cluster *localcluster.Cluster) dataset.Flavor {
	family, version := strings.ToLower(cluster.Family()), cluster.Version()
	flavors := dataset.Flavors()
	best := flavors[0] // the oldest, which every server reads
	for _, f := range flavors {
		name, release, _ := strings.Cut(f.Name, "-")
		if v := slotter.ParseVersion(release); name == family && version.AtLeast(v[0], v[1]) {
			best = f
		}
	}
	return best
}

// untilDone is a writer that fails once ctx has ended.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u *untilDone) Write(p []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}
