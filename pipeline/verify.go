package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"golang.org/x/sync/semaphore"
)

// VerifyOptions are the settings of a comparison. The zero value works, but for
// Databases.
type VerifyOptions struct {
	Databases Databases

	// TTLTolerance is by how much an expiry may be off; 0 is not at all. Servers
	// before Redis 7.0 tell only the time that is left, so there it is at least
	// RoughTolerance.
	TTLTolerance time.Duration
	// Sample is the share of the slots that is compared, from 0 to 1; 0 is all.
	// Always the same slots are taken for the same share.
	Sample float64
	// Extra lists the keys that only the target has, by SCAN. Half of Memory then
	// goes into hashes of the dump's keys.
	Extra bool

	// Memory is the budget in bytes for keys and values in flight; 0 is
	// DefaultMemory.
	Memory int64
	// Lanes is the number of connections per master; 0 is 1.
	Lanes int
	// RetryTimeout is how long is tried to get one key's value before the
	// comparison fails; 0 is DefaultVerifyRetry.
	RetryTimeout time.Duration

	// Found is told of each difference, one at a time. The key is borrowed.
	Found func(KeyDifference)
	// Warn is told, in one line of text, what a user should know. It is called
	// from several goroutines, and must not call the Verifier.
	Warn func(text string)
}

// DefaultVerifyRetry is the RetryTimeout of VerifyOptions.
const DefaultVerifyRetry = 20 * time.Second

// HeldValue returns how many bytes of a value are held: the MaxValue of the
// Scanners that Check is given. Larger ones are compared in ranges.
func (o VerifyOptions) HeldValue() int { return Options{Memory: o.Memory}.textLimit() }

