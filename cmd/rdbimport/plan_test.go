package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// TestPlanMasterDown: of a master that does not answer, a plan says nothing that it
// cannot know.
func TestPlanMasterDown(t *testing.T) {
	binary, err := serverBinary(defaultServer)
	needs.Have(t, err)
	c, err := localcluster.Start(t.Context(), localcluster.Options{Binary: binary, Dir: t.TempDir(), NodeTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	c.Masters()[1].Kill()
	var b bytes.Buffer
	if err := writeStrings(&b, []string{"a=1", "b=2", "c=3"}); err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(dump, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
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
		var out, errs bytes.Buffer
		code := run(context.Background(), []string{"--dry-run", x.flag, dump, c.Addrs()[0]}, nil, &out, &errs)
		if code != exitStart {
			t.Errorf("exit code %d\n%s", code, errs.String())
		}
		for _, want := range x.want {
			if !regexp.MustCompile(want).MatchString(out.String()) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	}
}

// TestPlanMembership: a plan says of masters that one leaves a slot half moved, and that one
// thinks that the cluster is down.
func TestPlanMembership(t *testing.T) {
	binary, err := serverBinary(defaultServer)
	needs.Have(t, err)
	c, err := localcluster.Start(t.Context(), localcluster.Options{Binary: binary, Dir: t.TempDir(), NodeTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	half, down := c.Masters()[0], c.Masters()[1]
	for _, command := range [][]any{
		{"CLUSTER", "SETSLOT", "77", "MIGRATING", down.ID},
		{"CONFIG", "SET", "cluster-require-full-coverage", "no"},
	} {
		if err := half.Client().Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := writeStrings(&b, []string{"a=1", "b=2", "c=3"}); err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(dump, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	expect := func(code int, want ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(context.Background(), []string{"--dry-run", "--json", dump, half.Addr}, nil, &out, &errs); got != code {
			t.Errorf("exit code %d\n%s", got, errs.String())
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("no %q in\n%s", text, out.String())
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
