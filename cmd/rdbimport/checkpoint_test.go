package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/source"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// markAt is a mark at an offset.
func markAt(offset int64) pipeline.Mark {
	return pipeline.Mark{Position: rdbparse.Position{Offset: offset}, Keys: offset / 100}
}

func newTestCheckpointer(t *testing.T) *checkpointer {
	c := &checkpointer{
		name: filepath.Join(t.TempDir(), "ck"), flush: func() {}, before: earlier{Refused: 5},
		now: checkpoint{Format: checkpointFormat, Options: "o", Target: []string{"a", "b"}},
	}
	c.warn = func(text string) { t.Errorf("warning: %s", text) }
	c.result = func() earlier { return c.before.with(pipeline.Result{}, nil) }
	return c
}

// TestCheckpointIsWrittenOften: after 16 MiB whatever the time, and after a second
// whatever the bytes; at the end always.
func TestCheckpointIsWrittenOften(t *testing.T) {
	c := newTestCheckpointer(t)
	id := func() (source.Identity, error) { return source.Identity{Size: 7}, nil }
	at := int64(0)
	settled := func() (pipeline.Mark, bool) { return markAt(at), at > 0 }
	written := func() int64 {
		_, offset, ok := checkpointSays(c.name)
		if !ok {
			return -1
		}
		return offset
	}
	step := func(to int64, ago time.Duration, always bool, want int64) {
		t.Helper()
		at, c.when = to, time.Now().Add(-ago)
		c.look(settled, always)
		if got := written(); got != want {
			t.Fatalf("at %d, %v after the last: the file says %d, want %d", to, ago, got, want)
		}
	}
	step(99, time.Hour, true, -1) // no source yet
	c.source(0, id, nil, 0)
	step(0, time.Hour, true, 0)
	step(1000, 0, false, 0)
	step(checkpointBytes-1, 0, false, 0)
	step(checkpointBytes, 0, false, checkpointBytes)
	step(checkpointBytes+1, checkpointTime, false, checkpointBytes+1)
	step(checkpointBytes+2, 0, true, checkpointBytes+2)

	// Refused keys count once they stand before the mark.
	c.refusal(10)
	c.refusal(2 * checkpointBytes)
	step(checkpointBytes+3, 0, true, checkpointBytes+3)
	if got := mustRead(t, c.name).Before.Refused; got != 6 {
		t.Errorf("%d keys refused before the mark, want 5 and 1", got)
	}
	// In the next source all of them do.
	at = 0
	c.source(1, id, nil, 44)
	if got := mustRead(t, c.name); got.Current != 1 || got.Mark != nil || len(got.Sources) != 2 || got.Before.Keys != 44 || got.Before.Refused != 7 {
		t.Errorf("next source: %+v", got)
	}
	if !c.holds() {
		t.Error("it holds no checkpoint")
	}
	c.remove()
	if _, err := os.Stat(c.name); !errors.Is(err, os.ErrNotExist) || c.holds() {
		t.Errorf("not removed: %v", err)
	}
}

// TestCheckpointGone: an import that has begun goes on where its checkpoint can no longer
// be written, and says so once until it can again.
func TestCheckpointGone(t *testing.T) {
	c := newTestCheckpointer(t)
	warnings := 0
	c.warn = func(text string) {
		if !strings.Contains(text, "cannot be written, the import goes on without: no such file or directory") {
			t.Errorf("warning: %s", text)
		}
		warnings++
	}
	c.source(0, func() (source.Identity, error) { return source.Identity{Size: 7}, nil }, nil, 0)
	if warnings != 0 {
		t.Fatalf("%d warnings, and it can be written", warnings)
	}
	dir := filepath.Dir(c.name)
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	for at := int64(1); at <= 3; at++ {
		c.look(func() (pipeline.Mark, bool) { return markAt(at), true }, true)
	}
	if warnings != 1 {
		t.Errorf("%d warnings, want 1", warnings)
	}
	if err := os.Rename(dir+".gone", dir); err != nil {
		t.Fatal(err)
	}
	c.look(func() (pipeline.Mark, bool) { return markAt(4), true }, true)
	if got := mustRead(t, c.name); got.Mark == nil || got.Mark.Offset != 4 {
		t.Errorf("written again: %+v", got)
	}
}

func mustRead(t *testing.T, name string) *checkpoint {
	t.Helper()
	c, err := readCheckpoint(name)
	if err != nil || c == nil {
		t.Fatalf("reading the checkpoint: %v, %v", c, err)
	}
	return c
}

// TestCheckpointFits: what must be the same.
func TestCheckpointFits(t *testing.T) {
	c := checkpoint{Options: "o", Target: []string{"a", "b"}, Current: 1}
	for _, x := range []struct {
		options string
		sources int
		masters []string
		want    string // "" if it fits
	}{
		{"o", 2, []string{"b", "c"}, ""},
		{"p", 2, []string{"a"}, "made with o, and this is p"},
		{"o", 1, []string{"a"}, "at source 2"},
		{"o", 2, []string{"c"}, "masters"},
		{"o", 2, nil, "masters"},
	} {
		err := c.fits(x.options, x.sources, x.masters)
		if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, errCheckpoint) || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%+v: %v", x, err)
		}
	}
}

