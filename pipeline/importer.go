package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/slotter"
	"golang.org/x/time/rate"
)

// An Importer puts entries into a cluster. Feeders give it the entries; Close
// waits until all of them are settled.
type Importer struct {
	cluster *slotter.Cluster
	opts    Options
	dialect dialect
	target  target
	// batchSize is the size of a batch's buffer in bytes.
	batchSize int
	// A batch of more bytes than fullBytes, or as many keys as fullKeys, is handed over.
	fullBytes, fullKeys int

	pool  chan *batch
	flow  flow
	large *large
	dumps *dumps

	// encoders render what one of the Feeders scans; nil if there are none.
	encoders *encoders
	// carriers bring large values, through links; nil if there are none.
	carriers *carriers
	links    links

	redo    *queue
	long    *queue // batches with keys that are to be compared in parts
	routes  atomic.Pointer[routes]
	slotMap atomic.Pointer[slotter.Map]
	stale   chan struct{} // asks for a fresh slot map

	mu       sync.Mutex // guards what follows, and the building of routes
	lanes    []*lane
	byPlace  map[place]*lane
	batches  int
	every    []*batch
	runIDs   map[string]string      // by address
	history  map[string]string      // of the data that a master has, by address
	earlier  map[string]earlierKeys // of an import that this one goes on with, by id of the master
	losses   []Loss
	replicas map[[2]string]bool         // master and replica, by id
	taken    map[string]map[uint16]bool // slots that have gone to others, by the address of their old owner
	left     []Loss                     // keys that have not gone with them

	wait                []byte        // the command WAIT, nil if not wanted
	bytesRate, keysRate *rate.Limiter // nil without a bound
	limiting            sync.Mutex    // has it who waits for them
	paces               map[string]*pace
	evictedBefore       map[string]evictCount // by address
	fullOnce            sync.Once
	barredOnce          sync.Once // a master lets the user in no longer

	stats  stats
	memory memory
	clock  clock
	marks  marks
	named  named
	libs   libraries

	// Of values too large to be held: how many bytes of one are, and their keys
	// on the target that nobody has taken the name of yet, or that came to nothing.
	held      int
	runID     string
	journal   sync.Mutex     // of Options.Temporary
	alone     chan struct{}  // takes one, for the value that may hold more than held
	temporary []TemporaryKey // guarded by mu
	discarded []TemporaryKey // guarded by mu
	// onlyDB is the database of the dumps where the target has room for one.
	onlyDB    claim
	databases knownDatabases

	// ctx ends everything, stop only the reading of sources. caller is what New was
	// given: when that ends, somebody waits for everything to end.
	caller   context.Context
	ctx      context.Context
	cancel   context.CancelCauseFunc
	reading  context.Context
	endRead  context.CancelFunc
	stopping atomic.Bool
	draining atomic.Bool               // no more entries will come
	asked    atomic.Pointer[time.Time] // when Stop was called first, nil if it was not
	stopped  chan struct{}
	failOnce sync.Once
	failure  error // the first error, set before stopped is closed

	work    sync.WaitGroup
	started time.Time
}

// Batch sizes in bytes. Within these bounds the size follows from the memory
// budget and the number of lanes. How many there are follows from the round trip too:
// see flow.
const (
	minBatch = 8 << 10
	maxBatch = 256 << 10
	// batchesPerLane is how many batches a lane should have, at the least, before
	// batches are made larger: one that is filled, one that is written, and two on
	// their way. With hundreds of lanes more of them would be so small that handing
	// them on costs more than filling them.
	batchesPerLane = 4
)

// New readies an import into cluster: it learns the slot map and what the
// servers can do, and makes sure that the user may do what is needed. Nothing is
// written. ctx bounds the whole import: when it ends, everything stops at once.
func New(ctx context.Context, cluster *slotter.Cluster, opts Options) (*Importer, error) {
	im := &Importer{
		cluster: cluster,
		opts:    opts.withDefaults(),
		redo:    newQueue(),
		long:    newQueue(),
		stale:   make(chan struct{}, 1),
		stopped: make(chan struct{}),
		byPlace: make(map[place]*lane),

		runIDs:   make(map[string]string),
		earlier:  make(map[string]earlierKeys),
		history:  make(map[string]string),
		replicas: make(map[[2]string]bool),
		taken:    make(map[string]map[uint16]bool),
		runID:    newRunID(),
		paces:    make(map[string]*pace),
	}
	im.held, im.alone = im.opts.textLimit(), make(chan struct{}, 1)
	im.setRates()
	im.marks.startMarks(Mark{}, false)
	if n := im.opts.WaitReplicas; n > 0 {
		im.wait = fmt.Appendf(nil, "*3\r\n$4\r\nWAIT\r\n$%d\r\n%d\r\n$3\r\n500\r\n", len(strconv.Itoa(n)), n)
	}
	m, err := cluster.Map(ctx)
	if err != nil {
		return nil, err
	}
	if err := im.preflight(ctx, m); err != nil {
		return nil, err
	}
	im.caller = ctx
	im.ctx, im.cancel = context.WithCancelCause(ctx)
	im.reading, im.endRead = context.WithCancel(im.ctx)
	im.started = time.Now()
	im.makePool(len(m.Masters))
	im.install(m)
	im.noteHeirs(ctx, m)
	var pieces sync.WaitGroup
	pieces.Go(func() { im.warnPieces(ctx, m) })
	im.warnEviction(ctx, m)
	im.noteEvicted(ctx, m)
	pieces.Wait()
	for _, s := range im.target.servers {
		im.runIDs[s.Addr], im.history[s.Addr] = s.RunID, s.History
	}
	im.removeLeftovers()
	im.work.Go(im.runRedo)
	im.work.Go(im.runLong)
	im.work.Go(im.refreshMap)
	im.work.Go(im.watch)
	im.work.Go(im.watchHeirs)
	im.work.Go(im.paceReplicas)
	im.work.Go(func() {
		im.clock.run(im.ctx, func(ctx context.Context) *reading { return askTimes(ctx, im.cluster, im.routes.Load()) })
	})
	return im, nil
}

