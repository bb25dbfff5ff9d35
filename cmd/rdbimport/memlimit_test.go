package main

import (
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/spf13/pflag"
)

func TestCgroupsLimit(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"none": {fstest.MapFS{}, math.MaxInt64},
		"second version": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("50331648\n"),
		}, 48 << 20},
		"container": {fstest.MapFS{"proc/self/cgroup": file("0::/../../x\n"), "sys/fs/cgroup/memory.max": file("100\n")}, 100},
		"first version": {fstest.MapFS{
			"proc/self/cgroup": file("5:cpu:/a\n4:memory:/a\n0::/\n"),
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":     file("1000\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":       file("9223372036854771712\n"),
			"sys/fs/cgroup/memory/other/memory.limit_in_bytes": file("1\n"),
		}, 1000},
		"no group": {fstest.MapFS{"proc/self/cgroup": file("junk\n4:memory:/a\n")}, math.MaxInt64},
	} {
		if got := cgroupsLimit(c.files); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestBudgetFitsTheProcess(t *testing.T) {
	for _, c := range []struct {
		args  string
		may   int64
		times int64
		want  int64
		warns string
	}{
		{"", math.MaxInt64, 1, 64 << 20, ""},
		{"", 88 << 20, 1, 64 << 20, ""},
		{"", 64 << 20, 1, 40 << 20, ""},
		{"", 10 << 20, 1, 1 << 20, ""},
		{"", 64 << 20, verifyMemory, 20 << 20, ""},
		{"--memory=64MiB", 64 << 20, 1, 64 << 20, "this process may use 64 MiB of memory (GOMEMLIMIT, or its cgroup's limit), and may be killed with --memory 64MiB: 40MiB fits"},
		{"--memory=8MiB", 64 << 20, 1, 8 << 20, ""},
		{"--memory=1500000", 64 << 20, 1, 1500000, ""},
	} {
		f := newImportFlags()
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.register(flags)
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		warned := ""
		f.memory.fit(flags.Lookup("memory"), c.may, 0, c.times, func(text string) { warned = text })
		if f.memory.bytes != c.want || warned != c.warns {
			t.Errorf("%q of %d: %d, %q, want %d, %q", c.args, c.may, f.memory.bytes, warned, c.want, c.warns)
		}
	}
}
