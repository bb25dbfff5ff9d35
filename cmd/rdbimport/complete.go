package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// flagValues are what flags can have, for the completion of a shell.
var flagValues = map[string][]string{
	"on-conflict": {"fail", "replace", "skip"},
	"on-error":    {"stop", "skip"},
	"on-oom":      {"stop", "wait"},
	"progress":    {"auto", "bar", "log", "none"},
	"cleanup":     {cleanupList, cleanupRemove},
	"connections": {autoConnections},
}

// complete has shells complete the flags of a command, and files as its arguments.
func complete(c *cobra.Command) {
	for name, values := range flagValues {
		if c.Flags().Lookup(name) == nil {
			continue
		}
		if name == "on-conflict" && c.Name() == "bench" {
			values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "skip" })
		}
		if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // it has been registered twice: a slip in this file
		}
	}
	if c.Flags().Lookup("spool") != nil {
		if err := c.MarkFlagDirname("spool"); err != nil {
			panic(err)
		}
	}
	// Without it a command that has others completes nothing but these.
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveDefault
	}
}