func (o VerifyOptions) withDefaults() VerifyOptions {
	o.Memory = cmp.Or(max(o.Memory, 0), DefaultMemory)
	o.Lanes = max(o.Lanes, 1)
	o.RetryTimeout = cmp.Or(max(o.RetryTimeout, 0), DefaultVerifyRetry)
	if o.Found == nil {
		o.Found = func(KeyDifference) {}
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	return o
}

// A DifferenceKind says how a key differs.
type DifferenceKind uint8

// The kinds of difference.
const (
	Missing    DifferenceKind = iota // the target does not have the key
	Different                        // it has another value, or a key that had expired
	ExpiryOff                        // it has the value, but another expiry
	Unreadable                       // the target, or the dump, does not let it be compared
	Extra                            // the dump does not have the key, or not for the master that has it
	Function                         // a function library is not on every master as it is in the dump
)

var differenceNames = [...]string{"missing", "different", "expiry", "unreadable", "extra", "function"}

// String returns the name of the kind in one word.
func (k DifferenceKind) String() string { return differenceNames[k] }

// A KeyDifference is one key, or one function library, that is not the same in dump
// and target.
type KeyDifference struct {
	Kind   DifferenceKind
	Key    []byte // on the target: with its prefix, if there is one; or the library's name
	DB     uint32 // on the target
	What   string // in words
	Offset int64  // of its record in the dump, -1 for an extra key
}

// A VerifyResult counts what became of the keys of the dump. Read is the sum of
// Same to Unreadable.
type VerifyResult struct {
	Read     int64
	Same     int64
	Expired  int64 // in the dump, and gone from the target
	Filtered int64 // of other databases, or collections of no elements
	Skipped  int64 // not in the sample

	Missing, Different, ExpiryOff, Unreadable int64

	// Extra is the number of keys that only the target has, if ExtraKnown; it is
	// exact, as far as nobody writes, if ExtraListed.
	Extra                   int64
	ExtraKnown, ExtraListed bool

	// Functions is the number of function libraries in the dump, FunctionsDiffer that
	// of those which some master does not have as they are there.
	Functions, FunctionsDiffer int64

	// Changes is how many writes the target has had meanwhile, at the least.
	Changes int64
	// Touched tells that the reading has reset the idle times of the keys.
	Touched               bool
	Redirects, Reconnects int64
	Unsettled             int64 // met, but not compared, because it was stopped
}

// Differences is the number of keys and function libraries that differ.
func (r *VerifyResult) Differences() int64 {
	return r.Missing + r.Different + r.ExpiryOff + r.Unreadable + r.Extra + r.FunctionsDiffer
}

// A Verifier compares entries with what a cluster holds. Check, NewSource and
// Close belong to one goroutine, the rest may be called from any.
type Verifier struct {
	cluster  *slotter.Cluster
	opts     VerifyOptions
	expiry   expiryQuery
	tol      int64 // ms
	commands commands
	db       uint32 // on the target, where the dump does not say
	sample   int    // slots that are compared

	routes  atomic.Pointer[routes]
	routeMu sync.Mutex // held to change them
	clock   clock
	named   named
	pool    chan *verifyBatch
	batch   int // bytes of one
	held    int // bytes of a value
	dumps   *dumps
	large   *semaphore.Weighted
	most    int64 // bytes that large has
	redo    chan *verifyBatch
	feed    verifyFeed
	hashes  *keyHashes // nil if extra keys are not listed
	libs    libraries
	waits   verifyWaits

	foundMu sync.Mutex
	counts  verifyCounts
	touched atomic.Bool
	before  int64 // writes that the servers had counted at the start

	ctx     context.Context // of all of it
	cancel  context.CancelCauseFunc
	reading context.Context // of the dump, and of looking for extra keys
	endRead context.CancelCauseFunc
	lanes   sync.WaitGroup
	work    sync.WaitGroup
}

// verifyCounts are the counts of a VerifyResult while they grow.
type verifyCounts struct {
	read, same, expired, filtered, skipped atomic.Int64
	kinds                                  [Function + 1]atomic.Int64
	functions                              atomic.Int64
	redirects, reconnects                  atomic.Int64
}

// Verify readies a comparison with cluster. Nothing is written. ctx bounds all
// of it.
func Verify(ctx context.Context, cluster *slotter.Cluster, opts VerifyOptions) (*Verifier, error) {
	v := &Verifier{cluster: cluster, opts: opts.withDefaults(), sample: slotter.Slots}
	if s := v.opts.Sample; s > 0 && s < 1 {
		v.sample = max(1, int(s*slotter.Slots+0.5))
	}
	m, err := cluster.Map(ctx)
	if err != nil {
		return nil, err
	}
	if missing := m.Missing(); len(missing) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotCovered, slotter.FormatRanges(missing))
	}
	if err := v.preflight(ctx, m); err != nil {
		return nil, err
	}
	v.routes.Store(newRoutes(m))
	v.before, _ = v.writes(ctx)
	v.makePool(len(m.Masters))
	v.feed.init(v)
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	v.reading, v.endRead = context.WithCancelCause(v.ctx)
	v.work.Go(v.runRedo)
	v.work.Go(func() {
		v.clock.run(v.ctx, func(ctx context.Context) *reading { return askTimes(ctx, v.cluster, v.routes.Load()) })
	})
	return v, nil
}

// preflight looks at every master.
func (v *Verifier) preflight(ctx context.Context, m *slotter.Map) error {
	servers, now, err := askMasters(ctx, v.cluster, m, v.opts.Warn, v.probeDump)
	if err != nil {
		return err
	}
	v.clock.begin(now)
	least := slotter.Oldest(servers)
	v.commands = commandsOf(least)
	v.expiry, v.tol = expiryQuery{command: "PEXPIRETIME"}, v.opts.TTLTolerance.Milliseconds()
	if level(least) < 700 {
		v.expiry, v.tol = timeLeft, max(v.tol, ttlTolerance)
	}
	v.db = uint32(max(v.cluster.Target().DB, 0))
	return v.probeRights(ctx, m)
}

// probeDump finds out whether the user may DUMP.
func (v *Verifier) probeDump(ctx context.Context, m *slotter.Map, master int) error {
	addr := m.Masters[master].Addr
	err := v.cluster.Client(addr).Do(ctx, "DUMP", probeKey(m, master)).Err()
	if err == nil {
		return nil
	}
	if text := err.Error(); deniesCommand([]byte(text)) || strings.HasPrefix(text, "ERR unknown command") {
		return fmt.Errorf("%w: %s: DUMP is not allowed: %s", slotter.ErrNoPermission, addr, text)
	}
	return nil // no such key; whatever else it is will be met again
}

