package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// plans returns what an import of a dump would do.
func plans(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options) (*pipeline.TargetFacts, *pipeline.PlanResult) {
	t.Helper()
	facts, err := pipeline.Look(t.Context(), c, opts)
	noError(t, err)
	noError(t, facts.Obstacle)
	p := facts.NewPlanner()
	p.NewSource()
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{})
	for sc.Next() {
		if e := sc.Entry(); e.Record == rdbparse.RecordKey {
			p.Key(sc)
		} else {
			p.Record(e)
		}
	}
	noError(t, sc.Err())
	return facts, p.Result()
}

// TestPlanForetells plans the import of each server's dump into each server, and
// of dumps that hold more, and then imports: what was planned is what happens, and
// the plan has written nothing.
func TestPlanForetells(t *testing.T) {
	servers := matrixServers(t)
	dumps := map[string][]byte{"newer types": newerDump(t)}
	for _, f := range dataset.Flavors() {
		dumps["sample of "+f.Name] = sample(t, f.Name)
	}
	for _, d := range matrixDumps(t, servers) {
		dumps["dump of "+d.name] = d.dump
	}
	for _, to := range servers {
		t.Run("to "+to.name, func(t *testing.T) {
			lc := to.run(t, to.name != "redis-7.0")
			c := connect(t, lc.URL())
			for name, dump := range dumps {
				t.Run("from "+name, func(t *testing.T) {
					for _, dropped := range []bool{false, true} {
						opts := allOptions()
						opts.DropFieldTTL = dropped
						to.empty(t, lc, true)
						compareForetold(t, lc, c, dump, opts)
					}
				})
			}
		})
	}
}

