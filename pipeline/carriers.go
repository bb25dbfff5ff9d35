package pipeline

import (
	"sync/atomic"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// carriers bring large values to their masters while the goroutine that scans goes
// on: of such a value it finds the end, and each carrier reads it for itself. So
// several masters have large values to do at the same time, and the round trips
// that each value takes are not waited for one value after another.
//
// It takes a source that can be read in several places at once, a plain file. What
// comes through a pipe or is compressed is brought by the goroutine that scans.
type carriers struct {
	all  []*carrier
	free chan *carrier
}

// A carrier is what one large value at a time needs on its way.
type carrier struct {
	f   *Feeder      // renders nothing
	low atomic.Int64 // offset of the record of the value that it has, none if it has none
}

const (
	// mostCarriers is how many there are at the most. Each may hold a part of a
	// value of up to heldShare of the budget, and needs carrierSize in any case.
	mostCarriers  = 4
	carrierBuffer = 128 << 10 // of its Scanner
	carrierSize   = carrierBuffer + linkSize
	// carrierShare is the part of the budget that their buffers may take.
	carrierShare = 16
)

// newCarriers returns the carriers of im, nil where the budget has no room for them.
func newCarriers(im *Importer) *carriers {
	n := int(min(im.opts.Memory/carrierShare/carrierSize, mostCarriers))
	if n == 0 {
		return nil
	}
	t := &carriers{free: make(chan *carrier, n)}
	for range n {
		c := &carrier{f: &Feeder{im: im, form: form{dialect: im.dialect}, peers: n}}
		c.low.Store(none)
		t.all = append(t.all, c)
		t.free <- c
	}
	return t
}

// carry gives the large value that the scanner is at to a carrier, and waits until there is
// one. It reports false where none can bring it.
func (f *Feeder) carry() (carried bool, err error) {
	t := f.im.carriers
	if t == nil {
		return false, nil
	}
	own, v, ok := f.scanner.Detach(carrierBuffer)
	if !ok {
		return false, nil
	}
	var c *carrier
	select {
	case c = <-t.free:
	default:
		f.Flush() // nothing else waits for this
		select {
		case c = <-t.free:
		case <-f.im.reading.Done():
			return false, f.im.whyStopped()
		}
	}
	c.low.Store(own.Offset)
	c.f.db = f.db
	c.f.form.prefix = append(c.f.form.prefix[:0], f.form.prefix...)
	f.carried.Go(func() {
		if err := c.bring(own, v); err != nil {
			f.im.fail(err)
			f.carriedErr.CompareAndSwap(nil, &err)
		}
		f.uncarried.Add(-c.f.met)
		c.f.met = 0
		c.low.Store(none)
		t.free <- c
	})
	return true, nil
}

// bring brings a value to its master. If it cannot be known to be there, an import
// that goes on from a Mark must meet it again.
func (c *carrier) bring(e *rdbparse.Entry, v *rdbparse.BigValue) error {
	im := c.f.im
	im.memory.add(carrierBuffer)
	err := c.f.bring(e, v)
	im.memory.add(-carrierBuffer)
	if err != nil || c.f.met < 0 {
		im.marks.keepBelow(e.Offset)
	}
	return err
}

// low returns the least offset of a value that is on its way, none if there is none;
// t may be nil.
func (t *carriers) low() int64 {
	low := int64(none)
	if t != nil {
		for _, c := range t.all {
			low = min(low, c.low.Load())
		}
	}
	return low
}

// joinCarriers waits until all values that f gave to carriers are settled. The error is
// the one for which such a value stops the import.
func (f *Feeder) joinCarriers() error {
	f.carried.Wait()
	f.met -= f.uncarried.Swap(0)
	if err := f.carriedErr.Swap(nil); err != nil {
		return *err
	}
	return nil
}

// settled returns when all that f was given is settled. The error is the one for which
// the import stops.
func (f *Feeder) settled() error {
	if err := f.joinCarriers(); err != nil {
		return err
	}
	return f.WaitSettled()
}