// makePool makes the batches that the memory budget allows. Half of it is for
// values that are larger than a batch, and those of the target.
func (v *Verifier) makePool(masters int) {
	budget := v.opts.Memory
	if v.opts.Extra {
		v.hashes = newKeyHashes(budget / hashShare)
		budget -= budget / hashShare
	}
	half := budget / 2
	v.held, v.dumps = v.opts.HeldValue(), newDumps(budget, nil)
	lanes := max(1, masters*v.opts.Lanes)
	v.most = half - v.dumps.most
	v.large = semaphore.NewWeighted(v.most)
	v.batch = int(min(max(half/int64(batchesPerLane*lanes), minBatch), maxBatch))
	n := int(min(max(half/int64(v.batch), int64(2*lanes+2)), maxBatches))
	v.pool = make(chan *verifyBatch, n)
	v.redo = make(chan *verifyBatch, n)
	for range n {
		v.pool <- &verifyBatch{}
	}
}

// fail ends the comparison because of err.
func (v *Verifier) fail(err error) { v.cancel(err) }

// Stop ends the reading: Check returns ErrStopped. What it has read is compared, and
// keys that only the target has are not looked for.
func (v *Verifier) Stop() { v.endRead(ErrStopped) }

// Done is closed when no more is to be read, because of Stop or of an error. A source
// that blocks must be woken then.
func (v *Verifier) Done() <-chan struct{} { return v.reading.Done() }

// Snapshot returns the counts so far.
func (v *Verifier) Snapshot() VerifyResult {
	c := &v.counts
	return VerifyResult{
		Read: c.read.Load(), Same: c.same.Load(), Expired: c.expired.Load(), Filtered: c.filtered.Load(), Skipped: c.skipped.Load(),
		Missing: c.kinds[Missing].Load(), Different: c.kinds[Different].Load(), ExpiryOff: c.kinds[ExpiryOff].Load(),
		Unreadable: c.kinds[Unreadable].Load(), Extra: c.kinds[Extra].Load(),
		Functions: c.functions.Load(), FunctionsDiffer: c.kinds[Function].Load(),
		Touched: v.touched.Load(), Redirects: c.redirects.Load(), Reconnects: c.reconnects.Load(),
	}
}

// Close waits until every key is compared, or the comparison has failed, looks
// for extra keys, ends all goroutines and connections, and returns the counts.
// The error is the one that ended it early, nil if none did; the result is of
// use in either case.
func (v *Verifier) Close() (VerifyResult, error) {
	v.Flush()
	v.feed.closeLanes()
	v.lanes.Wait()
	v.drain()
	why := func() error { return cmp.Or(context.Cause(v.ctx), context.Cause(v.reading)) }
	err := why()
	var extra extraKeys
	if err == nil {
		extra, err = v.findExtra(v.reading)
		err = cmp.Or(why(), err)
	}
	var now int64
	if err == nil {
		now, _ = v.writes(v.ctx)
	}
	v.cancel(nil)
	v.work.Wait()
	res := v.Snapshot()
	res.ExtraKnown, res.ExtraListed = extra.known, extra.listed
	if !extra.listed {
		res.Extra = extra.count
	}
	res.Changes = max(0, now-v.before)
	res.Unsettled = res.Read - res.Same - res.Expired - res.Filtered - res.Skipped -
		res.Missing - res.Different - res.ExpiryOff - res.Unreadable
	if err == nil && res.Unsettled != 0 {
		err = errors.New("keys were lost on the way: a fault of this program")
	}
	return res, err
}

// drain waits until all batches are back in the pool.
func (v *Verifier) drain() {
	for range cap(v.pool) {
		select {
		case <-v.pool:
		case <-v.ctx.Done():
			return
		}
	}
}

// found counts a difference and tells of it.
func (v *Verifier) found(d KeyDifference) {
	v.counts.kinds[d.Kind].Add(1)
	v.foundMu.Lock()
	defer v.foundMu.Unlock()
	v.opts.Found(d)
}
