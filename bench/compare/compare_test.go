package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// TestMain lets the test's binary be the floor's process, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// havePrograms looks for those that the comparison needs.
func havePrograms(t *testing.T) {
	t.Helper()
	_, err := localcluster.FindServer()
	if err == nil {
		_, err = exec.LookPath("redis-cli")
	}
	needs.Have(t, err)
}

func TestCompare(t *testing.T) {
	havePrograms(t)
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-set", "mixed,small", "-keys", "2000", "-pairs", "2", "-json"}, nil, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	var rep report
	if err := json.Unmarshal(stdout.Bytes(), &rep); err != nil {
		t.Fatalf("%v: %s", err, &stdout)
	}
	if h := rep.Host; h.Cores < 1 || h.Processor == "" || !strings.HasPrefix(h.Go, "go") || !strings.ContainsAny(h.Server, "0123456789") {
		t.Errorf("host %+v", h)
	}
	if len(rep.Sets) != 2 || rep.Sets[0].Name != "mixed" || rep.Sets[1].Name != "small" {
		t.Fatalf("sets %+v", rep.Sets)
	}
	for _, s := range rep.Sets {
		if s.Keys != 2000 || s.Bytes < 2000*40 || len(s.Pairs) != 2 {
			t.Errorf("%s: %d keys, %d bytes, %d pairs", s.Name, s.Keys, s.Bytes, len(s.Pairs))
		}
		for _, p := range s.Pairs {
			checkCost(t, p.Import, true)
			checkCost(t, p.Floor, false)
		}
		if s.Process.Min > s.Process.Median || s.Process.Median > s.Process.Max || s.Process.Min <= 0 || s.Import.Min <= 0 || s.CPU.Min <= 0 {
			t.Errorf("%s: ratios %v, %v, %v", s.Name, s.Process, s.Import, s.CPU)
		}
		checkPeers(t, s.Peers, len(rep.LeftOut))
	}
	for _, want := range []string{rep.Host.Processor, "mixed: 2000 keys", "rdbimport to floor, pair by pair", "left out: reshard, restart, reshard"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, &stderr)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", left, err)
	}
}

func checkCost(t *testing.T, c cost, importer bool) {
	t.Helper()
	if c.Wall <= 0 || c.cpu() <= 0 || c.Servers <= 0 || c.Keys != 2000 || c.Stopped {
		t.Errorf("%+v", c)
	}
	if importer && (c.Own <= 0 || c.Own > c.Wall || c.PeakRSS < 1<<20) {
		t.Errorf("import: %+v", c)
	}
}

// checkPeers checks those of the other tools that are on the PATH, of which
// redis-cli is one. One that fails says so.
func checkPeers(t *testing.T, peers []peerResult, leftOut int) {
	t.Helper()
	if len(peers)+leftOut != 4 {
		t.Errorf("%d peers measured and %d left out, of 4", len(peers), leftOut)
	}
	for _, p := range peers {
		if p.Error != "" || len(p.Runs) != 1 || p.Runs[0].Keys != 2000 || p.Runs[0].Wall <= 0 {
			t.Errorf("%+v", p)
		}
	}
}

// TestRecipe follows the recipe once.
func TestRecipe(t *testing.T) {
	havePrograms(t)
	if testing.Short() {
		t.Skip("moving all slots to and fro takes 40 s")
	}
	const keys = 40_000 // so that every slot has one
	dir := t.TempDir()
	s, err := makeSet(dir, "small", keys)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{options: options{pipeline: 100}, log: io.Discard, dir: dir}
	c, err := b.runRecipe(t.Context(), s)
	if err != nil || c.Keys != keys || c.Wall <= 0 || c.Servers <= 0 || c.cpu() <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestFloorFails makes sure that no time is taken from a floor that failed.
func TestFloorFails(t *testing.T) {
	havePrograms(t)
	dir := t.TempDir()
	s, err := makeSet(dir, "mixed", 500)
	if err != nil {
		t.Fatal(err)
	}
	lc, err := localcluster.Start(t.Context(), localcluster.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lc.Stop(); err != nil {
			t.Error(err)
		}
	}()
	fl, err := startFloor(t.Context(), s.file, lc.URL())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := fl.run(); err != nil || c.Wall <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := fl.run(); err == nil { // now all keys exist
		t.Errorf("no error the second time: %+v", c)
	}
	if err := fl.stop(); err == nil || !strings.Contains(err.Error(), "BUSYKEY") {
		t.Errorf("its process ended with %v", err)
	}
	if _, err := startFloor(t.Context(), s.file+".none", lc.URL()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without a dump: %v", err)
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range []string{"-set none", "-pairs 0", "-keys -1", "-peer-limit 0s", "-nosuchflag", "argument", "floor-child"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), nil, &stdout, &stderr); code != 1 || stderr.Len() == 0 || stdout.Len() != 0 {
			t.Errorf("%s: exit code %d, %q, %q", args, code, &stdout, &stderr)
		}
	}
}

// TestStopped makes sure that a tool that runs for too long is told from one
// that fails.
func TestStopped(t *testing.T) {
	sleeper := child{path: "sleep", args: []string{"60"}}
	if c, err := within(t.Context(), 1, sleeper.run); err != nil || !c.Stopped {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := within(t.Context(), 1e9, child{path: "false"}.run); err == nil {
		t.Error("a program that fails is no error")
	}
}
