package pipeline

import (
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
)

// A DamagedError says that a value does not fit its own encoding.
type DamagedError struct {
	Key    []byte
	Type   *rdbparse.TypeInfo
	Offset int64 // of the key's record in the dump
	Err    error
}

// Error describes the damage in one line.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("offset %d: value of key %q, %v: %v", e.Offset, e.Key, e.Type.Type, e.Err)
}

// Unwrap returns the reason.
func (e *DamagedError) Unwrap() error { return e.Err }

// care says, for each type, whether its values need more than their bytes sent:
// because the target does not know the type, since it holds listpacks, whose
// elements of certain lengths not every server reads alike, or since a damaged one
// would end the server.
type care [3 << 8]careful

type careful uint8

const (
	careNone       careful = iota
	careCompressed         // if the string that is the value is compressed
	careLarge              // if the listpack that is the value is large
	careNested             // if a listpack in the value is large
	careAlways
)

// Bounds from which on a value may hold an element of which the servers disagree,
// in bytes: of a value, and of one of which parts may be compressed. LZF makes 3
// bytes of 264 at best.
const (
	largeValue      = 16 << 10
	largeCompressed = largeValue * 3 / 264
)

// serverVersion returns what decides which types a server knows.
func serverVersion(s slotter.Server) element.ServerVersion {
	if s.Family == slotter.Valkey {
		return element.ServerVersion{Valkey: true, Version: s.Version[0]*100 + s.Version[1]}
	}
	return element.ServerVersion{Version: level(s)}
}

// commonBackLengths returns the back lengths that all of the servers expect, 0 if they
// do not agree.
func commonBackLengths(servers []slotter.Server) element.BackLengths {
	common := serverVersion(servers[0]).BackLengths()
	for _, s := range servers[1:] {
		common &= serverVersion(s).BackLengths()
	}
	return common
}

// makeCare derives the table from the target's version.
func makeCare(s element.ServerVersion, allowModules bool) *care {
	var c care
	for _, t := range rdbparse.Types() {
		info := t.Type.Info()
		switch {
		case element.Plan(info, s).Verb != element.AsIs:
			c[t.Type] = careAlways
		case modulesKill(info, s, allowModules):
			c[t.Type] = careAlways
		case killsServer(s) && t.Kind == rdbparse.KindString:
			c[t.Type] = careCompressed
		case killsServer(s) && element.CanOpen(info):
			c[t.Type] = careAlways
		case !element.HasListpack(t.Type):
		case t.Type == rdbparse.TypeHashListpack || t.Type == rdbparse.TypeZSetListpack || t.Type == rdbparse.TypeSetListpack:
			c[t.Type] = careLarge
		default:
			c[t.Type] = careNested
		}
	}
	return &c
}

// killsServer reports whether a server exits on a value that it cannot load, as
// Redis does up to 6.0.
func killsServer(s element.ServerVersion) bool { return !s.Valkey && s.Version < 602 }

// modulesKill reports whether a server may exit on values of a type because they are of a
// module that it has not loaded, and the user does not allow them all the same.
func modulesKill(t *rdbparse.TypeInfo, s element.ServerVersion, allowed bool) bool {
	return t.Type == rdbparse.TypeModule2 && killsServer(s) && !allowed
}

// wouldExit is why such a value is refused.
func (t *target) wouldExit() string {
	return fmt.Sprintf("%s would exit if the module is not loaded (--allow-modules sends it)", t.oldest)
}

// needsCare reports whether e cannot be sent without a closer look. It is small, so
// that it is part of its caller: most entries need no more of it than this.
func (t *target) needsCare(e *rdbparse.Entry) bool {
	return (e.Meta != nil || t.care[e.Type.Type] != careNone) && t.needsCareNow(e)
}

// needsCareNow is needsCare for an entry that may.
func (t *target) needsCareNow(e *rdbparse.Entry) bool {
	if e.Meta != nil && !t.keyMeta {
		return true
	}
	switch t.care[e.Type.Type] {
	case careNone:
		return false
	case careCompressed:
		return isCompressed(e)
	case careLarge:
		return (isCompressed(e) || len(e.Value) >= largeValue) && hasLargeListpack(e)
	case careNested:
		return len(e.Value) >= largeCompressed && hasLargeListpack(e)
	}
	return true
}

