package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rdbimport/rdbimport/pipeline"
)

const verifyHelp = `verify reads the dump again and compares every key with what the target holds:
its value (DUMP) and its expiry. Nothing is written to the target.

Values are the same if they mean the same, whatever their encoding: sets and
hashes have no order, lists have one, scores count to the last bit, streams with
their groups and pending entries, hashes with the expiry of their fields. So one
that was converted for an older server is the same, and a hash that lost the
expiry of its fields (--drop-field-ttl) is not. When a stream's consumers were
seen and active does not count. Values of more than 4 MiB (1/16 of --memory if
that is less) are compared by ranges, and take no memory.

Of a damaged dump what stands before the fault is compared, and of one that
Ctrl-C ends what was read, but for a value that was being compared by ranges.

A key that has expired meanwhile is no difference. One that is on the target and
not in the dump is: DBSIZE of all masters less the keys found, or, with --extra,
each by its name, so also what lies on a master that does not own its slot. A
key twice in the sources (--merge-dbs, several dumps) makes that count too low,
and with two values it is different once at the least. A key that the user may
not read, or whose value cannot be opened, is unreadable, and counted apart.
Function libraries have to be on every master with the dump's code; scripts of
EVAL, which servers keep only until they restart, are not looked for.

It reads with CLIENT NO-TOUCH ON where the server has that (Redis 7.2, Valkey);
elsewhere reading resets the idle times of the keys, and it says so. If the
target is written to meanwhile, it says how many writes there were at least.`

// verifyFlags are the flags of a comparison as they were written.
type verifyFlags struct {
	*importFlags // those that both have
	tolerance    timeFlag
	sample       percentFlag
	extra        bool
	report       string
}

// verifySettings are what a comparison is to do.
type verifySettings struct {
	settings
	verify pipeline.VerifyOptions
	report string // file, "" for none
}

// newVerifyCommand returns the command that compares.
func newVerifyCommand(s *streams) *cobra.Command {
	f := &verifyFlags{importFlags: newImportFlags()}
	// What an import may be told, and a comparison may not.
	f.onConflict, f.onError = "fail", "stop"
	c := &cobra.Command{
		Use:     "verify [flags] SOURCE... TARGET",
		Short:   "compare a dump with what a target holds",
		Long:    verifyHelp,
		Example: "  rdbimport verify dump.rdb redis://10.0.0.1:7001\n  rdbimport verify --extra --report differences.jsonl dump.rdb 10.0.0.1:7001",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := f.verifySettings(cmd.Flags(), args, s)
			if err != nil {
				return err
			}
			return newVerification(s, set).run(cmd.Context())
		},
	}
	f.registerVerify(c.Flags())
	c.Flags().SortFlags = false
	return c
}

func (f *verifyFlags) registerVerify(fs *pflag.FlagSet) {
	f.tolerance = timeFlag(defaultTolerance)
	fs.Var(&f.tolerance, "ttl-tolerance", "by how much an expiry may be off; 0 is not at all (before Redis 7.0 it is 1.5s at least)")
	fs.Var(&f.sample, "sample", "compare the keys of so many of the slots only, spread evenly and always the same; extra keys are then not counted, but --extra lists them")
	fs.BoolVar(&f.extra, "extra", false, "list the keys that only the target has, by SCAN; half of --memory then holds hashes of the dump's keys (64MiB is enough for 2.8 million; of more it says so, and counts only)")
	fs.StringVar(&f.report, "report", "", "`FILE` to write every difference to, one JSON object a line")
	fs.IntVar(&f.db, "db", 0, "compare database `N` of the dump only")
	fs.BoolVar(&f.mergeDBs, "merge-dbs", false, "the keys of all databases were put into one")
	fs.StringVar(&f.dbPrefix, "db-prefix", "", "the same, with `TEXT` before each name: 'db%d:'")
	fs.BoolVar(&f.anyVersion, "any-version", false, "read a dump of an unknown version as far as its types are known")
	fs.Var(&f.memory, "memory", "budget for everything in flight")
	f.connections = 1
	fs.Var(&f.connections, "connections", "`N` connections per master; auto is 1")
	f.output.register(fs)
	f.access.register(fs)
	for name, ex := range map[string]string{
		"ttl-tolerance": "500ms", "sample": "1%", "report": "differences.jsonl",
		"db": "3", "db-prefix": "'db%d:'", "memory": "128MiB (also 256M, 1GB)", "connections": "2",
	} {
		annotate(fs, name, ex)
	}
}

// verifySettings checks the command line and makes sense of it.
func (f *verifyFlags) verifySettings(fs *pflag.FlagSet, args []string, s *streams) (*verifySettings, error) {
	set := &verifySettings{settings: settings{anyVersion: f.anyVersion, output: f.output}, report: f.report}
	if err := f.output.validate(fs); err != nil {
		return nil, err
	}
	f.memory.fit(fs.Lookup("memory"), s.mayUse, 0, verifyMemory, s.con.warn)
	if err := f.pipeline(fs, &set.settings); err != nil {
		return nil, err
	}
	if f.tolerance < 0 {
		return nil, valueError(fs.Lookup("ttl-tolerance"), f.tolerance.String(), "it is less than nothing")
	}
	if err := set.arguments(args, "rdbimport verify"); err != nil {
		return nil, err
	}
	if f.report != "" {
		if err := checkFiles(set.sources, s.stdin, []outputFile{{"report", f.report, true}}); err != nil {
			return nil, err
		}
	}
	p := &set.settings.pipeline
	set.verify = pipeline.VerifyOptions{
		Databases: p.Databases, Memory: p.Memory, Lanes: p.Lanes,
		TTLTolerance: time.Duration(f.tolerance), Sample: f.sample.share, Extra: f.extra, Warn: s.con.warn,
	}
	var err error
	set.connect, err = f.access.options(&set.target, s.con)
	return set, err
}

// A percentFlag is a flag that holds a share.
type percentFlag struct {
	share float64 // of 1; 0 if not given
	text  string
}

func (f *percentFlag) String() string { return f.text }

// Type names the value in the help.
func (f *percentFlag) Type() string { return "P%" }

// Set reads the value.
func (f *percentFlag) Set(s string) error {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !ok {
		return errors.New("it is a number of percent")
	}
	if !(n > 0 && n <= 100) {
		return errors.New("it is more than 0% and at most 100%")
	}
	f.share, f.text = n/100, s
	return nil
}
