package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/redis/go-redis/v9"
)

// A target is what the import needs to know about the servers it writes to.
type target struct {
	servers    []slotter.Server
	oldest     slotter.Server // the one that understands least
	db         uint32         // to write to, where the dump does not say
	several    bool           // each database of a dump has one of its own
	functions  bool           // FUNCTION LOAD: Redis 7.0 and newer
	expiry     expiryQuery
	maxCommand int // bytes of the longest argument that all masters take
	version    element.ServerVersion
	backs      element.BackLengths // that all masters expect, 0 if they do not agree
	care       *care
	keyMeta    bool // RESTORE takes KEY_META: Redis 8.6 and newer
	commands
}

// Errors of New that are no errors of slotter.
var (
	// ErrNotCovered says that slots of the cluster have no owner.
	ErrNotCovered = errors.New("slots without an owner")
	// ErrFewReplicas says that a master has fewer replicas than are to confirm
	// each key.
	ErrFewReplicas = errors.New("too few replicas")
)

// Settings of a server that bound a command, and what they are where a server says
// nothing else. It reads some bytes more than the argument into the query buffer.
const (
	bulkSetting        = "proto-max-bulk-len"
	bufferSetting      = "client-query-buffer-limit"
	maxBulkDefault     = 512 << 20
	queryBufferDefault = 1 << 30
	queryBufferRest    = 64 << 10
)

// preflight looks at every master before anything is sent.
func (im *Importer) preflight(ctx context.Context, m *slotter.Map) error {
	if missing := m.Missing(); len(missing) > 0 {
		return fmt.Errorf("%w: %s", ErrNotCovered, slotter.FormatRanges(missing))
	}
	if err := im.enoughReplicas(ctx, m); err != nil {
		return err
	}
	servers, now, err := askMasters(ctx, im.cluster, m, im.opts.Warn, im.probeRestore)
	if err != nil {
		return err
	}
	im.clock.begin(now)
	im.setTarget(servers)
	longest := make([]int, len(m.Masters))
	var told sync.Map
	if err := m.EachMaster(ctx, func(ctx context.Context, i int) error {
		longest[i] = im.longestArgument(ctx, m.Masters[i].Addr)
		return im.probeRights(ctx, m, i, &told)
	}); err != nil {
		return err
	}
	im.target.maxCommand = min(im.target.maxCommand, slices.Min(longest))
	return nil
}

// enoughReplicas makes sure that each master has as many replicas as are to confirm each
// key.
func (im *Importer) enoughReplicas(ctx context.Context, m *slotter.Map) error {
	if im.opts.WaitReplicas == 0 {
		return nil
	}
	for _, n := range m.Masters {
		has := len(n.Replicas)
		if im.cluster.Standalone() { // nobody else knows of them
			info, err := im.cluster.Info(ctx, n.Addr, "replication")
			if err != nil {
				return err
			}
			has = connectedReplicas(info)
		}
		if has < im.opts.WaitReplicas {
			return fmt.Errorf("%w: %s has %d, wanted to confirm each key: %d", ErrFewReplicas, n.Addr, has, im.opts.WaitReplicas)
		}
	}
	return nil
}

// connectedReplicas returns how many replicas a server says it has.
func connectedReplicas(info map[string]string) int {
	n, _ := strconv.Atoi(info["connected_slaves"])
	return n
}

