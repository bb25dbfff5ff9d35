package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// ownCluster starts a cluster of the usual server, if opt names no other.
func ownCluster(t *testing.T, opt localcluster.Options) *localcluster.Cluster {
	t.Helper()
	if opt.Binary == "" {
		var err error
		opt.Binary, err = serverBinary(defaultServer)
		needs.Have(t, err)
	}
	opt.Dir = t.TempDir()
	c, err := localcluster.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// threeKeys writes a dump of three keys, of a cluster of three masters one for each, and
// returns its name.
func threeKeys(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeStrings(&b, []string{"a=1", "b=2", "c=3"}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// dryRun returns the exit code of a dry run, and what it prints on standard output and
// standard error.
func dryRun(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"--dry-run"}, args...), nil, &o, &e)
	return code, o.String(), e.String()
}

// TestPlanMasterDown: of a master that does not answer, a plan says nothing that it
// cannot know.
func TestPlanMasterDown(t *testing.T) {
	c := ownCluster(t, localcluster.Options{NodeTimeout: time.Hour})
	c.Masters()[1].Kill()
	dump := threeKeys(t)
	for _, x := range []struct {
		flag string
		want []string
	}{
		{"--progress=none", []string{
			`(?m)^target +cluster of 3 masters, no replicas; state not known, as 1 master`,
			`(?m)^not asked +` + c.Addrs()[1] + `: unreachable`,
			`(?m)^` + c.Addrs()[1] + ` +5,46\d +\? +\? +\? +1 `,
			`(?m)^` + c.Addrs()[2] + ` +5,46\d +0 +[0-9.]+ MB  no limit +1 `,
		}},
		{"--json", []string{`"cluster":true,"missing_slots"`, `"keys":null,"used_memory":null`, `"keys":0,"used_memory":\d+`}},
	} {
		code, out, errs := dryRun(x.flag, dump, c.Addrs()[0])
		if code != exitStart {
			t.Errorf("exit code %d\n%s", code, errs)
		}
		for _, want := range x.want {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
}

// TestPlanMembership: a plan says of masters that one leaves a slot half moved, and that one
// thinks that the cluster is down.
func TestPlanMembership(t *testing.T) {
	c := ownCluster(t, localcluster.Options{NodeTimeout: time.Second})
	half, down := c.Masters()[0], c.Masters()[1]
	for _, command := range [][]any{
		{"CLUSTER", "SETSLOT", "77", "MIGRATING", down.ID},
		{"CONFIG", "SET", "cluster-require-full-coverage", "no"},
	} {
		if err := half.Client().Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	dump := threeKeys(t)
	expect := func(code int, want ...string) {
		t.Helper()
		got, out, errs := dryRun("--json", dump, half.Addr)
		if got != code {
			t.Errorf("exit code %d\n%s", got, errs)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("no %q in\n%s", text, out)
			}
		}
	}
	leaves := half.Addr + " is moving 1 slot away (the first is 77)"
	expect(exitOK, leaves)
	c.Masters()[2].Kill()
	for end := time.Now().Add(time.Minute); !strings.Contains(down.Client().ClusterInfo(t.Context()).Val(), "cluster_state:fail"); {
		if time.Now().After(end) {
			t.Fatal("the cluster is not down")
		}
	}
	expect(exitStart, leaves, `{"text":"`+down.Addr+` thinks that the cluster is down, and takes no writes as long as it does","hint":"`+hintCheck+`","exit_code":2}`)
}

// TestPlanInPieces: small streams that not every master would read as they are meant are
// written in pieces, which a dry run says.
func TestPlanInPieces(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "server")
	var binaries [2]string
	for i, server := range []string{"valkey-8.1", "valkey-9.1"} {
		var err error
		binaries[i], err = serverBinary(server)
		needs.Have(t, err)
	}
	// One server that is started, the first, is of another version than the others.
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != --version ] && mkdir '%s/first' 2>/dev/null && exec '%s' \"$@\"\nexec '%s' \"$@\"\n", dir, binaries[1], binaries[0])
	if err := os.WriteFile(name, []byte(script), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	c := ownCluster(t, localcluster.Options{Binary: name})
	dump := filepath.Join(dir, "dump.rdb")
	f, err := os.Create(dump)
	if err != nil {
		t.Fatal(err)
	}
	w := dataset.NewWriter(f, "REDIS0011")
	w.SelectDB(0)
	value := dataset.StreamEntry{ID: dataset.StreamID{Ms: 1}, Fields: [][]byte{[]byte("f"), bytes.Repeat([]byte("e"), 16378)}}
	for i := range 7 {
		w.Key(dataset.TypeStream2, fmt.Appendf(nil, "stream:%d", i), dataset.AppendStream(nil, dataset.TypeStream2, dataset.NewStream([]dataset.StreamEntry{value}, 1)))
	}
	var members [][]byte
	for i := range 3000 {
		members = append(members, fmt.Appendf(nil, "member:%d", i))
	}
	w.Key(dataset.TypeSet, []byte("large"), dataset.AppendStrings(nil, members))
	w.Key(dataset.TypeString, []byte("long"), dataset.AppendString(nil, strings.Repeat("long", 10000)))
	if err := cmp.Or(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ flag, want string }{
		{"--big-value=4MB", `(?m)^in pieces +7 keys, 11\d kB \(streams that the masters read differently\)$`},
		{"--big-value=20kB", `(?m)^in pieces +8 keys, 15\d kB \(values of more than 20 kB, and 7 streams that the\n +masters read differently\)$`},
	} {
		code, out, errs := dryRun(x.flag, dump, c.Addrs()[0])
		if code != exitOK {
			t.Errorf("exit code %d\n%s", code, errs)
		}
		if !regexp.MustCompile(x.want).MatchString(out) {
			t.Errorf("no %q in\n%s", x.want, out)
		}
	}
}
