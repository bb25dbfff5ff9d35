package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const longHelp = `rdbimport puts an RDB dump into a running Redis or Valkey cluster (or a
standalone server): every key goes to the master that owns its slot.

SOURCE is a file, or - for standard input; gzip, zstd and lz4 are unpacked.
Several are read at the same time, up to four; with --on-conflict replace one
after another, so that the last one named wins, and so with --checkpoint.

TARGET is [redis://|rediss://][user[:password]@]host:port[,host2:port2...][/db]:
any node of the cluster. The password is better given in the environment
variable REDISCLI_AUTH, or at a prompt with --askpass.`

const examples = `  rdbimport --dry-run dump.rdb redis://10.0.0.1:7001       what would happen
  rdbimport dump.rdb redis://10.0.0.1:7001                 the import
  rdbimport verify dump.rdb redis://10.0.0.1:7001          is everything there?
  redis-cli -h old --rdb - | rdbimport - redis://new:7001  without a file
  rdbimport shard-*.rdb.zst redis://new:7001               several dumps`

const exitHelp = `
Exit codes:
  0    every key is where it should be
  1    could not start (usage, connection, permission); nothing was written. Also
       if all went well, and the result could not be written to standard output
  2    stopped part-way; the message says how many keys were written and how to go on
  3    the input is damaged; the message says where, and whether anything was written
  4    finished, but not everything is on the target: commands or another dump
       behind a dump, keys that were refused, that a failover may have lost or that
       the target has evicted are listed by reason
  5    verify, or --verify, found differences, or keys that it could not compare
  130  interrupted
  141  nobody reads the standard output of inspect, or the list of --cleanup,
       any more
`

// The exit codes of the commands beside the import.
const (
	inspectExits = `0 all of it was read, 1 could not start (or the result could not
be written), 3 the input is damaged, 130 interrupted, 141 nobody reads the
standard output any more.`
	verifyExits = `0 no difference, 1 could not start (or the result could not be
written), 2 stopped part-way, 3 the input is damaged, 5 differences, or keys that
could not be compared, 130 interrupted.`
	benchExits = `0 measured, 1 could not start (or the result could not be written),
2 stopped part-way, with keys written to the TARGET, 3 the input is damaged, 4
measured, but the target has refused keys, 130 interrupted.`
	demoExits = `0 every key was found with the value of the dump, 1 could not start,
or a key was not found, 2 stopped part-way, or a key has another value, 4 not every
key could be imported, 130 interrupted.`
)

// newRootCommand returns the command line: the import, and the commands beside it.
func newRootCommand(s *streams) *cobra.Command {
	flags := newImportFlags()
	root := &cobra.Command{
		Use:           "rdbimport [flags] SOURCE... TARGET",
		Short:         "put an RDB dump into a running Redis or Valkey cluster",
		Long:          longHelp,
		Example:       examples,
		Version:       version(),
		Args:          cobra.ArbitraryArgs, // settings says it better
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mistyped(cmd, args); err != nil {
				return err
			}
			set, err := flags.settings(cmd.Flags(), args, s)
			if err != nil {
				return err
			}
			if set.cleanup != "" {
				return runCleanup(cmd.Context(), s, set)
			}
			return runImport(cmd.Context(), s, set)
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("rdbimport {{.Version}}\n")
	flags.register(root.Flags())
	root.Flags().SortFlags = false
	for text, c := range map[string]*cobra.Command{
		inspectExits: newInspectCommand(s), verifyExits: newVerifyCommand(s), benchExits: newBenchCommand(s), demoExits: newDemoCommand(s),
	} {
		root.AddCommand(c)
		setUsage(c, s.stdout, "\nExit codes: "+text+"\n")
		complete(c)
	}
	complete(root)
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Short = "a script with which the shell completes commands and flags"
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(_ *cobra.Command, args []string) error { return noShell(args) }
	}
	setUsage(root, s.stdout, "\nTopics of rdbimport help:\n  "+strings.Join(topics(), ", ")+"\n"+exitHelp)
	root.SetHelpCommand(newHelpCommand(root))
	return root
}

// newHelpCommand returns the command that prints the help of another, or a topic.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "the help of a command, or more about a topic (below)",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if text, ok := topic(args[0]); ok {
					_, err := fmt.Fprint(cmd.OutOrStdout(), text)
					return err
				}
			}
			c, rest, err := root.Find(args)
			if err != nil || c == root && len(rest) > 0 {
				return &usageError{fmt.Sprintf("there is no help for %q", args[0]), helpHint(args[0])}
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// helpHint says what there is help for, or what was meant by a name.
func helpHint(name string) string {
	const most = 2 // letters that are wrong, missing or too many
	for _, t := range topics() {
		if distance(name, t) <= most {
			return "did you mean rdbimport help " + t + "?"
		}
	}
	return "the commands are bench, demo, inspect and verify (an import needs none), the topics " + strings.Join(topics(), ", ")
}

// noShell is the error of completion without a shell that it knows.
func noShell(args []string) error {
	const hint = "it is bash, zsh, fish or powershell: rdbimport completion bash"
	if len(args) == 0 {
		return &usageError{"the name of a shell is missing", hint}
	}
	return &usageError{fmt.Sprintf("there is no completion for %q", args[0]), hint}
}

// mistyped says so where the first argument is no file, and almost the name of a command,
// or that of one that there is not.
func mistyped(root *cobra.Command, args []string) error {
	const most = 2 // letters that are wrong, missing or too many
	if len(args) == 0 || len(args[0]) <= most {
		return nil
	}
	if _, err := os.Stat(args[0]); err == nil {
		return nil
	}
	if hint := foreignWords[args[0]]; hint != "" {
		return &usageError{fmt.Sprintf("%q is no file, and no command", args[0]), hint}
	}
	root.SuggestionsMinimumDistance = most
	if list := root.SuggestionsFor(args[0]); len(list) > 0 {
		return &usageError{fmt.Sprintf("%q is no file, and no command", args[0]), "did you mean rdbimport " + list[0] + "?"}
	}
	return nil
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown version)"
	}
	text := info.Main.Version
	if text == "" || text == "(devel)" {
		text = "(devel)"
	}
	return text + " " + info.GoVersion
}

// flagError explains a flag that cannot be parsed: the flag, the value and an example.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		flag := value.GetFlag()
		return valueError(flag, value.GetValue(), value.Unwrap().Error())
	}
	var missing *pflag.ValueRequiredError
	if errors.As(err, &missing) {
		flag := missing.GetFlag()
		return &usageError{fmt.Sprintf("--%s needs a value", flag.Name), exampleOf(flag)}
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return unknownFlag(cmd, unknown)
	}
	return &usageError{text: err.Error()}
}

// valueError says that a flag cannot have a value.
func valueError(flag *pflag.Flag, value, why string) error {
	return &usageError{fmt.Sprintf("--%s %q: %s", flag.Name, value, plainly(flag, why)), exampleOf(flag)}
}

// exampleKey is the annotation of a flag that holds an example of its value.
const exampleKey = "example"

func exampleOf(flag *pflag.Flag) string {
	if ex := flag.Annotations[exampleKey]; len(ex) > 0 {
		if flag.NoOptDefVal != "" {
			return fmt.Sprintf("for example --%s=%s", flag.Name, ex[0])
		}
		return fmt.Sprintf("for example --%s %s", flag.Name, ex[0])
	}
	if flag.Value.Type() == "bool" {
		return fmt.Sprintf("for example --%s, without a value", flag.Name)
	}
	return ""
}
