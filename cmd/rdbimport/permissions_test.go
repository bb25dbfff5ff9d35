package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// listedRights returns the commands that the help says a user needs: the first
// list that has the one command and not the other.
func listedRights(t *testing.T, with, without string) []string {
	t.Helper()
	text, _ := topic("permissions")
	for _, found := range regexp.MustCompile(`(?m)^  (\+\S+(?: \+\S+)*)`).FindAllStringSubmatch(text, -1) {
		list := strings.Fields(found[1])
		if len(list) > 1 && slices.Contains(list, with) && !slices.Contains(list, without) {
			return list
		}
	}
	t.Fatalf("the help lists no rights with %s", with)
	return nil
}

// A rightsTarget is a cluster with a user whose rights change.
type rightsTarget struct {
	*localcluster.Cluster
	t      *testing.T
	server string
	dump   string
}

const rightsUser, rightsPassword = "importer", "s3cret-importer"

// allow gives the user rights and nothing else. What the server does not know
// yet is left out.
func (c *rightsTarget) allow(keys string, rights []string) {
	c.t.Helper()
	since := map[string]slotter.Version{"+pexpiretime": {7, 0, 0}, "+client|no-touch": {7, 2, 0}, "+hpexpireat": {7, 4, 0}}
	if strings.HasPrefix(c.server, "valkey") {
		since["+hpexpireat"] = slotter.Version{9, 0, 0}
	}
	rules := []any{"ACL", "SETUSER", rightsUser, "reset", "on", ">" + rightsPassword}
	if keys != "" {
		if !c.Version().AtLeast(7, 0) {
			keys = strings.NewReplacer("%R", "", "%W", "").Replace(keys)
		}
		rules = append(rules, keys)
	}
	for _, r := range rights {
		if v := since[r]; c.Version().AtLeast(v[0], v[1]) {
			rules = append(rules, r)
		}
	}
	for _, n := range c.Nodes() {
		if err := n.Client().Do(c.t.Context(), rules...).Err(); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *rightsTarget) empty() {
	c.t.Helper()
	for _, n := range c.Nodes() {
		if err := n.Client().FlushAll(c.t.Context()).Err(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// run runs rdbimport as the user.
func (c *rightsTarget) run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	args = append(args, "--user", rightsUser, "--progress", "none", c.dump)
	if args[0] != "inspect" {
		args = append(args, c.Addrs()[0])
	}
	code = run(context.Background(), args, nil, &out, &errs)
	return code, out.String(), checkedFirst.ReplaceAllString(errs.String(), "")
}

// checkedFirst is what is said about old servers each time.
var checkedFirst = regexp.MustCompile(`(?m)^.*: the whole dump is checked first\n`)

func startRightsTarget(t *testing.T, server string) *rightsTarget {
	t.Helper()
	binary, err := serverBinary(server)
	needs.Have(t, err)
	c, err := localcluster.Start(t.Context(), localcluster.Options{Binary: binary, Masters: 2, Dir: t.TempDir(), Password: "s3cret-admin"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv(passwordVariable, rightsPassword)
	var b bytes.Buffer
	if err := writeStrings(&b, []string{"app:1=a", "app:2=b", "app:3=c", "app:4=d", "other:1=e", "other:2=f"}); err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(dump, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return &rightsTarget{c, t, server, dump}
}

// TestRights: the rights that rdbimport help permissions lists are enough, for every policy, and
// a user that lacks one is told which.
func TestRights(t *testing.T) {
	for _, server := range []string{"redis-6.0", defaultServer, "redis-8.0", "valkey-8.1", "valkey-9.1"} {
		t.Run(server, func(t *testing.T) {
			c := startRightsTarget(t, server)
			t.Run("import", c.imports)
			t.Run("patterns", c.patterns)
			t.Run("pieces", c.pieces)
			t.Run("verify", c.verifies)
			t.Run("inspect", c.inspects)
		})
	}
}

// A lack is what a run comes to without one of the rights.
type lack struct {
	right string // "" for none lacking
	args  string
	code  int
	says  string // on standard error; "" for nothing at all there
}

// check takes the rights away one by one.
func (c *rightsTarget) check(t *testing.T, keys string, rights []string, cases []lack) {
	t.Helper()
	for _, l := range cases {
		if l.right != "" && !slices.Contains(rights, l.right) {
			t.Errorf("the help does not list %s", l.right)
		}
		c.allow(keys, slices.DeleteFunc(slices.Clone(rights), func(r string) bool { return r == l.right }))
		code, _, stderr := c.run(strings.Fields(l.args)...)
		if code != l.code || (l.says == "") != (stderr == "") || !strings.Contains(strings.ToLower(stderr), l.says) {
			t.Errorf("%s without %q: exit code %d, want %d, and %q in:\n%s", l.args, l.right, code, l.code, l.says, stderr)
		}
		if code == exitStart && !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s without %q: no hint in:\n%s", l.args, l.right, stderr)
		}
		if strings.Contains(stderr, "s3cret") {
			t.Errorf("%s without %q: a password in:\n%s", l.args, l.right, stderr)
		}
	}
}

// ttlRight is the right to ask for a key's expiry.
func (c *rightsTarget) ttlRight() string {
	if c.Version().AtLeast(7, 0) {
		return "+pexpiretime"
	}
	return "+pttl"
}

func (c *rightsTarget) imports(t *testing.T) {
	rights := listedRights(t, "+restore", "+scan")
	ttl := c.ttlRight()
	c.empty()
	cases := []lack{
		{"", "--on-conflict fail", exitOK, ""},
		{"", "--on-conflict fail", exitOK, ""}, // all are there by now
		{"", "--on-conflict skip", exitOK, ""},
		{"", "--on-conflict replace", exitOK, ""},
		{"+dump", "--on-conflict fail", exitStart, "dump is not allowed"},
		{"+dump", "--on-conflict skip", exitOK, ""},
		{"+dump", "--on-conflict replace", exitOK, ""},
		{ttl, "--on-conflict fail", exitStart, ttl[1:] + " is not allowed"},
		{ttl, "--on-conflict skip", exitOK, ""},
		{"+cluster|info", "--on-conflict fail", exitOK, ""}, // of use only while the cluster is down
	}
	for _, policy := range []string{"fail", "skip", "replace"} {
		how := "--on-conflict " + policy
		cases = append(cases, []lack{
			{"+restore", how, exitStart, "restore is not allowed"},
			{"+info", how, exitStart, "no permission: info: noperm"},
			{"+cluster|slots", how, exitStart, "no permission: cluster slots: noperm"},
			{"+time", how, exitOK, "no permission: time: noperm"},
			{"+cluster|nodes", how, exitOK, "the other nodes think that a master has failed"},
			{"+asking", how, exitOK, "slots that are being moved"},
		}...)
	}
	c.check(t, "~*", rights, cases)
}

// patterns: keys outside the user's patterns are refused and counted, and a dry run
// knows which.
func (c *rightsTarget) patterns(t *testing.T) {
	rights := listedRights(t, "+restore", "+scan")
	c.allow("~app:*", rights)
	for _, policy := range []string{"fail", "skip", "replace"} {
		for _, again := range []bool{false, true} {
			if !again {
				c.empty()
			}
			before := c.keys(t)
			code, stdout, stderr := c.run("--on-conflict", policy, "--dry-run", "--memory-estimate", "--json")
			if code != exitRefused || !regexp.MustCompile(`"as_is":{"keys":4,.*"refused":{"keys":2,.*"reason":"NOPERM: the user may not write this key","count":2,"example_key":"other:`).MatchString(stdout) ||
				!regexp.MustCompile(`"memory":{"bytes":\d+,"estimated":{"keys":4,`).MatchString(stdout) || c.keys(t) != before {
				t.Errorf("%s: the dry run's exit code is %d\n%s%s", policy, code, stdout, stderr)
			}
			if code, _, stderr := c.run("--on-conflict", policy, "--check"); code != exitStopped || !strings.Contains(stderr, "NOPERM: the user may not write this key (2, for example") || c.keys(t) != before {
				t.Errorf("%s with --check: exit code %d\n%s", policy, code, stderr)
			}
			code, stdout, stderr = c.run("--on-conflict", policy)
			if code != exitRefused || !strings.Contains(stdout, "NOPERM: the user may not write this key (for example key other:") {
				t.Errorf("%s: exit code %d\n%s%s", policy, code, stdout, stderr)
			}
			if !regexp.MustCompile(`(?m)^  refused +2$`).MatchString(stdout) {
				t.Errorf("%s: no 2 refused in:\n%s", policy, stdout)
			}
			if keys := c.keys(t); keys != 4 {
				t.Errorf("%s: %d keys on the target, want 4", policy, keys)
			}
		}
	}
}

// pieces: a dry run says whether the user may write large values, and the import
// comes to the same end.
func (c *rightsTarget) pieces(t *testing.T) {
	var b bytes.Buffer
	out := dataset.NewWriter(&b, "REDIS0009")
	long := strings.Repeat("value", 1000)
	out.Key(dataset.TypeSet, []byte("app:set"), dataset.AppendString(dataset.AppendLen(nil, 1), long))
	out.ExpireMs(4102444800000)
	out.Key(dataset.TypeHash, []byte("app:hash"), dataset.AppendString(dataset.AppendString(dataset.AppendLen(nil, 1), "field"), long))
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	small := c.dump
	defer func() { c.dump = small }()
	c.dump = filepath.Join(t.TempDir(), "large.rdb")
	if err := os.WriteFile(c.dump, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	rights := slices.Concat(listedRights(t, "+restore", "+scan"), listedRights(t, "+renamenx", "+set"), listedRights(t, "+sadd", "+set"), listedRights(t, "+hset", "+set"))
	for _, policy := range []string{"skip", "replace"} {
		for _, right := range []string{"", "+exists", "+renamenx", "+rename", "+watch", "+multi", "+unlink", "+pexpireat", "+sadd", "+scard", "+hset", "+hlen"} {
			if right != "" && !slices.Contains(rights, right) {
				t.Errorf("the help does not list %s", right)
			}
			c.empty()
			c.allow("~app:*", slices.DeleteFunc(slices.Clone(rights), func(r string) bool { return r == right }))
			how := []string{"--on-conflict", policy, "--big-value", "1KB"}
			planned, report, told := c.run(append(how, "--dry-run")...)
			if keys := c.keys(t); keys != 0 {
				t.Fatalf("%s without %q: the dry run has written %d keys", policy, right, keys)
			}
			code, _, stderr := c.run(how...)
			if planned != code {
				t.Errorf("%s without %q: exit code %d, the dry run's is %d\n%s\n%s", policy, right, code, planned, stderr, report)
			}
			if untried := right == "+multi" && code == exitOK; untried != strings.Contains(report, "takes MULTI") {
				t.Errorf("%s without %q: told that it could not be tried: %v\n%s", policy, right, !untried, report)
			}
			warned, failed := warnedPieces.FindString(stderr), failedPieces.FindString(stderr)
			if warned == "" { // of the types that the dump does not have
				t.Errorf("%s without %q: no warning\n%s", policy, right, stderr)
			}
			if code == exitOK {
				continue
			}
			name := strings.ToUpper(right[1:])
			if code != exitStopped || !strings.Contains(report+told, "no permission for large values") || !strings.Contains(report+told, name) ||
				!strings.Contains(warned, name) || !strings.Contains(strings.ToUpper(failed), name) {
				t.Errorf("%s without %q: exit code %d\n%s\n%s%s", policy, right, code, stderr, report, told)
			}
		}
		c.empty()
		c.allow("~app:*", []string{"+@all"})
		if code, _, stderr := c.run("--on-conflict", policy, "--big-value", "1KB"); code != exitOK || stderr != "" {
			t.Errorf("%s with all rights: exit code %d\n%s", policy, code, stderr)
		}
	}
}

// What an import says of the commands of large values at its start, and when it meets
// the first.
var (
	warnedPieces = regexp.MustCompile(`(?m)^warning: no permission for large values.*; the first one would stop the import`)
	failedPieces = regexp.MustCompile(`(?m)^rdbimport: .*no permission for large values.*`)
)

func (c *rightsTarget) keys(t *testing.T) (sum int64) {
	t.Helper()
	for _, n := range c.Masters() {
		size, err := n.Client().DBSize(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		sum += size
	}
	return sum
}

func (c *rightsTarget) verifies(t *testing.T) {
	c.empty()
	c.allow("~*", listedRights(t, "+restore", "+scan"))
	if code, _, stderr := c.run(); code != exitOK {
		t.Fatal(stderr)
	}
	rights, quiet := listedRights(t, "+scan", "+restore"), ""
	if c.ttlRight() == "+pttl" || !c.Version().AtLeast(7, 2) {
		quiet = "no client no-touch"
	}
	cases := []lack{{"+scan", "verify", exitOK, quiet}, {"+scan", "verify --extra", exitStart, "scan is not allowed"}}
	for _, how := range []string{"verify", "verify --extra"} {
		cases = append(cases, []lack{
			{"", how, exitOK, quiet},
			{"+dump", how, exitStart, "dump is not allowed"},
			{c.ttlRight(), how, exitStart, c.ttlRight()[1:] + " is not allowed"},
			{"+dbsize", how, exitStart, "dbsize is not allowed"},
			{"+info", how, exitStart, "no permission: info: noperm"},
			{"+cluster|slots", how, exitStart, "no permission: cluster slots: noperm"},
			{"+time", how, exitOK, "no permission: time: noperm"},
			{"+client|no-touch", how, exitOK, "no client no-touch"},
		}...)
	}
	c.check(t, "%R~*", rights, cases)
	c.allow("%R~app:*", rights)
	code, stdout, stderr := c.run("verify")
	if code != exitDiffer || strings.Count(stdout, "the target does not show it: NOPERM") != 2 ||
		!strings.Contains(stderr, "rdbimport: not all keys could be compared: 2 of 6 keys could not\nhint: each of them is listed with the reason") {
		t.Errorf("patterns: exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, n := range c.Masters() { // the one that has it
		_ = n.Client().Del(t.Context(), "app:1").Err()
	}
	if code, _, stderr = c.run("verify"); code != exitDiffer || !strings.Contains(stderr, "the target differs from the dump: 1 of 6 keys, 2 keys could not be compared\n") {
		t.Errorf("patterns: exit code %d\n%s", code, stderr)
	}
}

func (c *rightsTarget) inspects(t *testing.T) {
	c.check(t, "", []string{"+info", "+cluster|slots"}, []lack{
		{"", "inspect --target " + c.Addrs()[0], exitOK, ""},
		{"+info", "inspect --target " + c.Addrs()[0], exitStart, "no permission: info: noperm"},
		{"+cluster|slots", "inspect --target " + c.Addrs()[0], exitStart, "no permission: cluster slots: noperm"},
	})
}