// longestArgument returns how many bytes an argument of a command may have that a
// server takes: its own settings where it tells them, else the defaults.
func (im *Importer) longestArgument(ctx context.Context, addr string) int {
	ask := im.cluster.Client(addr).Pipeline()
	bulk, buffer := ask.ConfigGet(ctx, bulkSetting), ask.ConfigGet(ctx, bufferSetting)
	_, _ = ask.Exec(ctx) // what is not allowed, or not known, is taken for the default
	number := func(of *redis.MapStringStringCmd, name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(of.Val()[name], 10, 64); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	return int(min(number(bulk, bulkSetting, maxBulkDefault), number(buffer, bufferSetting, queryBufferDefault)-queryBufferRest))
}

// askMasters asks every master about itself, has the user's rights probed, and
// returns what time it is there, nil if no master tells.
func askMasters(ctx context.Context, c *slotter.Cluster, m *slotter.Map, warn func(string),
	probe func(ctx context.Context, m *slotter.Map, master int) error) (servers []slotter.Server, now *reading, err error) {
	servers = make([]slotter.Server, len(m.Masters))
	var times slowest
	err = m.EachMaster(ctx, func(ctx context.Context, i int) (err error) {
		addr := m.Masters[i].Addr
		if servers[i], err = c.Server(ctx, addr); err != nil {
			return err
		}
		if err := probe(ctx, m, i); err != nil {
			return err
		}
		r, err := timeOf(ctx, c, addr)
		if ctx.Err() != nil {
			return ctx.Err() // another master's error is the one to tell
		}
		if err != nil {
			warn(fmt.Sprintf("%s does not tell its time (%v): expiry is judged by this machine's clock", addr, err))
			return nil
		}
		times.add(r)
		return nil
	})
	return servers, times.r, err
}

// setTarget derives from the servers what may be sent to them.
func (im *Importer) setTarget(servers []slotter.Server) {
	t := target{servers: servers, oldest: slotter.Oldest(servers), maxCommand: math.MaxInt32}
	at := level(t.oldest)
	t.functions = at >= 700 && t.oldest.Family != slotter.Dragonfly
	switch t.expiry = timeLeft; {
	case at >= 700:
		t.expiry = expiryQuery{command: "PEXPIRETIME"}
	case at < 500:
		t.expiry.timed = false // RESTORE takes the time that is left
	}
	t.version, t.backs = serverVersion(t.oldest), commonBackLengths(servers)
	t.care = makeCare(t.version, im.opts.AllowModules)
	t.commands = commandsOf(t.oldest)
	t.keyMeta = !t.version.Valkey && t.version.Version >= 806
	db := im.cluster.Target()
	t.db = uint32(max(db.DB, 0))
	t.several = OneDatabase(im.cluster) == ""
	im.target = t
	im.onlyDB.why = OneDatabase(im.cluster)
	im.dialect = dialect{replace: im.opts.Conflict == ConflictReplace, absolute: at >= 500}
}

// commands are those that not every server has.
type commands struct {
	unlink, hset   string // UNLINK and HSET of many, or DEL and HMSET before Redis 4.0
	fieldExpiry    bool   // HPEXPIREAT, HPEXPIRETIME: Redis 7.4, Valkey 9.0
	latestField    int64  // that HPEXPIREAT takes, in ms
	streamIDs      bool   // ENTRIESREAD, ENTRIESADDED, MINID: Redis 7.0
	createConsumer bool   // XGROUP CREATECONSUMER: Redis 6.2
	manyAtOnce     bool   // SMISMEMBER, ZMSCORE: Redis 6.2
	giveBack       bool   // XNACK: Redis 8.8
}

func commandsOf(s slotter.Server) commands {
	at := level(s)
	c := commands{unlink: "UNLINK", hset: "HSET", streamIDs: at >= 700, createConsumer: at >= 602, manyAtOnce: at >= 602, giveBack: at >= 808}
	if at < 400 {
		c.unlink, c.hset = "DEL", "HMSET"
	}
	if v := serverVersion(s); v.Valkey {
		c.fieldExpiry, c.latestField = v.Version >= 900, math.MaxInt64
	} else {
		c.fieldExpiry, c.latestField = v.Version >= 704, 1<<46-1 // RESTORE takes 48 bits
	}
	return c
}

// level is the version of Redis that a server is compatible with, as major*100 +
// minor.
func level(s slotter.Server) int { return s.Compatible[0]*100 + s.Compatible[1] }

// probeRestore finds out whether the user may RESTORE: a payload of no bytes is
// refused by every server before anything is written.
func (im *Importer) probeRestore(ctx context.Context, m *slotter.Map, master int) error {
	addr := m.Masters[master].Addr
	err := im.cluster.Client(addr).Do(ctx, "RESTORE", probeKey(m, master), 0, "").Err()
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case deniesCommand([]byte(text)):
		return fmt.Errorf("%w: %s: RESTORE is not allowed: %s", slotter.ErrNoPermission, addr, text)
	case strings.HasPrefix(text, "READONLY"):
		return fmt.Errorf("%w: %s: %s", slotter.ErrReplica, addr, text)
	case strings.HasPrefix(text, "ERR unknown command"):
		return fmt.Errorf("%w: %s: RESTORE is renamed or disabled there: %s", slotter.ErrNoPermission, addr, text)
	}
	return nil
}

// probeKey returns a key in a slot of a master.
func probeKey(m *slotter.Map, master int) string {
	for i := 0; ; i++ {
		key := fmt.Sprintf("rdbimport:probe:%d", i)
		if m.Owner(slotter.Slot([]byte(key))) == master || len(m.Ranges(master)) == 0 {
			return key
		}
	}
}
