package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
)

// importFlags are the flags of an import as they were written.
type importFlags struct {
	onConflict  string
	onError     string
	dropTTL     bool
	modules     bool
	db          int
	mergeDBs    bool
	dbPrefix    string
	check       bool
	cleanup     string
	dryRun      bool
	estimate    bool
	verify      bool
	anyVersion  bool
	memory      sizeFlag
	big         sizeFlag
	connections connectionsFlag
	retry       timeFlag
	careful     carefulFlags
	output      outputFlags
	access      accessFlags
}

// outputFlags say what is shown, by every command.
type outputFlags struct {
	json, quiet bool
	progress    string
}

// settings are what an import is to do.
type settings struct {
	sources    []string
	target     slotter.Target
	connect    slotter.Options
	pipeline   pipeline.Options
	check      bool
	dryRun     bool // plan only
	estimate   bool // of memory, with dryRun
	compare    bool // afterwards, as verify does
	anyVersion bool
	cleanup    string // list or remove, "" for an import
	output     outputFlags

	errorsFile, checkpointFile, spoolDir string // "" for none
}

const (
	leastMemory     = 1 << 20
	mostConnections = 64
)

func newImportFlags() *importFlags {
	return &importFlags{memory: sizeFlag{bytes: pipeline.DefaultMemory, least: leastMemory, text: "64MiB"}, big: sizeFlag{least: 1}, retry: timeFlag(pipeline.DefaultRetryTimeout)}
}

func (f *importFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.onConflict, "on-conflict", "fail", "`POLICY` for a key that exists: fail (unless value and expiry are the same), replace or skip")
	fs.StringVar(&f.onError, "on-error", "stop", "`POLICY` for a damaged value: stop, or skip it and go on")
	fs.IntVar(&f.db, "db", 0, "import database `N` of the dump only")
	fs.BoolVar(&f.mergeDBs, "merge-dbs", false, "put the keys of all databases into one")
	fs.StringVar(&f.dbPrefix, "db-prefix", "", "the same, with `TEXT` before each name: 'db%d:' gives db0:, db1:, ...")
	fs.BoolVar(&f.check, "check", false, "read the whole dump first; nothing is sent from a bad one")
	fs.Var((*cleanupFlag)(&f.cleanup), "cleanup", "with a TARGET only: list the temporary keys that a killed import has left there; --cleanup=remove removes them")
	fs.Lookup("cleanup").NoOptDefVal = cleanupList
	fs.BoolVar(&f.dryRun, "dry-run", false, "read the whole dump, look at the target, say what would happen; write nothing")
	fs.BoolVar(&f.estimate, "memory-estimate", false, "with --dry-run: estimate the memory that the keys will take; this takes longer")
	fs.BoolVar(&f.verify, "verify", false, "compare the target with the dump afterwards, as rdbimport verify does (exit code 5 if a key of the dump differs)")
	fs.BoolVar(&f.anyVersion, "any-version", false, "read a dump of an unknown version as far as its types are known")
	fs.BoolVar(&f.dropTTL, "drop-field-ttl", false, "where the target cannot expire the fields of a hash, let them stay for ever")
	fs.BoolVar(&f.modules, "allow-modules", false, "send values of modules to Redis 6.0 and older too: they exit without the module")
	fs.Var(&f.memory, "memory", "budget for everything in flight; less by itself where the process may use little")
	fs.Var(&f.big, "big-value", "a value above it is written in pieces into a temporary key, which then gets the name (1 MiB for lists, sets and hashes, 4 MiB for others, if --memory allows; rdbimport help large)")
	fs.Var(&f.connections, "connections", "`N` connections per master; auto is 1, and up to 8 to masters that are far, if that is faster")
	fs.Var(&f.retry, "retry-timeout", "how long a master may accept nothing before the import stops")
	f.careful.register(fs)
	f.output.register(fs)
	f.access.register(fs)
	for name, ex := range map[string]string{
		"on-conflict": "skip", "cleanup": "remove", "on-error": "skip", "db": "3", "db-prefix": "'db%d:'", "memory": "128MiB (also 256M, 1GB)", "big-value": "16MB", "connections": "2", "retry-timeout": "90s",
	} {
		annotate(fs, name, ex)
	}
}

