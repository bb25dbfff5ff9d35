package pipeline

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/rdbimport/rdbimport/slotter"
)

// An Access says whether the user may give a command.
type Access uint8

// What is known of a permission.
const (
	AccessUnknown Access = iota // the server has no such command, or could not be asked
	AccessGranted
	AccessDenied
)

// A Limit is a bound that a server sets, in bytes. One that may not be read is
// assumed to be that of the default configuration.
type Limit struct {
	Bytes   int64
	Assumed bool
}

// MasterFacts are what one master says about itself. Where Err is set it could not
// be asked, and the rest is not known.
type MasterFacts struct {
	slotter.Server
	ID       string
	Slots    int
	Replicas int
	Err      error

	Keys      int64 // in the databases that an import could fill
	Used, Max int64 // memory in bytes; no Max is 0
	Policy    string

	Restore, Dump, Expiry, Config, Functions Access
	ExpiryCommand                            string // PEXPIRETIME, or PTTL before 7.0
	// SomeKeysOnly says that the user may write keys of certain names only.
	SomeKeysOnly bool

	MaxBulk, ClientBuffer Limit // proto-max-bulk-len, client-query-buffer-limit

	Modules      []string
	ModulesKnown bool

	// Down says that it thinks that the cluster is down, and takes no writes; Leaving are the
	// slots that are being moved away from it, or were left half moved.
	Down    bool
	Leaving []slotter.Range
}

// Free returns how much memory is left below the limit, in bytes; false where
// there is no limit.
func (f *MasterFacts) Free() (int64, bool) { return max(0, f.Max-f.Used), f.Max > 0 }

// Evicts reports whether the master drops keys to make room for others.
func (f *MasterFacts) Evicts() bool { return f.Max > 0 && f.Policy != "" && f.Policy != "noeviction" }

// TargetFacts are what a target says about itself before an import.
type TargetFacts struct {
	Map     *slotter.Map
	State   string // cluster_state; "" where it does not tell
	Masters []MasterFacts
	// Obstacle is the error with which New would end, nil if it would not.
	Obstacle error

	im *Importer // of an import that is not made
}

// Look asks every master of a target about itself, for an import with these
// options. Nothing is written. What stands in the way of the import is no error
// of Look, as long as any master answers.
func Look(ctx context.Context, c *slotter.Cluster, opts Options) (*TargetFacts, error) {
	m, err := c.Map(ctx)
	if err != nil {
		return nil, err
	}
	t := &TargetFacts{Map: m, Masters: make([]MasterFacts, len(m.Masters)), im: &Importer{cluster: c, opts: opts.withDefaults(), held: opts.textLimit()}}
	t.Obstacle = t.im.preflight(ctx, m)
	if info, err := c.Info(ctx, c.Seed().Addr, "cluster_info"); err == nil {
		t.State = info["cluster_state"]
	}
	if m.EachMaster(ctx, func(ctx context.Context, i int) error {
		t.ask(ctx, i)
		return ctx.Err()
	}) != nil {
		return nil, context.Cause(ctx)
	}
	var servers []slotter.Server
	for i := range t.Masters {
		if f := &t.Masters[i]; f.Err == nil {
			servers = append(servers, f.Server)
		}
	}
	if len(servers) == 0 {
		if t.Obstacle == nil {
			t.Obstacle = t.Masters[0].Err
		}
		return nil, t.Obstacle
	}
	t.im.setTarget(servers)
	for i := range t.Masters {
		if f := &t.Masters[i]; f.MaxBulk.Bytes > 0 && f.ClientBuffer.Bytes > 0 {
			t.im.target.maxCommand = int(min(int64(t.im.target.maxCommand), f.MaxBulk.Bytes, f.ClientBuffer.Bytes-queryBufferRest))
		}
	}
	t.im.clock.set()
	return t, nil
}

// Oldest returns the master that understands least.
func (t *TargetFacts) Oldest() slotter.Server { return t.im.target.oldest }

// ask fills in what one master says.
func (t *TargetFacts) ask(ctx context.Context, i int) {
	c, n, f := t.im.cluster, &t.Map.Masters[i], &t.Masters[i]
	f.ID, f.Replicas = n.ID, len(n.Replicas)
	for _, r := range t.Map.Ranges(i) {
		f.Slots += r.Len()
	}
	f.Server, f.Err = c.Server(ctx, n.Addr)
	if f.Err != nil {
		f.Addr = n.Addr
		return
	}
	info, err := c.Info(ctx, n.Addr, "")
	if err != nil {
		f.Err = err
		return
	}
	if c.Standalone() {
		f.Replicas = connectedReplicas(info)
	} else {
		f.membership(ctx, c)
	}
	f.Keys = t.keysIn(info)
	f.Used, _ = strconv.ParseInt(info["used_memory"], 10, 64)
	f.Max, _ = strconv.ParseInt(info["maxmemory"], 10, 64)
	f.Policy = info["maxmemory_policy"]
	f.probe(ctx, c, probeKey(t.Map, i))
	f.SomeKeysOnly = f.someKeysOnly(ctx, t)
	f.limits(ctx, c)
	f.modules(ctx, c)
}

// membership asks how the master sees the cluster.
func (f *MasterFacts) membership(ctx context.Context, c *slotter.Cluster) {
	if info, err := c.Info(ctx, f.Addr, "cluster_info"); err == nil {
		f.Down = info["cluster_state"] == "fail"
	}
	if nodes, err := c.Nodes(ctx, f.Addr); err == nil {
		f.Leaving = leavingSlots(nodes)
	}
}

