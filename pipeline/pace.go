package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// setRates makes the limiters that the options ask for.
func (im *Importer) setRates() {
	limiter := func(perSecond int64) *rate.Limiter {
		if perSecond <= 0 {
			return nil
		}
		return rate.NewLimiter(rate.Limit(perSecond), int(atOnce(perSecond)))
	}
	im.bytesRate, im.keysRate = limiter(im.opts.Rate), limiter(im.opts.RateKeys)
}

// atOnce is how much of what a rate allows in a second may be sent at a time, so that the
// masters see an even stream: a tenth, or one.
func atOnce(perSecond int64) int64 { return max(1, perSecond/10) }

// setFull sets how much a batch takes before it is handed over: all that it has room for,
// unless there is a rate. Then what is in the batches of all masters may be sent at a time,
// those of all encoders together.
func (im *Importer) setFull(masters int) {
	filled := int64(max(1, masters) * max(1, im.encoders.count()))
	share := func(perSecond int64) int {
		if perSecond <= 0 {
			return math.MaxInt
		}
		return int(max(1, atOnce(perSecond)/filled))
	}
	im.fullBytes, im.fullKeys = min(im.batchSize, share(im.opts.Rate)), share(im.opts.RateKeys)
}

// limit waits until a batch of so many bytes and keys may be sent. One waits at a time:
// if several that are larger than may go at a time had theirs by turns, all of them would
// go at once in the end. Those who wait together are peers, if more than one.
func (im *Importer) limit(bytes, keys, peers int) error {
	if im.bytesRate == nil && im.keysRate == nil {
		return nil
	}
	from := time.Now()
	defer func() { im.stats.limited.Add(int64(time.Since(from)) / int64(max(peers, 1))) }()
	im.limiting.Lock()
	defer im.limiting.Unlock()
	for _, l := range []struct {
		limiter *rate.Limiter
		n       int
	}{{im.bytesRate, bytes}, {im.keysRate, keys}} {
		for n := l.n; l.limiter != nil && n > 0; {
			step := min(n, l.limiter.Burst())
			if err := l.limiter.WaitN(im.reading, step); err != nil {
				return im.whyStopped()
			}
			n -= step
		}
	}
	return nil
}

// A pace holds a master's lanes back while its replicas are behind.
type pace struct {
	gate atomic.Pointer[chan struct{}] // closed when the master may go on; nil when it may
}

// How far replicas may be behind, as parts of what makes the master cut them
// off: the hard limit of the replicas' output buffers for stopping, the soft one
// for going on. A replica acknowledges once a second, so it is never as far
// behind as it looks.
//
// A master without replicas is looked at once in aloneTurns only: it may get one.
const (
	paceEvery   = 100 * time.Millisecond
	aloneTurns  = 20
	hardDefault = 256 << 20
	softDefault = 64 << 20
)

// throttle waits while the replicas of a lane's master are too far behind.
func (im *Importer) throttle(l *lane) error {
	p := l.pace
	if p == nil {
		return nil
	}
	for {
		gate := p.gate.Load()
		if gate == nil {
			return nil
		}
		select {
		case <-*gate:
		case <-im.ctx.Done():
			return im.ctx.Err()
		}
	}
}

// paceOf returns the pace of the master at addr. im.mu is held.
func (im *Importer) paceOf(addr string) *pace {
	p := im.paces[addr]
	if p == nil {
		p = &pace{}
		im.paces[addr] = p
	}
	return p
}

// paceReplicas watches how far the replicas of each master are behind, and stops
// a master's lanes before it would cut a replica off: a replica that is cut off
// starts over with a copy of everything, again and again.
func (im *Importer) paceReplicas() {
	t := time.NewTicker(paceEvery)
	defer t.Stop()
	var limits, alone sync.Map // by address: of buffers, and which have no replica
	for turn := 0; ; turn++ {
		select {
		case <-t.C:
		case <-im.ctx.Done():
			im.openGates()
			return
		}
		m := im.slotMap.Load()
		_ = m.EachMaster(im.ctx, func(_ context.Context, i int) error {
			addr := m.Masters[i].Addr
			if _, ok := alone.Load(addr); ok && turn%aloneTurns != 0 {
				return nil
			}
			if im.paceMaster(addr, &limits) {
				alone.Delete(addr)
			} else {
				alone.Store(addr, true)
			}
			return nil
		})
	}
}

