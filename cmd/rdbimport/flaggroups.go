package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroups are the flags by subject, in the order in which the help shows them. What a
// command has beside them comes first.
var flagGroups = []struct {
	title string
	flags []string
}{
	{"Which keys, and what becomes of them", []string{"on-conflict", "on-error", "db", "merge-dbs", "db-prefix", "any-version", "drop-field-ttl", "allow-modules"}},
	{"Before and after", []string{"check", "dry-run", "memory-estimate", "verify", "errors", "checkpoint", "cleanup"}},
	{"Speed and safety", []string{"memory", "big-value", "connections", "rate", "rate-keys", "wait-replicas", "retry-timeout", "on-oom", "spool"}},
	{"Output", []string{"json", "quiet", "progress", "help", "version"}},
	{"Connection", []string{"user", "askpass", "tls", "sni", "cacert", "cert", "key", "insecure", "map"}},
}

// flagTexts returns what the help says of a command's flags, by subject, on lines of width
// letters; 0 is any.
func flagTexts(fs *pflag.FlagSet, width int) string {
	var b strings.Builder
	write := func(title string, flags *pflag.FlagSet) {
		if flags.HasFlags() {
			fmt.Fprintf(&b, "\n\n%s:\n%s", title, strings.TrimRight(flags.FlagUsagesWrapped(width), "\n"))
		}
	}
	rest := unsorted()
	fs.VisitAll(func(f *pflag.Flag) {
		for _, g := range flagGroups {
			if slices.Contains(g.flags, f.Name) {
				return
			}
		}
		rest.AddFlag(f)
	})
	write("Flags", rest)
	for _, g := range flagGroups {
		flags := unsorted()
		for _, name := range g.flags {
			if f := fs.Lookup(name); f != nil {
				flags.AddFlag(f)
			}
		}
		write(g.title, flags)
	}
	return b.String()
}

func unsorted() *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SortFlags = false
	return fs
}

// setUsage has the help of c show its flags by subject, and tail behind them. The commands
// below c that have no help of their own show theirs as cobra does.
func setUsage(c *cobra.Command, stdout io.Writer, tail string) {
	const (
		from = "{{if .HasAvailableLocalFlags}}"
		to   = "{{if .HasAvailableInheritedFlags}}"
	)
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	plain := (&cobra.Command{}).UsageTemplate()
	head, flags, _ := strings.Cut(plain, from)
	flags, end, _ := strings.Cut(flags, to)
	own := fmt.Sprintf("{{if eq .CommandPath %q}}{{%q}}{{else}}%s%s{{end}}", c.CommandPath(), flagTexts(c.Flags(), helpWidth(stdout)), from, flags)
	c.SetUsageTemplate(head + own + to + end + fmt.Sprintf("{{if eq .CommandPath %q}}{{%q}}{{end}}", c.CommandPath(), tail))
}

// helpWidth is how wide the texts of flags may be in the help: a terminal would break them
// anywhere. 0 is any, for what is searched line by line.
func helpWidth(stdout io.Writer) int {
	const (
		least = 60
		slack = 6 // by so much pflag lets a line be wider, if that saves one
	)
	if !isTerminal(stdout) {
		return 0
	}
	width, _ := sizeOf(stdout)()
	return max(least, width-slack)
}