// leavingSlots returns the slots that a node says are being moved away from it, which it
// writes as [slot->-id] into its own line of CLUSTER NODES.
func leavingSlots(nodes string) (all []slotter.Range) {
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 || !strings.Contains(f[2], "myself") {
			continue
		}
		for _, slots := range f[8:] {
			slot, _, found := strings.Cut(strings.TrimPrefix(slots, "["), "->-")
			if n, err := strconv.ParseUint(slot, 10, 16); found && err == nil {
				all = append(all, slotter.Range{First: uint16(n), Last: uint16(n)})
			}
		}
	}
	return all
}

// keysIn sums up the keys that INFO counts, of one database if only one can be
// written to.
func (t *TargetFacts) keysIn(info map[string]string) (sum int64) {
	dbs := keyspace(info)
	if db := t.im.cluster.Target().DB; db > 0 {
		return dbs[uint32(db)]
	}
	for _, keys := range dbs {
		sum += keys
	}
	return sum
}

// probe finds out what the user may do, by commands that fail, or read a key that
// is not there.
func (f *MasterFacts) probe(ctx context.Context, c *slotter.Cluster, key string) {
	access := func(words ...any) Access {
		err := c.Client(f.Addr).Do(ctx, words...).Err()
		if err == nil {
			return AccessGranted
		}
		switch text := err.Error(); {
		case deniesCommand([]byte(text)):
			return AccessDenied
		case strings.HasPrefix(text, "ERR unknown command"):
			return AccessDenied // it is renamed or disabled
		}
		return AccessGranted // no such key, no such library, a payload of no bytes
	}
	f.ExpiryCommand = "PTTL"
	if level(f.Server) >= 700 {
		f.ExpiryCommand = "PEXPIRETIME"
	}
	f.Restore, f.Dump, f.Expiry = access("RESTORE", key, 0, ""), access("DUMP", key), access(f.ExpiryCommand, key)
	if level(f.Server) >= 700 && f.Family != slotter.Dragonfly {
		f.Functions = access("FUNCTION", "LOAD", "")
	}
}

// limits asks for the bounds on commands.
func (f *MasterFacts) limits(ctx context.Context, c *slotter.Cluster) {
	f.Config = AccessGranted
	ask := func(name string, assumed int64) Limit {
		conf, err := c.Client(f.Addr).ConfigGet(ctx, name).Result()
		if err != nil {
			f.Config = AccessDenied
			return Limit{assumed, true}
		}
		if n, err := strconv.ParseInt(conf[name], 10, 64); err == nil && n > 0 {
			return Limit{n, false}
		}
		return Limit{assumed, true}
	}
	f.MaxBulk = ask(bulkSetting, maxBulkDefault)
	f.ClientBuffer = ask(bufferSetting, queryBufferDefault)
}

// modules asks which modules are loaded: for each a list of names and values.
func (f *MasterFacts) modules(ctx context.Context, c *slotter.Cluster) {
	list, err := c.Client(f.Addr).Do(ctx, "MODULE", "LIST").Slice()
	if err != nil {
		return
	}
	f.ModulesKnown = true
	for _, m := range list {
		fields, _ := m.([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			if name, ok := fields[i+1].(string); ok && fields[i] == "name" {
				f.Modules = append(f.Modules, name)
			}
		}
	}
	slices.Sort(f.Modules)
}

// moduleTypes says by which modules the types of values are brought, as far as
// they are known.
var moduleTypes = map[string][]string{
	"vectorset": {"vectorset"},
	"ReJSON-RL": {"ReJSON", "json"},
	"MBbloom--": {"bf"}, "MBbloomCF": {"bf"}, "CMSk-TYPE": {"bf"}, "TopK-TYPE": {"bf"}, "TDIS-TYPE": {"bf"}, "bloomfltr": {"bf"},
	"TSDB-TYPE": {"timeseries"},
	"graphdata": {"graph"},
	"ft_index0": {"search"}, "trietype0": {"search"},
}

// Loads says whether the master can load values of a module's type. It is not
// known which module brings a type that is not common.
func (f *MasterFacts) Loads(moduleType string) Access {
	if f.Err != nil || !f.ModulesKnown {
		return AccessUnknown
	}
	if len(f.Modules) == 0 {
		return AccessDenied
	}
	modules, ok := moduleTypes[moduleType]
	if !ok {
		return AccessUnknown
	}
	if slices.ContainsFunc(modules, func(m string) bool { return slices.Contains(f.Modules, m) }) {
		return AccessGranted
	}
	return AccessDenied
}

// loads says whether all masters can load values of a module's type.
func (t *TargetFacts) loads(moduleType string) Access {
	all := AccessGranted
	for i := range t.Masters {
		switch t.Masters[i].Loads(moduleType) {
		case AccessDenied:
			return AccessDenied
		case AccessUnknown:
			all = AccessUnknown
		}
	}
	return all
}

// CheckVerify makes sure that a comparison with the target can be made: that its
// slots have owners, and that the user may read the values.
func CheckVerify(ctx context.Context, c *slotter.Cluster, opts VerifyOptions) error {
	m, err := c.Map(ctx)
	if err != nil {
		return err
	}
	v := &Verifier{cluster: c, opts: opts.withDefaults()}
	return v.preflight(ctx, m)
}
