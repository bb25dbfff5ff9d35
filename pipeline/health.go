package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
)

// Times by which the health of a master is judged.
const (
	// watchEvery is how often all lanes are looked at.
	watchEvery = 500 * time.Millisecond
	// silenceLimit is for how long a master may leave commands unanswered before
	// it is probed.
	silenceLimit = 2 * time.Second
	// stallLimit is the silence after which replies are believed only once the
	// other nodes say that the master is still one. It is below any sensible
	// cluster-node-timeout, after which a replica takes over.
	stallLimit = 500 * time.Millisecond
	// probeTimeout bounds one probe.
	probeTimeout = 3 * time.Second
	// deadProbes is how many probes a master answers on new connections, while it
	// is silent on the old one, until that is given up.
	deadProbes = 3
	// askAgain is the pause between two questions to the other nodes.
	askAgain = 100 * time.Millisecond
	// mostPeers is how many other nodes are asked.
	mostPeers = 3
)

// Why a connection is given up.
var (
	errDemoted = errors.New("it is no master any more")
	errSilent  = errors.New("no answer, though it answers on new connections")
)

// watch looks at all lanes from time to time and has those probed that have been
// silent for too long.
func (im *Importer) watch() {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-im.ctx.Done():
			return
		}
		now := time.Now().UnixNano()
		im.mu.Lock()
		for _, l := range im.lanes {
			c := l.conn.Load()
			if c == nil || c.waiting.Load() == 0 || time.Duration(now-c.heard.Load()) < silenceLimit || c.probing.Swap(true) {
				continue
			}
			im.work.Go(c.probe)
		}
		im.mu.Unlock()
	}
}

// probe finds out what is wrong with a silent connection, and gives it up if it
// has no future.
func (c *connection) probe() {
	defer c.probing.Store(false)
	l, im := c.lane, c.lane.im
	heard := c.heard.Load()
	ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
	defer cancel()
	conn, err := im.cluster.Dial(ctx, l.place.addr, int(l.place.db))
	if err == nil {
		_ = conn.Close()
		if c.heard.Load() == heard {
			if c.answered++; c.answered >= deadProbes {
				c.giveUp(errSilent)
			}
		} else {
			c.answered = 0
		}
		return
	}
	// It does not answer at all: it is busy with one long command, or gone. The
	// other nodes know when another has taken its place.
	if im.standing(im.ctx, l.place.addr) == standingReplaced {
		c.giveUp(errDemoted)
		im.wantMap()
		return
	}
	im.trouble(l, fmt.Errorf("it is silent: %w", err))
}

// giveUp breaks the connection: what is in flight will be sent again.
func (c *connection) giveUp(err error) {
	c.broke.CompareAndSwap(nil, &err)
	_ = c.conn.Close()
}

// A standing is what the other nodes of the cluster think of a node.
type standing uint8

const (
	standingUnknown  standing = iota // nobody could be asked
	standingMaster                   // it is a master, and well
	standingFailing                  // it is thought to fail, or may be
	standingReplaced                 // it is no master, or has no slots
)

// standing asks other nodes about the node at addr. They have to agree.
func (im *Importer) standing(ctx context.Context, addr string) standing {
	m := im.slotMap.Load()
	at := m.ByAddr(addr)
	if im.cluster.Standalone() {
		return standingMaster
	}
	if at < 0 {
		return standingReplaced
	}
	id, verdict, asked := m.Masters[at].ID, standingUnknown, 0
	for _, peer := range peers(m, at) {
		if asked == mostPeers {
			break
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		nodes, err := im.cluster.Client(peer).ClusterNodes(ctx).Result()
		cancel()
		if err != nil {
			continue
		}
		asked++
		verdict = max(verdict, nodeStanding(nodes, id))
	}
	if len(m.Masters) == 1 && asked == 0 && len(m.Masters[0].Replicas) == 0 {
		return standingMaster // there is nobody else
	}
	return verdict
}

// peers returns the other nodes of a cluster, masters first.
func peers(m *slotter.Map, not int) []string {
	var masters, replicas []string
	for i, n := range m.Masters {
		if i != not {
			masters = append(masters, n.Addr)
		}
		for _, r := range n.Replicas {
			replicas = append(replicas, r.Addr)
		}
	}
	return append(masters, replicas...)
}

// nodeStanding finds a node in the answer to CLUSTER NODES: "id addr flags
// master ping pong epoch link slots...".
func nodeStanding(nodes, id string) standing {
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] != id {
			continue
		}
		flags := "," + f[2] + ","
		switch {
		case !strings.Contains(flags, ",master,"), len(f) == 8:
			return standingReplaced
		case strings.Contains(flags, ",fail,"), strings.Contains(flags, ",fail?,"):
			return standingFailing
		}
		return standingMaster
	}
	return standingReplaced
}

