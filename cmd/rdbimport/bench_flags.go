package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
)

const benchHelp = `bench measures how fast a dump can be read, scanned and encoded, and, given a
TARGET, imported: on this machine, from this disk, into these servers.

Without TARGET nothing is written. MB are those of the dump, unpacked. Ctrl-C shows
what was measured so far. Each run reads the dump five times, which the progress
counts:
  reading     the bytes of the source only (unpacked, where it is compressed).
              After the first time the system may have them in memory.
  scanning    where each record ends; the time spent reading is taken off
  checksum    what checking the file's CRC64 adds to scanning: the difference of
              two passes, which may be lost in the noise
  slots, payloads, encoding
              keys are copied into blocks of one type, some 64 KiB each, and
              each of the three is timed over a block: the slot of the key; the
              value with version and CRC64 behind it; both, as RESTORE
  all         reading, scanning, checksum and encoding, key by key: what an
              import costs but for sending and for the replies
The table by type has the time of scanning (a clock is read before and after
each key, and its own cost taken off) and of encoding (as above). Allocations
are counted in another pass, over the first million keys or 256 MB. Peak memory
is the whole process's.

With TARGET the keys ARE WRITTEN to it, and stay there: nothing is flushed
afterwards. Name servers that hold nothing of value. Where there are keys already
it does not begin, unless --on-conflict replace is given. It always sends RESTORE
with REPLACE, since the second run finds the keys of the first. Keys of all
databases go into the one of the target. Then it measures
  import      the whole dump, as rdbimport imports it
  limited by  where the time of these imports went, as an import says it
  replies     by master, for each batch of commands: the time from its first
              byte written to its last reply, over all these imports
  floor       the same commands, rendered beforehand and held in memory, and
              only sent: no import can be faster. Where they are more than
              --floor allows, the beginning of the dump is imported and sent in
              turn. Values that the target does not take as they stand are left
              out, and with more than 1 % of them there is no floor.
What the floor sends is imported once before all that, which does not count.`

const benchExamples = `  rdbimport bench dump.rdb
  rdbimport bench --runs 5 --json dump.rdb.zst > local.json
  rdbimport bench dump.rdb redis://10.0.0.1:7001`

// benchFlags are the flags of bench as they were written.
type benchFlags struct {
	runs        int
	onConflict  string
	memory      sizeFlag
	connections connectionsFlag
	floor       sizeFlag
	anyVersion  bool
	output      outputFlags
	access      accessFlags
}

// benchSettings say what is to be measured.
type benchSettings struct {
	source      string
	runs        int
	replace     bool // keys of the target
	memory      int64
	connections int
	floor       int64 // bytes of commands to be held for the floor
	anyVersion  bool
	hasTarget   bool
	target      slotter.Target
	connect     slotter.Options
	output      outputFlags
}

const (
	mostRuns   = 1000
	leastFloor = 1 << 20
)

func newBenchCommand(s *streams) *cobra.Command {
	f := &benchFlags{
		memory: sizeFlag{bytes: pipeline.DefaultMemory, least: leastMemory, text: "64MiB"},
		floor:  sizeFlag{bytes: 256 << 20, least: leastFloor, text: "256MiB"},
	}
	cmd := &cobra.Command{
		Use:     "bench [flags] SOURCE [TARGET]",
		Short:   "how fast a dump can be read, encoded and imported",
		Long:    benchHelp,
		Example: benchExamples,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := f.settings(cmd.Flags(), args, s)
			if err != nil {
				return err
			}
			return (&benchmark{benchSettings: set, streams: s}).run(cmd.Context())
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}

func (f *benchFlags) register(fs *pflag.FlagSet) {
	fs.IntVar(&f.runs, "runs", 3, "measure `N` times; the median is shown, with the least and the most")
	fs.StringVar(&f.onConflict, "on-conflict", "fail", "`POLICY` for a target that holds keys: fail, or replace those of the dump's names")
	fs.Var(&f.memory, "memory", "budget of an import for everything in flight")
	fs.Var(&f.connections, "connections", "`N` connections per master in an import, or auto; the floor has one")
	fs.Var(&f.floor, "floor", "hold so many bytes of commands for the floor, beside --memory; less where the process may use no more")
	fs.BoolVar(&f.anyVersion, "any-version", false, "read a dump of an unknown version as far as its types are known")
	f.output.register(fs)
	f.access.register(fs)
	for name, ex := range map[string]string{
		"runs": "5", "on-conflict": "replace", "memory": "128MiB (also 256M, 1GB)", "connections": "2", "floor": "1GiB",
	} {
		annotate(fs, name, ex)
	}
}

// settings checks the command line and makes sense of it.
func (f *benchFlags) settings(fs *pflag.FlagSet, args []string, s *streams) (*benchSettings, error) {
	if err := f.output.validate(fs); err != nil {
		return nil, err
	}
	f.memory.fit(fs.Lookup("memory"), s.mayUse, 0, 1, s.con.warn)
	f.floor.fit(fs.Lookup("floor"), s.mayUse, f.memory.bytes, 1, s.con.warn)
	switch {
	case f.runs < 1 || f.runs > mostRuns:
		return nil, valueError(fs.Lookup("runs"), fmt.Sprint(f.runs), fmt.Sprintf("it is a number from 1 to %d", mostRuns))
	case f.onConflict != "fail" && f.onConflict != "replace":
		return nil, valueError(fs.Lookup("on-conflict"), f.onConflict, "it is fail or replace")
	}
	set := &benchSettings{
		runs: f.runs, replace: f.onConflict == "replace", memory: f.memory.bytes, connections: int(f.connections),
		floor: f.floor.bytes, anyVersion: f.anyVersion, output: f.output,
	}
	if err := set.arguments(args); err != nil {
		return nil, err
	}
	if !set.hasTarget {
		return set, f.withoutTarget(fs)
	}
	var err error
	set.connect, err = f.access.options(&set.target, s.con)
	return set, err
}

// arguments takes SOURCE [TARGET].
func (set *benchSettings) arguments(args []string) error {
	const need = "it takes one SOURCE, and a TARGET to import into it: rdbimport bench dump.rdb redis://10.0.0.1:7001"
	switch {
	case len(args) == 0:
		return &usageError{"SOURCE is missing", need}
	case len(args) > 2:
		return &usageError{fmt.Sprintf("%d arguments are too many", len(args)), need}
	case args[0] == stdinName:
		return &usageError{"bench reads the dump several times, which cannot be done with standard input",
			"save it to a file first: redis-cli -h old --rdb dump.rdb"}
	case looksLikeTarget(args[0]): // it may hold a password, so it is not shown
		return &usageError{"argument 1 looks like a target, but the target comes last", need}
	}
	set.source = args[0]
	if len(args) == 1 {
		return nil
	}
	target, err := slotter.ParseTarget(args[1])
	if err != nil {
		return &usageError{err.Error(), need}
	}
	set.target, set.hasTarget = target, true
	return nil
}

// withoutTarget refuses the flags that are of no use without a target.
func (f *benchFlags) withoutTarget(fs *pflag.FlagSet) error {
	for _, name := range []string{
		"on-conflict", "memory", "connections", "floor",
		"user", "askpass", "tls", "sni", "cacert", "cert", "key", "insecure", "map",
	} {
		if fs.Changed(name) {
			return &usageError{"--" + name + " is for an import, and there is no TARGET", "name one behind the SOURCE, for example redis://10.0.0.1:7001, or leave the flag out"}
		}
	}
	return nil
}
