package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// hintTarget is for those who give the target as redis-cli wants it.
const hintTarget = "the TARGET is the last argument: rdbimport dump.rdb redis://10.0.0.1:7001"

// foreignFlags are what flags of other programs are here, and what comes to mind first.
var foreignFlags = map[string]string{
	"a": hintPassword, "pass": hintPassword, "password": hintPassword, "auth": hintPassword,
	"host": hintTarget, "p": hintTarget, "port": hintTarget, "u": hintTarget, "url": hintTarget, "uri": hintTarget, "cluster": hintTarget,
	"n":         "--db N picks a database of the dump, /N behind the TARGET one of the target",
	"database":  "--db N picks a database of the dump, /N behind the TARGET one of the target",
	"replace":   "did you mean --on-conflict replace?",
	"overwrite": "did you mean --on-conflict replace?",
	"force":     "--on-conflict replace overwrites keys that exist",
	"skip":      "--on-conflict skip leaves keys that exist, --on-error skip leaves damaged values out",
	"resume":    "--checkpoint FILE keeps how far it has come, and goes on from there",
	"continue":  "--checkpoint FILE keeps how far it has come, and goes on from there",
	"threads":   "--connections N is the number of connections per master",
	"workers":   "--connections N is the number of connections per master",
	"timeout":   "--retry-timeout 90s is how long a master may accept nothing",
	"V":         "did you mean --version?",
}

// unknownFlag is the error about a flag that a command does not have. What stands behind
// its letter may be a password, and is not shown.
func unknownFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	name, text := err.GetSpecifiedName(), "unknown flag: --"+err.GetSpecifiedName()
	if letters := err.GetSpecifiedShortnames(); letters != "" {
		text = "unknown flag: -" + name
		word, _, _ := strings.Cut(letters, "=")
		for _, known := range []string{"", "v", "h"} { // those have been read
			if cmd.Flags().Lookup(known+word) != nil {
				return &usageError{text, "did you mean --" + known + word + "?"}
			}
		}
	}
	if hint := foreignFlags[name]; hint != "" {
		return &usageError{text, hint}
	}
	if len(name) == 1 {
		return &usageError{text: text}
	}
	var owners []string
	for _, other := range append([]*cobra.Command{cmd.Root()}, cmd.Root().Commands()...) {
		if other.Flags().Lookup(name) != nil {
			owners = append(owners, other.CommandPath())
		}
	}
	if len(owners) > 0 {
		return &usageError{text, "--" + name + " is a flag of " + strings.Join(owners, ", ") + ": " + owners[0] + " --help"}
	}
	if meant := closestFlag(cmd.Flags(), name); meant != "" {
		return &usageError{text, "did you mean --" + meant + "?"}
	}
	return &usageError{text: text}
}

// closestFlag returns the flag that was meant by name, "" if none comes near.
func closestFlag(flags *pflag.FlagSet, name string) (meant string) {
	const (
		most  = 2 // letters that are wrong, missing or too many
		whole = 4 // letters from which on a part of a name will do
	)
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	want, least := plain(name), most+1
	flags.VisitAll(func(f *pflag.Flag) {
		has := plain(f.Name)
		n := distance(want, has)
		if n > most && min(len(want), len(has)) >= whole && (strings.Contains(has, want) || strings.Contains(want, has)) {
			n = most
		}
		if n < least && n < min(len(want), len(has)) {
			meant, least = f.Name, n
		}
	})
	return meant
}

// distance is how many letters have to be changed, left out or added to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// foreignWords are first arguments that are no file, and what was meant.
var foreignWords = map[string]string{
	"version": "did you mean rdbimport --version?",
	"import":  "an import needs no command: rdbimport dump.rdb redis://10.0.0.1:7001",
	"restore": "an import needs no command: rdbimport dump.rdb redis://10.0.0.1:7001",
	"load":    "an import needs no command: rdbimport dump.rdb redis://10.0.0.1:7001",
	"cleanup": "did you mean rdbimport --cleanup TARGET?",
	"check":   "did you mean rdbimport --check, or rdbimport inspect?",
	"dry-run": "did you mean rdbimport --dry-run?",
	"resume":  "--checkpoint FILE keeps how far it has come, and goes on from there",
}