// confirm finds out after a silence whether the master may be believed: a frozen
// one that wakes up accepts what it is sent before it learns that another has
// taken its place. It returns an error if the connection has to be given up.
func (c *connection) confirm() error {
	l, im := c.lane, c.lane.im
	began := time.Now()
	for {
		switch im.standing(im.ctx, l.place.addr) {
		case standingMaster:
			return nil
		case standingReplaced:
			im.wantMap()
			return errDemoted
		}
		if time.Since(began) > im.opts.RetryTimeout {
			return fmt.Errorf("the cluster does not say whether it is still a master")
		}
		select {
		case <-time.After(askAgain):
		case <-im.ctx.Done():
			return im.ctx.Err()
		}
	}
}

// A Loss is a set of keys that a master had accepted and may have lost.
type Loss struct {
	Addr   string // of the master
	Slots  string // that have another owner now; "" where the master has lost its data
	Keys   int64  // how many keys it had accepted, at the most
	Reason string
}

// failedOver compares two maps and notes the slots whose owner has been replaced
// by its replica: what the replica had not got is lost.
func (im *Importer) failedOver(before, after *slotter.Map) {
	lost := make(map[int][]slotter.Range)
	for slot := range uint16(slotter.Slots) {
		a, b := before.Owner(slot), after.Owner(slot)
		if a < 0 || b < 0 || before.Masters[a].ID == after.Masters[b].ID {
			continue
		}
		if !isReplica(before.Masters[a], after.Masters[b]) {
			continue
		}
		r := lost[a]
		if n := len(r); n > 0 && r[n-1].Last+1 == slot {
			r[n-1].Last = slot
		} else {
			r = append(r, slotter.Range{First: slot, Last: slot})
		}
		lost[a] = r
	}
	for a, ranges := range lost {
		addr := before.Masters[a].Addr
		im.breakOff(addr)
		im.stats.failovers.Add(1)
		if im.opts.WaitReplicas == 0 {
			im.noteLoss(addr, slotter.FormatRanges(ranges), "its replica has taken over, and may not have had all of them")
		}
	}
}

func isReplica(of slotter.Master, n slotter.Master) bool {
	for _, r := range of.Replicas {
		if r.ID == n.ID {
			return true
		}
	}
	return false
}

// breakOff closes the connections to a master that is none any more, so that
// nothing that it still says is believed.
func (im *Importer) breakOff(addr string) {
	for _, l := range im.lanes {
		if c := l.conn.Load(); c != nil && l.place.addr == addr {
			c.giveUp(errDemoted)
		}
	}
}

// noteLoss notes that what a master had accepted so far may be lost. im.mu is
// held.
func (im *Importer) noteLoss(addr, slots, reason string) {
	keys := int64(0)
	for _, l := range im.lanes {
		if l.place.addr == addr {
			keys += l.keys.Load()
		}
	}
	// What it had accepted before an earlier loss is in that one.
	counted := im.lossCounted[addr]
	if keys == counted {
		return
	}
	im.lossCounted[addr] = keys
	im.losses = append(im.losses, Loss{Addr: addr, Slots: slots, Keys: keys - counted, Reason: reason})
	im.opts.Warn(fmt.Sprintf("up to %d keys that %s had accepted may be lost: %s", keys-counted, addr, reason))
}

// checkRun notes a loss if the server behind addr is not the process that it was.
func (im *Importer) checkRun(ctx context.Context, addr string) error {
	s, err := im.cluster.Server(ctx, addr)
	if err != nil {
		return err
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	if old := im.runIDs[addr]; old != "" && old != s.RunID {
		im.noteLoss(addr, "", "the server was restarted")
	}
	im.runIDs[addr] = s.RunID
	return nil
}
