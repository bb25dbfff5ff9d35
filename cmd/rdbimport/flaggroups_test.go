package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestFlagGroups: the help of an import shows every flag, once, under a subject.
func TestFlagGroups(t *testing.T) {
	root := newRootCommand(&streams{})
	var grouped []string
	for _, g := range flagGroups {
		grouped = append(grouped, g.flags...)
	}
	var have []string
	root.Flags().VisitAll(func(f *pflag.Flag) { have = append(have, f.Name) })
	slices.Sort(grouped)
	slices.Sort(have)
	if !slices.Equal(grouped, have) {
		t.Errorf("the subjects have\n%q\nand the command\n%q", grouped, have)
	}
	usage := root.UsageString()
	for _, name := range have {
		if strings.Count(usage, "--"+name+" ")+strings.Count(usage, "--"+name+"[") == 0 {
			t.Errorf("the help does not show --%s", name)
		}
	}
	if strings.Contains(usage, "\nFlags:\n") {
		t.Errorf("flags without a subject:\n%s", usage)
	}
	verify, _, err := root.Find([]string{"verify"})
	if err != nil {
		t.Fatal(err)
	}
	if usage := verify.UsageString(); strings.Index(usage, "--sample") > strings.Index(usage, "\nConnection:\n") || strings.Contains(usage, "--checkpoint") {
		t.Errorf("verify:\n%s", usage)
	}
}
