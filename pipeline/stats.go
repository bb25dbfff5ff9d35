package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/slotter"
)

// A Result says what became of the keys. Read is the sum of Restored to
// Unsettled.
type Result struct {
	Read      int64 // keys met in the dumps
	Restored  int64 // accepted by a master
	Existing  int64 // on the target already, and left as they are
	Expired   int64 // expired before they were sent
	Filtered  int64 // left out by the user
	Failed    int64 // refused, see Errors
	Unsettled int64 // not known, in an import that stopped

	Big int64 // of those read: values that were too large to be held

	Retries    int64 // batches sent again after a pause
	Redirects  int64 // MOVED and ASK replies
	Reconnects int64 // connections that broke

	Functions  int64 // function libraries loaded or there already
	Scripts    int64 // scripts loaded
	Libraries  int64 // function libraries and scripts that could not be loaded, see Errors
	ModuleAux  int64 // records of modules passed over
	KeyDBExtra int64 // expiries of set members, which no command restores

	Bytes    int64         // of accepted commands
	Duration time.Duration // since the import began
	Waited   time.Duration // of it, how long Feeders waited for masters
	Limited  time.Duration // of it, how long they waited because of a rate
	// Short says that masters waited while Feeders did: the round trip asks for more
	// in flight than Options.Memory allows.
	Short bool
	Lanes int // connections to each master, as it was last

	Paced     int64  // times that a master was held back for its replicas
	Failovers int64  // replicas that took the place of a master
	Losses    []Loss // what masters had accepted and may have lost
	Evicted   int64  // keys that the target evicted meanwhile, by whatever cause

	// PeakMemory is the most bytes that were held at any time in buffers: batches,
	// replies, what is read and framed.
	PeakMemory int64

	Masters []MasterResult
	Errors  []ErrorCount
}

// A MasterResult is what one master accepted, and how it stands.
type MasterResult struct {
	Addr, ID    string
	Keys, Bytes int64
	InFlight    int64 // keys given to its connections and not answered
	Retries     int64 // batches that it could not take
	State       MasterState
	For         time.Duration // how long it has been in that state, where that is of interest
}

// An ErrorCount counts the keys refused for one reason.
type ErrorCount struct {
	Reason  string
	Count   int64
	Example string // the first such key
}

// feedCounts are a Feeder's counts since they were last published.
type feedCounts struct {
	read, expired, filtered, failed int64
}

// stats are the counts of an import. Lanes and Feeders add to them batch by
// batch.
type stats struct {
	read, restored, existing, expired, filtered, failed atomic.Int64
	retries, redirects, reconnects                      atomic.Int64
	functions, scripts, librariesFailed                 atomic.Int64
	moduleAux, keydbExtra                               atomic.Int64
	waited, limited                                     atomic.Int64 // ns
	failovers, evicted, paced                           atomic.Int64

	big atomic.Int64 // values that were too large to be held

	feeders int // guarded by Importer.mu

	mu      sync.Mutex
	errors  map[string]*ErrorCount
	masters []slotter.Master // in the order in which they were met
}

func (s *stats) addFeed(c *feedCounts) {
	s.read.Add(c.read)
	s.expired.Add(c.expired)
	s.filtered.Add(c.filtered)
	s.failed.Add(c.failed)
	*c = feedCounts{}
}

// mostReasons bounds the table of reasons: a server may put anything into its
// replies.
const mostReasons = 100

// A Refusal says why a key was refused.
type Refusal struct {
	Key    []byte // borrowed
	DB     uint32
	Type   *rdbparse.TypeInfo // nil if not known
	Size   int                // bytes of the value in the dump
	Reason string
	Offset int64 // of the key's record in the dump
}

// refusal notes why a key that is counted was refused.
func (im *Importer) refusal(r Refusal) {
	im.stats.refused(r.Reason, r.Key)
	if im.opts.Refused != nil {
		im.opts.Refused(r)
	}
}

// refused counts the reason for which a key was refused; the keys refused are counted
// by the caller.
func (s *stats) refused(reason string, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.errors[reason]
	if e == nil && len(s.errors) >= mostReasons {
		reason = "other reasons"
		e = s.errors[reason]
	}
	if e == nil {
		if s.errors == nil {
			s.errors = make(map[string]*ErrorCount)
		}
		e = &ErrorCount{Reason: reason, Example: string(key[:min(len(key), mostKey)])}
		s.errors[reason] = e
	}
	e.Count++
}

// mostKey bounds what is shown of a key, in bytes.
const mostKey = 256

// setMasters notes the masters of a slot map.
func (s *stats) setMasters(m *slotter.Map) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range m.Masters {
		if !slices.ContainsFunc(s.masters, func(k slotter.Master) bool { return k.Addr == n.Addr }) {
			s.masters = append(s.masters, n)
		}
	}
}

// Snapshot returns the counts as they stand. While the import goes on they are
// those of the last batches handed over or answered.
func (im *Importer) Snapshot() Result {
	s := &im.stats
	res := Result{
		Restored: s.restored.Load(), Existing: s.existing.Load(), Expired: s.expired.Load(),
		Filtered: s.filtered.Load(), Big: s.big.Load(), Failed: s.failed.Load(), Read: s.read.Load(),
		Retries: s.retries.Load(), Redirects: s.redirects.Load(), Reconnects: s.reconnects.Load(),
		Functions: s.functions.Load(), Scripts: s.scripts.Load(), Libraries: s.librariesFailed.Load(), ModuleAux: s.moduleAux.Load(), KeyDBExtra: s.keydbExtra.Load(),
		Duration: time.Since(im.started), Waited: time.Duration(s.waited.Load()), Limited: time.Duration(s.limited.Load()),
		PeakMemory: im.memory.peak.Load(),
		Paced:      s.paced.Load(), Failovers: s.failovers.Load(), Evicted: s.evicted.Load(),
	}
	byAddr := make(map[string]MasterResult)
	last, m := im.draining.Load(), im.slotMap.Load()
	im.mu.Lock()
	res.Losses = im.lossesNow()
	res.Short, res.Lanes = im.flow.short, int(im.flow.lanes.Load())
	for _, l := range im.lanes {
		r := byAddr[l.place.addr]
		r.addLane(l, l.view(last))
		byAddr[l.place.addr] = r
	}
	im.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.masters {
		r := byAddr[n.Addr]
		delete(byAddr, n.Addr)
		r.Addr, r.ID = n.Addr, n.ID
		r.judge(m, im.cluster.Standalone())
		res.Masters = append(res.Masters, r)
	}
	for addr, r := range byAddr { // met in a redirection only
		if r.Keys > 0 {
			r.Addr = addr
			res.Masters = append(res.Masters, r)
		}
	}
	for _, m := range res.Masters {
		res.Bytes += m.Bytes
	}
	for _, e := range s.errors {
		res.Errors = append(res.Errors, *e)
	}
	slices.SortFunc(res.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return res
}