// paceMaster closes the gate of a master whose replicas are behind by more than half of
// the hard limit, and opens it when they are behind by less than half of the soft one. It
// reports whether the master may have replicas: the slot map does not have those of a
// standalone server, nor all that come late.
func (im *Importer) paceMaster(addr string, limits *sync.Map) (replicas bool) {
	ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
	defer cancel()
	info, err := im.cluster.Info(ctx, addr, "replication")
	im.mu.Lock()
	p := im.paceOf(addr)
	im.mu.Unlock()
	if err != nil {
		p.open() // whatever it is, waiting does not help
		return true
	}
	if connectedReplicas(info) == 0 {
		p.open()
		return false
	}
	limit, ok := limits.Load(addr)
	if !ok {
		limit = im.bufferLimits(addr)
		limits.Store(addr, limit)
	}
	hardSoft := limit.([2]int64)
	stop, start := hardSoft[0]/2, hardSoft[1]/2
	behind := replicasBehind(info)
	switch gate := p.gate.Load(); {
	case gate == nil && behind > stop:
		c := make(chan struct{})
		p.gate.Store(&c)
		im.stats.paced.Add(1)
	case gate != nil && behind < start:
		p.open()
	}
	return true
}

func (p *pace) open() {
	if gate := p.gate.Swap(nil); gate != nil {
		close(*gate)
	}
}

func (im *Importer) openGates() {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, p := range im.paces {
		p.open()
	}
}

// replicasBehind returns by how many bytes the slowest connected replica is
// behind: "slave0:ip=..,port=..,state=online,offset=123,lag=0".
func replicasBehind(info map[string]string) int64 {
	offset, _ := strconv.ParseInt(info["master_repl_offset"], 10, 64)
	var behind int64
	for name, value := range info {
		if !strings.HasPrefix(name, "slave") || !strings.Contains(value, "state=online") {
			continue
		}
		for field := range strings.SplitSeq(value, ",") {
			if text, ok := strings.CutPrefix(field, "offset="); ok {
				if at, err := strconv.ParseInt(text, 10, 64); err == nil && at > 0 {
					behind = max(behind, offset-at)
				}
			}
		}
	}
	return behind
}

// bufferLimits returns the hard and the soft limit of the output buffers for
// replicas, those of the default configuration where it may not be read.
func (im *Importer) bufferLimits(addr string) [2]int64 {
	limits := [2]int64{hardDefault, softDefault}
	ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
	defer cancel()
	conf, err := im.cluster.Client(addr).ConfigGet(ctx, "client-output-buffer-limit").Result()
	if err != nil {
		return limits
	}
	words := strings.Fields(conf["client-output-buffer-limit"])
	for i, w := range words {
		if (w == "slave" || w == "replica") && i+2 < len(words) {
			for j := range limits {
				if n, err := strconv.ParseInt(words[i+1+j], 10, 64); err == nil && n > 0 {
					limits[j] = n
				} else if err == nil {
					limits[j] = 1 << 40 // 0 is no limit
				}
			}
		}
	}
	limits[1] = min(limits[1], limits[0])
	return limits
}

// waitsOnOOM reports whether it is waited until a master has memory: not once the import is
// to end, since that may never be.
func (im *Importer) waitsOnOOM() bool { return im.opts.WaitOnOOM && !im.stopping.Load() }

// ErrTargetFull says that a master has no memory left.
var ErrTargetFull = errors.New("the target is out of memory")

// full describes a master that is out of memory, at the key, or what else, in words.
func (im *Importer) full(addr, at string) error {
	ctx, cancel := context.WithTimeout(im.ctx, probeTimeout)
	defer cancel()
	info, err := im.cluster.Info(ctx, addr, "memory")
	if err != nil {
		return fmt.Errorf("%w: %s, at %s", ErrTargetFull, addr, at)
	}
	return fmt.Errorf("%w: %s uses %s of its maxmemory of %s, at %s", ErrTargetFull, addr,
		info["used_memory_human"], info["maxmemory_human"], at)
}

// warnFull says once that the import waits for memory.
func (im *Importer) warnFull(addr string) {
	im.fullOnce.Do(func() { im.opts.Warn(fmt.Sprintf("%s is out of memory: waiting until it has some", addr)) })
}