func (o *outputFlags) register(fs *pflag.FlagSet) {
	fs.BoolVar(&o.json, "json", false, "print one JSON object when it ends (rdbimport help json)")
	fs.BoolVar(&o.quiet, "quiet", false, "print nothing but errors and warnings")
	fs.StringVar(&o.progress, "progress", "auto", "`HOW` progress is shown: auto, bar, log or none")
	annotate(fs, "progress", "log")
}

// annotate gives a flag the example that is shown with a mistake in its value.
func annotate(fs *pflag.FlagSet, name, example string) {
	if err := fs.SetAnnotation(name, exampleKey, []string{example}); err != nil {
		panic(err) // no such flag: a slip in this file
	}
}

// settings checks the command line and makes sense of it.
func (f *importFlags) settings(fs *pflag.FlagSet, args []string, s *streams) (*settings, error) {
	set := &settings{check: f.check, dryRun: f.dryRun, estimate: f.estimate, compare: f.verify, anyVersion: f.anyVersion, output: f.output}
	if err := f.output.validate(fs); err != nil {
		return nil, err
	}
	f.memory.fit(fs.Lookup("memory"), s.mayUse, 0, 1, s.con.warn)
	if err := f.pipeline(fs, set); err != nil {
		return nil, err
	}
	if err := f.careful.apply(fs, set); err != nil {
		return nil, err
	}
	if err := f.cleans(fs, set, args); err != nil {
		return nil, err
	}
	if err := set.phases(); err != nil {
		return nil, err
	}
	if err := set.checkFiles(s.stdin); err != nil {
		return nil, err
	}
	set.pipeline.Warn = s.con.warn
	var err error
	set.connect, err = f.access.options(&set.target, s.con)
	return set, err
}

func (o *outputFlags) validate(fs *pflag.FlagSet) error {
	if !slices.Contains([]string{"auto", "bar", "log", "none"}, o.progress) {
		return valueError(fs.Lookup("progress"), o.progress, "it is auto, bar, log or none")
	}
	if o.quiet && (o.progress == "bar" || o.progress == "log") {
		return &usageError{"--quiet and --progress " + o.progress + " contradict each other", "leave one out"}
	}
	return nil
}

// pipeline sets the options of the pipeline.
func (f *importFlags) pipeline(fs *pflag.FlagSet, set *settings) error {
	conflict, err := pipeline.ParseConflict(f.onConflict)
	if err != nil {
		return valueError(fs.Lookup("on-conflict"), f.onConflict, "it is fail, replace or skip")
	}
	if f.onError != "stop" && f.onError != "skip" {
		return valueError(fs.Lookup("on-error"), f.onError, "it is stop or skip")
	}
	dbs := pipeline.Databases{Only: pipeline.AllDatabases, Merge: f.mergeDBs, Prefix: f.dbPrefix}
	if fs.Changed("db") {
		if f.db < 0 || f.db > math.MaxInt32 {
			return valueError(fs.Lookup("db"), fmt.Sprint(f.db), "it is the number of a database, from 0 on")
		}
		if f.mergeDBs || f.dbPrefix != "" {
			return &usageError{"--db picks one database, --merge-dbs and --db-prefix are for several", "leave one out"}
		}
		dbs.Only = f.db
	}
	if fs.Changed("db-prefix") && f.dbPrefix == "" {
		return valueError(fs.Lookup("db-prefix"), "", "it is empty")
	}
	if before, after, _ := strings.Cut(f.dbPrefix, "%d"); strings.Contains(before+after, "%") {
		return valueError(fs.Lookup("db-prefix"), f.dbPrefix, "a % stands in it only once, as %d for the number of the database")
	}
	if f.retry <= 0 {
		return valueError(fs.Lookup("retry-timeout"), f.retry.String(), "it must be more than nothing")
	}
	set.pipeline = pipeline.Options{
		Conflict: conflict, Databases: dbs, Memory: f.memory.bytes, BigValue: f.big.bytes, Lanes: int(f.connections), RetryTimeout: time.Duration(f.retry),
		SkipDamaged: f.onError == "skip", DropFieldTTL: f.dropTTL, AllowModules: f.modules,
	}
	return nil
}