// maxBatches bounds the number of batches, and with it the room of the pool.
const maxBatches = 1 << 14

// makePool makes the batches that there are in the beginning, and the encoders if
// there are to be any, each of which fills a batch for each lane. Half of the
// budget is for commands that are larger than a batch, and values that are read back.
func (im *Importer) makePool(masters int) {
	lanes := max(1, masters*im.opts.lanes())
	half := im.opts.Memory / 2
	im.dumps = newDumps(im.opts.Memory, &im.memory)
	im.large = newLarge(half-im.dumps.most, &im.memory)
	im.encoders = newEncoders(im, im.opts.encoders(masters))
	im.carriers = newCarriers(im)
	im.links.most = int(max(im.opts.Memory/linksShare/linkSize, 1))
	room := half - im.encoders.room()
	need := (batchesPerLane + im.encoders.count()) * lanes
	im.batchSize = int(min(max(room/int64(need), minBatch), maxBatch))
	im.setFull(masters)
	// Small keys take a quarter more than their commands.
	size := int64(im.batchSize + im.batchSize/4)
	im.flow.mostBatches = int(min(max(room/size, int64(2*lanes+2)), maxBatches))
	im.pool = make(chan *batch, maxBatches)
	im.growPool(im.flow.begin(im.opts, size, need))
}

// growPool adds batches until there are n. Their memory is taken only when they
// are used.
func (im *Importer) growPool(n int) {
	for ; im.batches < min(n, maxBatches); im.batches++ {
		b := &batch{}
		b.low.Store(none)
		im.every = append(im.every, b)
		im.pool <- b
	}
}

// put gives a settled batch back.
func (im *Importer) put(b *batch) {
	buf, room := b.reset()
	im.memory.hold(&b.held, b.size())
	if room > 0 {
		im.large.give(buf, room)
	}
	im.pool <- b
}

// fail stops the reading of sources because of err. What is in flight is still
// settled.
func (im *Importer) fail(err error) {
	im.failOnce.Do(func() {
		im.failure = err
		im.stopping.Store(true)
		close(im.stopped)
		im.endRead()
	})
}

// abort stops everything because of err: what is in flight stays unsettled.
func (im *Importer) abort(err error) {
	im.fail(err)
	im.cancel(err)
}

// Stop ends the reading of sources, as at the end of the last one. Feeders
// return ErrStopped. A master that accepts nothing is waited for no longer than
// StopPatience from then on: what it has not accepted stays unsettled.
func (im *Importer) Stop() {
	now := time.Now()
	im.asked.CompareAndSwap(nil, &now)
	im.fail(ErrStopped)
}

// StopPatience is how long an import that was asked to stop waits for a master that
// accepts nothing: whoever asked for it waits too.
const StopPatience = 10 * time.Second

// whyStopped returns what ended the reading of sources.
func (im *Importer) whyStopped() error {
	if im.stopping.Load() {
		return im.failure
	}
	return fmt.Errorf("import stopped: %w", context.Cause(im.ctx))
}

// Stopped is closed when the reading of sources has to end, because of Stop or
// of an error. A source that blocks must be woken then.
func (im *Importer) Stopped() <-chan struct{} { return im.stopped }

// Servers returns what the masters said about themselves at the start.
func (im *Importer) Servers() []slotter.Server { return im.target.servers }

// ErrStopped is the error of a Feeder whose Importer was asked to stop.
var ErrStopped = errors.New("stopped")

// Close waits until every entry is settled, or the import has failed, ends all
// goroutines and connections, and returns what became of the keys. The error is
// the one that ended the import early, nil if none did; the Result is of use in
// either case.
func (im *Importer) Close() (Result, error) {
	im.draining.Store(true)
	im.links.close()
	im.drain()
	im.lastLook()
	im.countEvicted()
	im.sweep()
	im.cancel(nil)
	im.work.Wait()
	res := im.Snapshot()
	res.Unsettled = res.Read - res.Restored - res.Existing - res.Expired - res.Filtered - res.Failed
	select {
	case <-im.stopped:
		return res, im.failure
	default:
	}
	if res.Unsettled != 0 {
		return res, fmt.Errorf("import ended with %s unsettled: %w", counted(res.Unsettled, "key"), context.Cause(im.ctx))
	}
	return res, nil
}

// drain waits until all batches are back in the pool.
func (im *Importer) drain() {
	for n := 0; ; n++ {
		im.mu.Lock()
		all := im.batches
		im.mu.Unlock()
		if n == all {
			return
		}
		select {
		case <-im.pool:
		case <-im.ctx.Done():
			return
		}
	}
}
