package pipeline_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/state"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestMatrix imports what each server wrote into each server, alone and as a
// cluster. The target must then hold what the source held, but for what it cannot
// hold: that must have been refused, with the reason. A cluster gets a dump with
// idle times, a server alone one with numbers of uses.
func TestMatrix(t *testing.T) {
	servers := matrixServers(t)
	dumps := matrixDumps(t, servers)
	table := matrixTable{}
	for _, to := range servers {
		for _, form := range []string{"cluster", "standalone"} {
			t.Run("to "+to.name+" "+form, func(t *testing.T) {
				lc := to.run(t, form == "standalone")
				c := connect(t, lc.URL())
				for _, d := range dumps {
					if d.lfu != (form == "standalone") {
						continue
					}
					t.Run("from "+d.name, func(t *testing.T) {
						p := &matrixPair{t: t, matrixDump: d, to: to, lc: lc, c: c}
						p.run()
						table.add(t, d, to)
					})
				}
			})
		}
	}
	t.Log("\n" + table.String())
}

// A matrixPair is an import of one server's dump into another.
type matrixPair struct {
	t *testing.T
	*matrixDump
	to matrixServer
	lc *localcluster.Cluster
	c  *slotter.Cluster
}

func (p *matrixPair) run() {
	t, scope := p.t, scopes(p.version, p.to.version)
	p.to.empty(t, p.lc, p.lfu)
	want := maps.Clone(p.states[scope])
	refused := p.refused(want)
	dropped := state.State{} // hashes that arrive without the expiry of their fields
	for key, reason := range refused {
		if strings.HasPrefix(reason, "its fields expire") {
			dropped[key] = want[key]
		}
		delete(want, key)
	}

	opts := all(pipeline.ConflictFail)
	res, err := imports(t, p.c, p.dump, opts)
	noError(t, err)
	p.compareAccess(refused)
	p.compareState(want)
	p.compareFunctions()
	if int(res.Restored) != len(want) || res.Existing != 0 || res.Expired != 1 || res.Filtered != 0 {
		t.Errorf("%d keys expected, and one expired: %+v", len(want), res)
	}
	p.compareRefused(res, refused)

	again, err := imports(t, p.c, p.dump, opts)
	noError(t, err)
	if again.Existing != res.Restored || again.Restored != 0 || again.Expired != 1 {
		t.Errorf("%d keys imported, and again: %+v", res.Restored, again)
	}
	p.compareRefused(again, refused)
	p.compareState(want)

	if len(dropped) > 0 {
		p.dropFieldExpiry(want, dropped)
	}
}

// dropFieldExpiry imports again, with the hashes that were refused because of the
// expiry of their fields.
func (p *matrixPair) dropFieldExpiry(want, dropped state.State) {
	t, opts := p.t, all(pipeline.ConflictFail)
	opts.DropFieldTTL = true
	for _, restored := range []int{len(dropped), 0} {
		res, err := imports(t, p.c, p.dump, opts)
		noError(t, err)
		if int(res.Restored) != restored || int(res.Existing) != len(want)+len(dropped)-restored {
			t.Errorf("%d of %d keys expected to be new: %+v", restored, len(want)+len(dropped), res)
		}
	}
	for key, text := range dropped {
		want[key] = fieldTime.ReplaceAllString(text, "$1")
		if want[key] == text {
			t.Errorf("no field of %q expires: %s", key, text)
		}
	}
	p.compareState(want)
}

// refused returns what the target cannot hold, with the beginning of the reason.
func (p *matrixPair) refused(held state.State) map[string]string {
	out := map[string]string{}
	if !hasFieldExpiry(p.to.version) {
		for _, key := range keysWith(held, fieldExpiryKeys) {
			out[key] = "its fields expire, and "
		}
	}
	for _, key := range keysWith(held, vectorSetKeys) {
		switch {
		case p.to.version.Version < 602:
			out[key] = "module type vectorset: Redis 6.0.16 would exit"
		case !hasVectorSets(p.to.version):
			out[key] = "the target cannot load values of the module type vectorset"
		}
	}
	return out
}