// TestDamagedCheckpoint: a file that is no checkpoint is refused, and not taken
// for the lack of one, unless it is empty.
func TestDamagedCheckpoint(t *testing.T) {
	const rest = `,"target":["a"],"options":"o"`
	for text, want := range map[string]error{
		"": nil, "{": errNoCheckpoint, "[]": errNoCheckpoint, "REDIS0011": errNoCheckpoint, `{"format":99}`: errNoCheckpoint, `{"format":1}`: errNoCheckpoint,
		`{"format":99` + rest + `}`:                            errCheckpoint,
		`{"format":1,"sources":[{}],"current":-1` + rest + `}`: errCheckpoint,
		`{"format":2,"sources":[{}],"current":1` + rest + `}`:  errCheckpoint,

		// It does not say which database the sources before were of.
		`{"format":1,"sources":[{},{}],"current":1` + rest + `}`:                   errCheckpoint,
		`{"format":1,"sources":[{},{}],"current":1,"mark":{"keys":0}` + rest + `}`: errCheckpoint,
	} {
		name := filepath.Join(t.TempDir(), "ck")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := readCheckpoint(name); !errors.Is(err, want) || c != nil || want == nil && err != nil {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

// TestOldCheckpoint: files of the format before this one are read where they say, or
// need not say, which database the keys were of.
func TestOldCheckpoint(t *testing.T) {
	three := uint32(3)
	for place, want := range map[string]*uint32{
		`"current":0`: nil,
		`"current":0,"mark":{"offset":900,"db":3,"keys":7}`: &three,
		`"current":1,"mark":{"offset":900,"db":3,"keys":7}`: &three,
	} {
		name := filepath.Join(t.TempDir(), "ck")
		text := `{"format":1,"sources":[{},{}],"target":["a"],"options":"o",` + place + `}`
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := mustRead(t, name)
		if db := got.Before.Database; got.Format != checkpointFormat || (db == nil) != (want == nil) || db != nil && *db != *want {
			t.Errorf("%s: %+v", place, got)
		}
	}
}

// TestKilledAndResumed kills an import ten times under each policy, at random
// moments, and goes on each time: at the end every key is there, and what was
// sent twice is no more than 16 MiB and the memory budget for each kill.
func TestKilledAndResumed(t *testing.T) {
	binary, err := serverBinary(defaultServer)
	needs.Have(t, err)
	cluster, release, err := shared.take(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	dump := filepath.Join(t.TempDir(), "dump.rdb")
	f, err := os.Create(dump)
	if err != nil {
		t.Fatal(err)
	}
	const keys, kills, memory = 40_000, 10, 1 << 20
	stats, err := dataset.Mixed(f, keys, 3)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	// What the masters have read from the network.
	received := func() (sum int64) {
		for _, m := range cluster.Masters() {
			info, err := m.Client().InfoMap(t.Context(), "stats").Result()
			if err != nil {
				t.Error(err)
				return 0
			}
			n, _ := strconv.ParseInt(info["Stats"]["total_net_input_bytes"], 10, 64)
			sum += n
		}
		return sum
	}
	from := received()
	var work sync.WaitGroup
	policies := []string{"fail", "replace", "skip"}
	for i, policy := range policies {
		k := &killing{t: t, checkpoint: filepath.Join(t.TempDir(), "ck"), random: rand.New(rand.NewPCG(7, uint64(i)))}
		k.args = []string{
			"--on-conflict", policy, "--db-prefix", policy + ":", "--checkpoint", k.checkpoint,
			"--memory", "1MiB", "--progress", "none", "--json", dump, cluster.Addrs()[0],
		}
		work.Go(func() { k.run(kills) })
	}
	work.Wait()
	again := received() - from - int64(len(policies))*stats.Bytes
	t.Logf("%d MB sent again or beside the keys in %d kills", again>>20, len(policies)*kills)
	if most := int64(len(policies) * kills * (checkpointBytes + memory)); again > most {
		t.Errorf("%d bytes were sent again, %d at the most should be", again, most)
	}
	for _, policy := range policies {
		out, err := exec.CommandContext(t.Context(), "rdbimport", "--db-prefix", policy+":", "--json", dump, cluster.Addrs()[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"keys_existing":40000,`) {
			t.Errorf("%s: not every key is there: %v\n%s", policy, err, out)
		}
	}
}

// A killing is an import that is killed and goes on.
type killing struct {
	t          *testing.T
	checkpoint string
	random     *rand.Rand
	args       []string
}

// run kills it so many times, and then lets it come to its end.
func (k *killing) run(times int) {
	for i := range times {
		if err := k.once(); err != nil {
			k.t.Errorf("life %d: %v", i+1, err)
			return
		}
	}
	_, before, _ := checkpointSays(k.checkpoint)
	out, err := exec.CommandContext(k.t.Context(), "rdbimport", k.args...).CombinedOutput()
	if err != nil {
		k.t.Errorf("the last life: %v\n%s", err, out)
	}
	if before == 0 || !strings.Contains(string(out), "going on at ") {
		k.t.Errorf("at offset %d after %d kills, so nothing went on from a checkpoint\n%s", before, times, out)
	}
}

// once starts it, and kills it when the checkpoint has moved on once or twice, or
// at once when it was read, or a random moment later.
func (k *killing) once() error {
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	var written time.Time
	if info, err := os.Stat(k.checkpoint); err == nil {
		written = info.ModTime()
	}
	var said output
	cmd := exec.CommandContext(ctx, "rdbimport", append([]string{"--rate", "600kB"}, k.args...)...)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &program{cmd: cmd, ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait() }()
	changes, looks := 1+k.random.IntN(3), k.random.IntN(30)
	err := p.until(func() bool {
		if info, err := os.Stat(k.checkpoint); err == nil && info.ModTime() != written {
			written = info.ModTime()
			changes--
		}
		if changes <= 0 {
			looks--
		}
		return looks < 0
	})
	if err != nil {
		err = errors.Join(err, errors.New(said.String()))
	}
	p.kill()
	return err
}