// compareForetold compares a plan with the import.
func compareForetold(t *testing.T, lc *localcluster.Cluster, c *slotter.Cluster, dump []byte, opts pipeline.Options) {
	t.Helper()
	facts, plan := plans(t, c, dump, opts)
	for _, m := range masters(lc) {
		n, err := m.DBSize(context.Background()).Result()
		noError(t, err)
		if n != 0 {
			t.Fatalf("the plan has left %d keys", n)
		}
		if libs, err := m.Do(context.Background(), "FUNCTION", "LIST").Slice(); err == nil && len(libs) > 0 {
			t.Fatalf("the plan has loaded %v", libs)
		}
	}
	spread := make([]int64, len(facts.Masters))
	for slot, n := range plan.Slots {
		if n.Keys > 0 {
			spread[facts.Map.Owner(uint16(slot))] += n.Keys
		}
	}
	res, err := imports(t, c, dump, opts)
	noError(t, err)
	got := pipeline.Result{
		Read: plan.Read.Keys, Restored: plan.Sent().Keys, Expired: plan.Expired.Keys, Filtered: plan.Filtered.Keys, Failed: plan.Refused.Keys,
		Functions: plan.Functions, Scripts: plan.Scripts, Libraries: plan.Libraries, ModuleAux: plan.ModuleAux, Errors: plan.Errors,
	}
	want := pipeline.Result{
		Read: res.Read, Restored: res.Restored, Expired: res.Expired, Filtered: res.Filtered, Failed: res.Failed,
		Functions: res.Functions, Scripts: res.Scripts, Libraries: res.Libraries, ModuleAux: res.ModuleAux, Errors: res.Errors,
	}
	for _, list := range [][]pipeline.ErrorCount{want.Errors, got.Errors} {
		for i := range list {
			list[i].Example = "" // of several keys the servers refuse any one first
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was planned (+) is not what happened (-):\n%s", diff)
	}
	for i, m := range res.Masters {
		if m.Keys != spread[i] || m.Addr != facts.Masters[i].Addr {
			t.Errorf("%s got %d keys, planned were %d for %s", m.Addr, m.Keys, spread[i], facts.Masters[i].Addr)
		}
	}
	bytes := int64(0)
	for _, s := range []pipeline.Sum{plan.AsIs, plan.Converted, plan.Refused, plan.Expired, plan.Filtered, plan.Damaged} {
		bytes += s.Bytes
	}
	changed := int64(0)
	for _, n := range plan.Changes {
		changed += n.Keys
	}
	if bytes != plan.Read.Bytes || bytes > int64(len(dump)) || changed != plan.Converted.Keys {
		t.Errorf("%d bytes of a dump of %d, by fate %d; %d keys converted, by change %d", plan.Read.Bytes, len(dump), bytes, plan.Converted.Keys, changed)
	}
}

// TestPlanDamage plans with a value that does not fit its own encoding.
func TestPlanDamage(t *testing.T) {
	c := connect(t, start(t, localcluster.Options{Standalone: true}).URL())
	lp := dataset.AppendListpack(nil, [][]byte{[]byte("field"), []byte("value")})
	lp[0] += 7
	var b bytes.Buffer
	w := dataset.NewWriter(&b, "REDIS0010")
	w.Key(dataset.TypeHashListpack, []byte("broken"), dataset.AppendRawString(nil, lp))
	w.Key(dataset.TypeHashListpack, []byte("broken too"), dataset.AppendRawString(nil, lp))
	w.Key(dataset.TypeString, []byte("whole"), dataset.AppendString(nil, "v"))
	noError(t, w.Close())
	_, plan := plans(t, c, b.Bytes(), allOptions())
	if plan.Damaged.Keys != 2 || plan.Sent().Keys != 1 || plan.Damage == nil || string(plan.Damage.Key) != "broken" {
		t.Errorf("%+v, %v", plan.Damaged, plan.Damage)
	}
	opts := allOptions()
	opts.SkipDamaged = true
	_, plan = plans(t, c, b.Bytes(), opts)
	if plan.Damaged.Keys != 0 || plan.Refused.Keys != 2 || plan.Damage != nil || !strings.HasPrefix(plan.Errors[0].Reason, pipeline.DamagedReason) {
		t.Errorf("%+v, %v", plan.Refused, plan.Damage)
	}
}

// TestPlanStrings plans with compressed strings that do not give what they say,
// held and not.
func TestPlanStrings(t *testing.T) {
	c := connect(t, start(t, localcluster.Options{Standalone: true}).URL())
	long := dataset.AppendLZFString(nil, bytes.Repeat([]byte("compressed"), 1000))
	broken := bytes.Clone(long)
	broken[len(broken)-2] ^= 0x40 // in the last reference, or what it is of
	for name, value := range map[string][]byte{"short": []byte("\xc3\x05\x32\x03abcd"), "no LZF": []byte("\xc3\x05\x1e\xe0\xff\x10aa"), "long": broken} {
		for _, held := range []int{0, 4} {
			var b bytes.Buffer
			w := dataset.NewWriter(&b, "REDIS0010")
			w.Key(dataset.TypeString, []byte("whole"), long)
			w.Key(dataset.TypeString, []byte("broken"), value)
			noError(t, w.Close())
			facts, err := pipeline.Look(t.Context(), c, allOptions())
			noError(t, err)
			p := facts.NewPlanner()
			sc := rdbparse.NewScanner(&b, rdbparse.Options{MaxValue: held})
			for sc.Next() {
				p.Key(sc)
			}
			noError(t, sc.Err())
			plan := p.Result()
			if plan.Damaged.Keys != 1 || plan.Sent().Keys != 1 || plan.Damage == nil || string(plan.Damage.Key) != "broken" {
				t.Errorf("%s, held %d: %+v, %v", name, held, plan.Damaged, plan.Damage)
			}
		}
	}
}

// TestLookPermissions looks with a user who may do little.
func TestLookPermissions(t *testing.T) {
	lc := start(t, localcluster.Options{Standalone: true, Config: []string{
		"user few on >few ~* +restore +info +time +ping +select +pttl", "user none on >none ~* +info +time +ping", "maxmemory 100mb", "proto-max-bulk-len 16mb",
	}})
	if !lc.Version().AtLeast(7, 0) {
		t.Skip("for the wording of Redis 7.0")
	}
	look := func(user string, conflict pipeline.Conflict) (*pipeline.TargetFacts, *pipeline.MasterFacts) {
		target, err := slotter.ParseTarget(lc.URL())
		noError(t, err)
		c, err := slotter.Connect(t.Context(), target, slotter.Options{User: user, Password: user})
		noError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		opts := allOptions()
		opts.Conflict = conflict
		facts, err := pipeline.Look(t.Context(), c, opts)
		noError(t, err)
		return facts, &facts.Masters[0]
	}
	all, f := look("", pipeline.ConflictFail)
	const granted, denied = pipeline.AccessGranted, pipeline.AccessDenied
	if all.Obstacle != nil || f.Restore != granted || f.Dump != granted || f.Expiry != granted || f.Config != granted || f.Functions != granted {
		t.Errorf("%v, %+v", all.Obstacle, f)
	}
	if free, limited := f.Free(); f.MaxBulk != (pipeline.Limit{Bytes: 16 << 20}) || f.Max != 100<<20 || !limited || free <= 0 || free >= f.Max || !f.ModulesKnown {
		t.Errorf("%+v", f)
	}
	if all, _ = look("few", pipeline.ConflictFail); !errors.Is(all.Obstacle, slotter.ErrNoPermission) {
		t.Errorf("%v", all.Obstacle)
	}
	all, f = look("few", pipeline.ConflictSkip)
	if all.Obstacle != nil || f.Restore != granted || f.Dump != denied || f.Expiry != denied || f.Config != denied || f.Functions != denied || f.ModulesKnown {
		t.Errorf("%v, %+v", all.Obstacle, f)
	}
	if f.MaxBulk != (pipeline.Limit{Bytes: 512 << 20, Assumed: true}) || f.ClientBuffer != (pipeline.Limit{Bytes: 1 << 30, Assumed: true}) {
		t.Errorf("%+v", f)
	}
	all, f = look("none", pipeline.ConflictSkip)
	if !errors.Is(all.Obstacle, slotter.ErrNoPermission) || f.Restore != denied || f.Err != nil {
		t.Errorf("%v, %+v", all.Obstacle, f)
	}
}

// TestFewReplicas: an import that waits for more replicas than a standalone server has
// does not begin, and a plan says so.
func TestFewReplicas(t *testing.T) {
	c := connect(t, start(t, localcluster.Options{Standalone: true, Replicas: 1}).URL())
	for wait, want := range []error{nil, nil, pipeline.ErrFewReplicas} {
		opts := allOptions()
		opts.WaitReplicas = wait
		facts, err := pipeline.Look(t.Context(), c, opts)
		noError(t, err)
		if !errors.Is(facts.Obstacle, want) || facts.Masters[0].Replicas != 1 {
			t.Errorf("%d: %v, %d replicas", wait, facts.Obstacle, facts.Masters[0].Replicas)
		}
		im, err := pipeline.New(t.Context(), c, opts)
		if !errors.Is(err, want) {
			t.Errorf("%d: %v", wait, err)
		}
		if im != nil {
			_, err := im.Close()
			noError(t, err)
		}
	}
}

// TestLookMembership expects of each master how it sees the cluster: a slot that was left
// half moved, and that the cluster is down where others think it is not.
func TestLookMembership(t *testing.T) {
	lc := start(t, localcluster.Options{NodeTimeout: time.Second})
	must(t, lc.Masters()[1], "CLUSTER", "SETSLOT", slotter.Slots/2, "MIGRATING", lc.Masters()[0].ID)
	must(t, lc.Masters()[1], "CONFIG", "SET", "cluster-require-full-coverage", "no")
	lc.Masters()[2].Kill()
	await(t, "the cluster to be down", func() bool {
		return strings.Contains(lc.Masters()[0].Client().ClusterInfo(t.Context()).Val(), "cluster_state:fail")
	})
	await(t, "the other master to think otherwise", func() bool {
		info := lc.Masters()[1].Client().ClusterInfo(t.Context()).Val()
		return strings.Contains(info, "cluster_state:ok") && !strings.Contains(info, "cluster_slots_fail:0")
	})
	facts, err := pipeline.Look(t.Context(), connect(t, lc.URL()), allOptions())
	noError(t, err)
	for _, f := range facts.Masters {
		down, leaving := f.Addr == lc.Masters()[0].Addr, ""
		if f.Addr == lc.Masters()[1].Addr {
			leaving = strconv.Itoa(slotter.Slots / 2)
		}
		if f.Down != down || slotter.FormatRanges(f.Leaving) != leaving {
			t.Errorf("%s: down is %v, leaving %v", f.Addr, f.Down, f.Leaving)
		}
	}
}

func TestModuleTypes(t *testing.T) {
	for _, x := range []struct {
		modules []string
		known   bool
		typ     string
		want    pipeline.Access
	}{
		{nil, false, "ReJSON-RL", pipeline.AccessUnknown},
		{nil, true, "ReJSON-RL", pipeline.AccessDenied},
		{[]string{"ReJSON", "bf"}, true, "ReJSON-RL", pipeline.AccessGranted},
		{[]string{"json"}, true, "ReJSON-RL", pipeline.AccessGranted},
		{[]string{"bf"}, true, "ReJSON-RL", pipeline.AccessDenied},
		{[]string{"bf"}, true, "imaginary", pipeline.AccessUnknown},
		{nil, true, "imaginary", pipeline.AccessDenied},
	} {
		f := pipeline.MasterFacts{Modules: x.modules, ModulesKnown: x.known}
		if got := f.Loads(x.typ); got != x.want {
			t.Errorf("%s with %v: %v, want %v", x.typ, x.modules, got, x.want)
		}
	}
}
