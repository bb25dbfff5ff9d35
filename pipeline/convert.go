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
// because the target does not know the type, or since it holds listpacks, whose
// elements of certain lengths not every server reads alike.
type care [3 << 8]careful

type careful uint8

const (
	careNone  careful = iota
	careLarge         // if the value is large or compressed
	careAlways
)

// largeValue is the number of bytes from which on a value of type careLarge may
// hold an element of which the servers disagree.
const largeValue = 16 << 10

// serverVersion returns what decides which types a server knows.
func serverVersion(s slotter.Server) element.ServerVersion {
	if s.Family == slotter.Valkey {
		return element.ServerVersion{Valkey: true, Version: s.Version[0]*100 + s.Version[1]}
	}
	return element.ServerVersion{Version: level(s)}
}

// makeCare derives the table from the target's version.
func makeCare(s element.ServerVersion, allowModules bool) *care {
	var c care
	for _, t := range rdbparse.Types() {
		info := t.Type.Info()
		plan := element.Plan(info, s)
		switch {
		case plan.Verb != element.AsIs:
			c[t.Type] = careAlways
		case t.Type == rdbparse.TypeModule2 && killsServer(s) && !allowModules:
			c[t.Type] = careAlways
		case t.Kind != rdbparse.KindString && t.Kind != rdbparse.KindModule && element.CanOpen(info):
			c[t.Type] = careLarge
		}
	}
	return &c
}

// killsServer reports whether a server exits on a value that it cannot load, as
// Redis does up to 6.0.
func killsServer(s element.ServerVersion) bool { return !s.Valkey && s.Version < 602 }

// needsCare reports whether e cannot be sent without a closer look.
func (t *target) needsCare(e *rdbparse.Entry) bool {
	switch t.care[e.Type.Type] {
	case careNone:
		return e.Meta != nil && !t.keyMeta
	case careLarge:
		return len(e.Value) >= largeValue || len(e.Value) > 0 && e.Value[0] >= 0xc0 || e.Meta != nil && !t.keyMeta
	}
	return true
}

// convert makes of e an entry that the target can read. It returns nil if there
// is none: e is then counted.
func (f *Feeder) convert(e *rdbparse.Entry) (*rdbparse.Entry, error) {
	im := f.im
	v := element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields}
	if e.Type.Type == rdbparse.TypeModule2 {
		f.refuse(e, fmt.Sprintf("module type %s: %s would exit if the module is not loaded (--allow-modules sends it)",
			rdbparse.ModuleName(e.Value), im.target.oldest))
		return nil, nil
	}
	f.converted = *e
	out := &f.converted
	if !im.target.keyMeta {
		out.Meta = nil
	}
	plan, err := element.PlanValue(v, im.target.version, im.target.version.BackLengths())
	if err == nil && plan.Verb == element.Refuse {
		f.refuse(e, plan.Reason)
		return nil, nil
	}
	if err == nil && plan.Verb == element.AsIs {
		return out, nil
	}
	if err == nil {
		f.convertBuf, err = element.Convert(f.convertBuf[:0], v, plan.To, element.Options{
			DropFieldExpiry: im.opts.DropFieldTTL, Now: im.clock.now.Load(), Back: plan.Back,
		})
	}
	switch {
	case errors.Is(err, element.ErrEmpty):
		f.counts.filtered++
		return nil, nil
	case errors.Is(err, element.ErrFieldExpiry):
		f.refuse(e, fmt.Sprintf("its fields expire, and %s cannot keep that (--drop-field-ttl keeps the fields for ever)", im.target.oldest))
		return nil, nil
	case errors.Is(err, element.ErrDamaged):
		return nil, f.damaged(e, err)
	case err != nil:
		f.refuse(e, err.Error())
		return nil, nil
	}
	out.Type, out.Value = plan.To.Info(), f.convertBuf
	return out, nil
}

// damaged counts a value that does not fit its own encoding, or returns the
// error that stops the import.
func (f *Feeder) damaged(e *rdbparse.Entry, err error) error {
	damage := &DamagedError{Key: append([]byte(nil), e.Key...), Type: e.Type, Offset: e.Offset, Err: err}
	f.refuse(e, "damaged value of type "+e.Type.Type.String())
	if f.im.opts.SkipDamaged {
		return nil
	}
	return damage
}
