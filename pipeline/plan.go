package pipeline

import (
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// DamagedReason begins the reasons of keys that are refused since their values do
// not fit their own encoding; the name of the type follows.
const DamagedReason = "damaged value of type "

// A Sum is a number of keys and the bytes that they take in the dump.
type Sum struct{ Keys, Bytes int64 }

func (s *Sum) add(bytes int64) {
	s.Keys++
	s.Bytes += bytes
}

// A Fate is what an import would do with a key.
type Fate uint8

// The fates of keys.
const (
	FateAsIs      Fate = iota // sent as it stands in the dump
	FateConverted             // sent in another encoding
	FateRefused
	FateExpired
	FateFiltered // of a database that is left out, or a collection of no elements
	FateDamaged  // it does not fit its own encoding, and stops the import
)

// A Change is how values are converted.
type Change struct {
	From, To *rdbparse.TypeInfo
	// MetaOnly tells that the metadata of the key is left out, and nothing else is
	// changed.
	MetaOnly bool
}

// PlanResult is what an import would do. Read is the sum of AsIs to Damaged, and
// the bytes are those of the records in the dump.
type PlanResult struct {
	Read                                                 Sum
	AsIs, Converted, Refused, Expired, Filtered, Damaged Sum
	Changes                                              map[Change]Sum
	Functions, Scripts, Libraries, ModuleAux, KeyDBExtra int64 // as in Result
	Errors                                               []ErrorCount
	Damage                                               *DamagedError // the first
	ModuleTypes                                          map[string]Access
	InPieces                                             Pieces             // of the keys that would be sent
	Slots                                                [slotter.Slots]Sum // of the keys that would be sent
}

// Sent returns the keys that would be sent.
func (r *PlanResult) Sent() Sum {
	return Sum{r.AsIs.Keys + r.Converted.Keys, r.AsIs.Bytes + r.Converted.Bytes}
}

// A Planner tells what an import would do with each entry of a dump: it decides
// as a Feeder does, and opens each value, which only some targets do. Nothing is
// sent. It belongs to one goroutine.
type Planner struct {
	target  *TargetFacts
	feeder  Feeder
	result  PlanResult
	samples []sample // by master
	values  *element.Reader

	// Asks has the servers asked about each key that the user may not be allowed to
	// write, by Ask.
	Asks   bool
	asked  [][]askedKey // by master
	latest *askedKey    // the key noted last, nil if nobody is asked about it
	pieces bool         // that key would be written in pieces
}

// NewPlanner returns a Planner for t.
func (t *TargetFacts) NewPlanner() *Planner {
	p := &Planner{target: t, feeder: Feeder{im: t.im, db: t.im.target.db}, samples: t.samples(), asked: make([][]askedKey, len(t.Masters))}
	p.feeder.source.init(t.im)
	p.result.Changes, p.result.ModuleTypes = make(map[Change]Sum), make(map[string]Access)
	return p
}

// NewSource tells p that the next entries are of another dump.
func (p *Planner) NewSource() { p.feeder.source.begun = false }

// Result returns what p has found out so far.
func (p *Planner) Result() *PlanResult {
	p.result.Errors = p.target.im.Snapshot().Errors
	return &p.result
}

// Record notes an entry that is no key.
func (p *Planner) Record(e *rdbparse.Entry) {
	im, r := p.target.im, &p.result
	switch e.Record {
	case rdbparse.RecordFunction:
		p.function(e.Value)
	case rdbparse.RecordModuleAux:
		r.ModuleAux++
	case rdbparse.RecordAux:
		switch string(e.Key) {
		case "lua":
			if im.libs.once(e.Value) {
				r.Scripts++
			}
		case "keydb-subexpire-key":
			r.KeyDBExtra++
		}
	}
}

func (p *Planner) function(code []byte) {
	im, r := p.target.im, &p.result
	if !im.libs.once(code) {
		return
	}
	name := libraryName(code)
	if !im.target.functions {
		im.stats.refused("the target has no functions: "+im.target.oldest.String(), name)
		r.Libraries++
		return
	}
	for i := range p.target.Masters {
		if p.target.Masters[i].Functions == AccessDenied {
			im.stats.refused("FUNCTION LOAD is not allowed on "+p.target.Masters[i].Addr, name)
			r.Libraries++
			return
		}
	}
	r.Functions++
}

// Key notes the key that sc has come to. It returns its slot on the target if it
// would be sent, what would become of it, and the bytes of its record.
func (p *Planner) Key(sc *rdbparse.Scanner) (slot uint16, _ Fate, size int64) {
	r, e := &p.result, sc.Entry()
	v := sc.BigValue()
	p.latest, p.pieces, p.feeder.value = nil, false, v
	out, fate := p.decide(e, v)
	if v != nil && v.Skip() != nil {
		return 0, fate, 0 // the scanner has the same error
	}
	size = sc.Offset() - e.Offset
	r.Read.add(size)
	if out == nil {
		r.sum(fate).add(size)
		return 0, fate, size
	}
	slot = p.feeder.form.prefix.slot(e.Key)
	var change Change
	if fate == FateConverted {
		change = Change{From: e.Type, To: out.Type, MetaOnly: sameBytes(e, out)}
		n := r.Changes[change]
		n.add(size)
		r.Changes[change] = n
	}
	r.sum(fate).add(size)
	r.Slots[slot].add(size)
	if owner := p.target.Map.Owner(slot); owner >= 0 {
		p.samples[owner].note(p, e, size)
	}
	p.ask(e, slot, size, fate, change)
	return slot, fate, size
}

// InPieces reports whether the key noted last would be written in pieces.
func (p *Planner) InPieces() bool { return p.pieces }

func (r *PlanResult) sum(f Fate) *Sum {
	return [...]*Sum{&r.AsIs, &r.Converted, &r.Refused, &r.Expired, &r.Filtered, &r.Damaged}[f]
}

// sameBytes reports whether a value is sent as it stands.
func sameBytes(e, out *rdbparse.Entry) bool {
	return e.Type == out.Type && len(e.Value) == len(out.Value) && (len(e.Value) == 0 || &e.Value[0] == &out.Value[0])
}

// decide returns what would be sent of e, nil if nothing would.
func (p *Planner) decide(e *rdbparse.Entry, big *rdbparse.BigValue) (*rdbparse.Entry, Fate) {
	f, im := &p.feeder, p.target.im
	if f.source.changes(e) {
		place, _ := f.source.next(e, im.opts.Databases, im.target.db, &im.onlyDB) // a second database is for the caller to see
		f.db, f.form.prefix = place.db, append(f.form.prefix[:0], place.prefix...)
	}
	if f.source.leavesOut(e) {
		return nil, FateFiltered
	}
	if big != nil {
		return p.decideBig(e, big)
	}
	before := f.counts
	out, err := f.sendable(e)
	if out == nil {
		if err == errInPieces {
			e, f.value = rdbparse.BigOf(e, carrierBuffer)
			return p.decideBig(e, f.value)
		}
		return nil, p.unsent(before, err)
	}
	if reason := p.needsModule(e); reason != "" {
		f.refuse(e, reason)
		return nil, FateRefused
	}
	if sameBytes(e, out) {
		switch err := p.open(e); {
		case errors.Is(err, element.ErrEmpty):
			return nil, FateFiltered // the target says so
		case err != nil:
			before := f.counts
			return nil, p.unsent(before, f.damaged(e, err))
		}
		if len(out.Meta) == len(e.Meta) {
			return out, FateAsIs
		}
	}
	return out, FateConverted
}

// unsent returns the fate of a key of which nothing would be sent, from what was
// counted for it.
func (p *Planner) unsent(before feedCounts, err error) Fate {
	var damage *DamagedError
	now := &p.feeder.counts
	switch {
	case errors.As(err, &damage):
		if p.result.Damage == nil {
			p.result.Damage = damage
		}
		return FateDamaged
	case now.expired > before.expired:
		return FateExpired
	case now.filtered > before.filtered:
		return FateFiltered
	}
	return FateRefused
}

// needsModule returns why a value of a module will not be loaded, "" if it will
// be or that cannot be told.
func (p *Planner) needsModule(e *rdbparse.Entry) string {
	if e.Type.Kind != rdbparse.KindModule || e.Type.Type != rdbparse.TypeModule2 {
		return ""
	}
	name := rdbparse.ModuleName(e.Value)
	access, ok := p.result.ModuleTypes[name]
	if !ok {
		access = p.target.loads(name)
		p.result.ModuleTypes[name] = access
	}
	if access != AccessDenied {
		return ""
	}
	return "the target cannot load values of the module type " + name
}

// open reads a value to its end: servers look at the head of what they are sent
// only, unless sanitize-dump-payload is set. The error is ErrDamaged, or ErrEmpty for
// a collection of no elements.
func (p *Planner) open(e *rdbparse.Entry) error {
	if e.Type.Kind == rdbparse.KindString && !isCompressed(e) || !element.CanOpen(e.Type) {
		return nil
	}
	v := element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields}
	if p.values == nil {
		p.values = element.Open(v)
	} else {
		p.values.Reset(v)
	}
	empty := true
	for p.values.Next() {
		empty = false
	}
	switch err := p.values.Err(); {
	case errors.Is(err, element.ErrDamaged):
		return err
	case err == nil && empty:
		return element.ErrEmpty
	}
	return nil
}

// String describes the change in words.
func (c Change) String() string {
	switch {
	case c.MetaOnly:
		return c.From.Name + " without its metadata"
	case c.From == c.To:
		return c.From.Name + " with other lengths in its listpacks"
	}
	return fmt.Sprintf("%s to %s", c.From.Name, c.To.Name)
}