// isCompressed reports whether a value that is one string stands there compressed.
func isCompressed(e *rdbparse.Entry) bool { return len(e.Value) > 0 && e.Value[0] == lzfString }

// lzfString begins a string that is compressed.
const lzfString = 0xc3

func hasLargeListpack(e *rdbparse.Entry) bool {
	return element.HasLargeListpack(element.Value{Type: e.Type, Raw: e.Value})
}

// maxKept is the most bytes of a buffer that are kept for the next value.
const maxKept = 1 << 20

// errInPieces says that a value arrives only if it is written in pieces.
var errInPieces = errors.New("the value has to be written in pieces")

// inPieces writes a value in pieces that is held.
func (f *Feeder) inPieces(e *rdbparse.Entry) error {
	f.flush() // nothing waits for this one
	return f.bring(rdbparse.BigOf(e, carrierBuffer))
}

// convert makes of e an entry that the target can read. It returns nil if there
// is none: e is then counted, unless the error is errInPieces.
func (f *Feeder) convert(e *rdbparse.Entry) (*rdbparse.Entry, error) {
	im := f.im
	if modulesKill(e.Type, im.target.version, im.opts.AllowModules) {
		f.refuse(e, "module type "+rdbparse.ModuleName(e.Value)+": "+im.target.wouldExit())
		return nil, nil
	}
	f.converted = *e
	out := &f.converted
	if !im.target.keyMeta {
		out.Meta = nil
	}
	if cap(f.convertBuf) > maxKept {
		f.convertBuf = nil
	}
	if f.checker == nil {
		f.checker = new(element.Checker)
	}
	v := element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields}
	plan, err := im.target.plan(v, f.checker)
	if err == nil && plan.Verb == element.Rewrite {
		f.convertBuf, err = element.Convert(f.convertBuf[:0], v, plan.To, element.Options{
			DropFieldExpiry: im.opts.DropFieldTTL, Now: im.clock.now.Load(), Back: plan.Back,
		})
	}
	switch {
	case err != nil:
		return nil, f.notConverted(e, plan, err)
	case plan.Verb == element.Refuse:
		if plan.InPieces {
			return nil, errInPieces
		}
		f.refuse(e, plan.Reason)
		return nil, nil
	case plan.Verb == element.Rewrite:
		out.Type, out.Value = plan.To.Info(), f.convertBuf
	}
	return out, nil
}

// plan decides what is done with a value, and says what is wrong with it where the
// target would exit on that. Such a target also takes a node without items into a
// list, and exits when it moves one from there: newer ones leave it out.
func (t *target) plan(v element.Value, c *element.Checker) (element.Action, error) {
	plan, err := element.PlanValue(v, t.version, t.backs)
	if err != nil || plan.Verb == element.Refuse || !killsServer(t.version) {
		return plan, err
	}
	err = c.Check(v)
	if plan.Verb == element.AsIs && c.EmptyNode() {
		plan = element.Action{Verb: element.Rewrite, To: rdbparse.TypeList}
	}
	return plan, err
}

// notConverted counts a value that could not be rewritten as planned, or returns
// the error that stops the import.
func (f *Feeder) notConverted(e *rdbparse.Entry, plan element.Action, err error) error {
	switch {
	case errors.Is(err, element.ErrEmpty):
		if plan.FieldExpiry && !isEmpty(element.Value{Type: e.Type, Raw: e.Value}) {
			f.counts.expired++ // with all of its fields
		} else {
			f.counts.filtered++
		}
	case errors.Is(err, element.ErrFieldExpiry) && plan.FieldExpiry:
		f.refuse(e, fmt.Sprintf("its fields expire, and %s cannot keep that (--drop-field-ttl keeps the fields for ever)", f.im.target.oldest))
	case errors.Is(err, element.ErrFieldExpiry):
		f.refuse(e, f.im.target.tooLate())
	case errors.Is(err, element.ErrDamaged):
		return f.damaged(e, err)
	default:
		f.refuse(e, err.Error())
	}
	return nil
}

// damaged counts a value that does not fit its own encoding, or returns the
// error that stops the import.
func (f *Feeder) damaged(e *rdbparse.Entry, err error) error {
	damage := &DamagedError{Key: append([]byte(nil), e.Key...), Type: e.Type, Offset: e.Offset, Err: err}
	f.refuse(e, DamagedReason+e.Type.Type.String())
	if f.im.opts.SkipDamaged {
		return nil
	}
	return damage
}