// cleans takes the arguments: a TARGET only with --cleanup.
func (f *importFlags) cleans(fs *pflag.FlagSet, set *settings, args []string) error {
	if !fs.Changed("cleanup") {
		return set.arguments(args, "rdbimport")
	}
	if f.cleanup != cleanupList && f.cleanup != cleanupRemove {
		return valueError(fs.Lookup("cleanup"), f.cleanup, "it is list or remove")
	}
	var other string
	fs.Visit(func(flag *pflag.Flag) {
		if !slices.Contains(cleanupFlags, flag.Name) {
			other = flag.Name
		}
	})
	if other != "" {
		return &usageError{"--" + other + " is for an import, and --cleanup makes none", "leave it out: all temporary keys on the target are found"}
	}
	if len(args) == 2 && (args[0] == cleanupList || args[0] == cleanupRemove) {
		return &usageError{"--cleanup takes a TARGET and nothing else", "for example rdbimport --cleanup=" + args[0] + " redis://10.0.0.1:7001"}
	}
	if len(args) != 1 {
		return &usageError{"--cleanup takes a TARGET and nothing else", "for example rdbimport --cleanup redis://10.0.0.1:7001"}
	}
	target, err := slotter.ParseTarget(args[0])
	if err != nil {
		return &usageError{err.Error(), "for example rdbimport --cleanup redis://10.0.0.1:7001"}
	}
	set.target, set.cleanup = target, f.cleanup
	return nil
}

// phases checks what is to be done beside the import.
func (set *settings) phases() error {
	if set.estimate && !set.dryRun {
		return &usageError{"--memory-estimate is for --dry-run only", "for example --dry-run --memory-estimate, or rdbimport inspect --memory"}
	}
	if set.compare && slices.Contains(set.sources, stdinName) {
		return &usageError{"--verify reads the dump once more, which cannot be done with standard input", hintSave}
	}
	return nil
}

// arguments takes SOURCE... TARGET of a command.
func (set *settings) arguments(args []string, command string) error {
	need := "it takes one SOURCE or more and a TARGET: " + command + " dump.rdb redis://10.0.0.1:7001"
	switch len(args) {
	case 0:
		return &usageError{"SOURCE and TARGET are missing", need}
	case 1:
		return &usageError{"SOURCE or TARGET is missing", need}
	}
	set.sources = args[:len(args)-1]
	stdin := 0
	for i, name := range set.sources {
		if name == stdinName {
			stdin++
		}
		if looksLikeTarget(name) { // it may hold a password, so it is not shown
			if i > 0 && looksLikeTarget(args[len(args)-1]) {
				need = "several hosts of one TARGET are joined by commas: host:port,host2:port2"
			}
			return &usageError{fmt.Sprintf("argument %d looks like a target, but the target comes last", i+1), need}
		}
	}
	if stdin > 1 {
		return &usageError{"standard input can be read once only", need}
	}
	last := args[len(args)-1]
	if info, err := os.Stat(last); err == nil && info.Mode().IsRegular() {
		return &usageError{"the TARGET is missing: the last argument is a file, " + shownFile(last), need}
	}
	target, err := slotter.ParseTarget(last)
	if err != nil {
		return targetError(last, err)
	}
	set.target = target
	return nil
}

// targetError is the error of a TARGET that cannot be made sense of. Its text has an
// example.
func targetError(arg string, err error) error {
	if strings.Contains(arg, "@") {
		return &usageError{err.Error(), "in the environment variable REDISCLI_AUTH a password stands as it is"}
	}
	return &usageError{text: err.Error()}
}

// looksLikeTarget tells an argument that was meant to be the target from the
// name of a file.
func looksLikeTarget(arg string) bool {
	if strings.Contains(arg, "://") {
		return true
	}
	t, err := slotter.ParseTarget(arg)
	if err != nil || !t.PasswordInURL && !strings.Contains(arg, ":") {
		return false
	}
	_, err = os.Stat(arg)
	return err != nil
}