// compareRefused compares the reasons for which keys were refused.
func (p *matrixPair) compareRefused(res pipeline.Result, refused map[string]string) {
	p.t.Helper()
	want := map[string]int64{}
	for _, reason := range refused {
		want[reason]++
	}
	if len(p.functions) > 0 && !hasFunctions(p.to.version) {
		want["the target has no functions"] = int64(len(p.functions))
	}
	if res.Failed != int64(len(refused)) {
		p.t.Errorf("%d keys refused, expected %d: %v", res.Failed, len(refused), res.Errors)
	}
	for _, e := range res.Errors {
		known := ""
		for reason := range want {
			if strings.HasPrefix(e.Reason, reason) {
				known = reason
			}
		}
		if known == "" || want[known] != e.Count {
			p.t.Errorf("unexpected: %+v", e)
		}
		delete(want, known)
	}
	if len(want) > 0 {
		p.t.Errorf("not refused: %v", want)
	}
}

// slack is by how many seconds idle times may differ: they grow while the test
// runs. Those that the test sets are 1000 s and more.
const slack = 60

// compareAccess compares idle times or uses of all keys.
func (p *matrixPair) compareAccess(refused map[string]string) {
	p.t.Helper()
	have, err := state.Access(p.t.Context(), masters(p.lc)...)
	noError(p.t, err)
	most := int64(0)
	for key, want := range p.access {
		d := have[key] - want
		if _, ok := refused[key]; ok {
			continue
		}
		if p.lfu && d != 0 || !p.lfu && max(d, -d) > slack {
			p.t.Errorf("key %.50q: idle time or uses %d, expected %d", key, have[key], want)
		}
		most = max(most, want)
	}
	if most < 200 {
		p.t.Errorf("the dump has no idle times or uses to compare: at most %d", most)
	}
}

func (p *matrixPair) compareState(want state.State) {
	p.t.Helper()
	have, err := scopes(p.version, p.to.version).Read(p.t.Context(), masters(p.lc)...)
	noError(p.t, err)
	if d := state.Diff(want, have); d != "" {
		p.t.Error(d)
	}
}

func (p *matrixPair) compareFunctions() {
	p.t.Helper()
	for _, m := range masters(p.lc) {
		have := functionsOf(p.t, p.to.version, m)
		if hasFunctions(p.to.version) && !maps.Equal(have, p.functions) {
			p.t.Errorf("functions %v, expected %v", have, p.functions)
		}
	}
}

// A matrixTable counts what becomes of the values of each dump on each target, by
// the plan that has just been seen to work.
type matrixTable map[string]map[string]*[3]int

func (m matrixTable) add(t *testing.T, d *matrixDump, to matrixServer) {
	t.Helper()
	var n [3]int
	sc := rdbparse.NewScanner(bytes.NewReader(d.dump), rdbparse.Options{})
	for sc.Next() {
		e := sc.Entry()
		if e.Record != rdbparse.RecordKey {
			continue
		}
		v := element.Value{Type: e.Type, Raw: e.Value}
		plan, err := element.PlanValue(v, to.version, to.version.BackLengths())
		noError(t, err)
		if plan.Verb == element.Rewrite && plan.FieldExpiry {
			if _, err := element.Convert(nil, v, plan.To, element.Options{}); err != nil {
				plan.Verb = element.Refuse
			}
		}
		if e.Type.Type == rdbparse.TypeModule2 && !hasVectorSets(to.version) {
			plan.Verb = element.Refuse
		}
		n[plan.Verb]++
	}
	noError(t, sc.Err())
	if m[d.name] == nil {
		m[d.name] = map[string]*[3]int{}
	}
	m[d.name][to.name] = &n
}

// String renders the table: exact, converted, refused.
func (m matrixTable) String() string {
	var b strings.Builder
	for from, row := range m {
		for to, n := range row {
			fmt.Fprintf(&b, "%s to %s: %d exact, %d converted, %d refused\n", from, to, n[element.AsIs], n[element.Rewrite], n[element.Refuse])
		}
	}
	return sortedLines(b.String())
}

// fieldTime is the expiry of a field as package state writes it.
var fieldTime = regexp.MustCompile(`(["\)])@[0-9]{13,15}\b`)
