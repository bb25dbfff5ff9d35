package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rdbimport/rdbimport/slotter"
)

// inspectFlags are the flags of inspect as they were written.
type inspectFlags struct {
	top                             int
	slots, prefix, memory, listKeys bool
	anyVersion                      bool
	target                          string
	output                          outputFlags
	access                          accessFlags
}

// inspectSettings are what an inspection is to show.
type inspectSettings struct {
	sources                         []string
	top                             int
	slots, prefix, memory, listKeys bool
	anyVersion                      bool
	hasTarget                       bool
	target                          slotter.Target
	connect                         slotter.Options
	output                          outputFlags
}

const mostTop = 100_000

const inspectHelp = `inspect reads dumps to their ends, the checksum included, and says what is in
them: the version, who wrote it and when, the AUX fields, keys by database, type
and encoding, how many have expired, will within a day, later or never, how
large they are (percentiles are at most 1/16 too high), the biggest keys,
functions, scripts, and which modules are needed. Several sources are read one
after another and summed.

Bytes of a key are those of its record in the dump: expiry, type, name and
value, as compressed as they are there.

The estimate of --memory is that of the profiler of hdt3213/rdb, which decodes
every value: some 200,000 keys a second. Keys that have expired are left out.
What it cannot open is named with its number and bytes: modules, types newer
than Redis 7.4 and Valkey 9.0, lists that have elements of more than 8 KB (plain
nodes) between others, damaged values, and values of more than 8 MiB.

Of a damaged dump everything before the fault is shown, and where it is. Ctrl-C
shows what was seen so far, too.`

const inspectExamples = `  rdbimport inspect dump.rdb
  rdbimport inspect --memory --target redis://10.0.0.1:7001 shard-*.rdb.zst
  rdbimport inspect --keys dump.rdb | jq -r 'select(.bytes > 1e6) | .key'`

func newInspectCommand(s *streams) *cobra.Command {
	f := &inspectFlags{}
	cmd := &cobra.Command{
		Use:     "inspect [flags] SOURCE...",
		Short:   "what is in a dump; no server is needed",
		Long:    inspectHelp,
		Example: inspectExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := f.settings(cmd.Flags(), args, s)
			if err != nil {
				return err
			}
			return (&inspection{inspectSettings: set, streams: s}).run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&f.top, "top", 20, "show the `N` biggest keys, and as many rows of other long tables")
	fs.BoolVar(&f.slots, "slots", false, "count by hash slot: a table of the fullest, with --json all")
	fs.BoolVar(&f.prefix, "prefix", false, "count by what stands before the first ':' of a key, the heaviest first; some 10,000 are held, the lightest beyond that are summed up")
	fs.BoolVar(&f.memory, "memory", false, "estimate the memory that the keys will take, by master with --target; this takes much longer")
	fs.BoolVar(&f.listKeys, "keys", false, "print one JSON object a line for each key, and nothing else")
	fs.StringVar(&f.target, "target", "", "count by the masters of `TARGET`, which is only asked who owns which slots")
	fs.BoolVar(&f.anyVersion, "any-version", false, "read a dump of an unknown version as far as its types are known")
	f.output.register(fs)
	f.access.register(fs)
	annotate(fs, "top", "50")
	annotate(fs, "target", "redis://10.0.0.1:7001")
	fs.SortFlags = false
	return cmd
}

// settings checks the command line and makes sense of it.
func (f *inspectFlags) settings(fs *pflag.FlagSet, args []string, s *streams) (*inspectSettings, error) {
	set := &inspectSettings{
		sources: args, top: f.top, slots: f.slots, prefix: f.prefix, memory: f.memory, listKeys: f.listKeys,
		anyVersion: f.anyVersion, output: f.output,
	}
	if err := f.output.validate(fs); err != nil {
		return nil, err
	}
	if f.top < 0 || f.top > mostTop {
		return nil, valueError(fs.Lookup("top"), fmt.Sprint(f.top), fmt.Sprintf("it is a number from 0 to %d", mostTop))
	}
	if f.listKeys && f.output.json {
		return nil, &usageError{"--keys prints one JSON object a key, --json one for the whole", "leave one out"}
	}
	for _, name := range []string{"prefix", "slots", "top", "target"} {
		if f.listKeys && fs.Changed(name) {
			return nil, &usageError{"--keys prints the keys only, each with its slot, and --" + name + " is about tables", "leave one out"}
		}
	}
	if err := inspectSources(args); err != nil {
		return nil, err
	}
	return set, f.setTarget(fs, set, s)
}

// inspectSources checks the arguments.
func inspectSources(args []string) error {
	const need = "it takes one SOURCE or more: rdbimport inspect dump.rdb"
	if len(args) == 0 {
		return &usageError{"SOURCE is missing", need}
	}
	stdin := 0
	for i, name := range args {
		if name == stdinName {
			stdin++
		}
		if looksLikeTarget(name) { // it may hold a password, so it is not shown
			return &usageError{fmt.Sprintf("argument %d looks like a target, which inspect takes as --target", i+1),
				"for example rdbimport inspect --target redis://10.0.0.1:7001 dump.rdb"}
		}
	}
	if stdin > 1 {
		return &usageError{"standard input can be read once only", need}
	}
	return nil
}

// setTarget takes --target and what belongs to it.
func (f *inspectFlags) setTarget(fs *pflag.FlagSet, set *inspectSettings, s *streams) error {
	if !fs.Changed("target") {
		for _, name := range []string{"user", "askpass", "tls", "sni", "cacert", "cert", "key", "insecure", "map"} {
			if fs.Changed(name) {
				return &usageError{"--" + name + " is for --target only", "add --target redis://10.0.0.1:7001, or leave it out"}
			}
		}
		return nil
	}
	target, err := slotter.ParseTarget(f.target)
	if err != nil {
		return &usageError{"--target: " + err.Error(), exampleOf(fs.Lookup("target"))} // its value may hold a password
	}
	set.hasTarget, set.target = true, target
	set.connect, err = f.access.options(&set.target, s.con)
	return err
}
