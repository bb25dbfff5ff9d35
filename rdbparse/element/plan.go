package element

import (
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// A ServerVersion is what decides which types a server knows.
type ServerVersion struct {
	Valkey  bool
	Version int // major*100 + minor
}

// String returns the family and the version.
func (s ServerVersion) String() string {
	family := "Redis"
	if s.Valkey {
		family = "Valkey"
	}
	return fmt.Sprintf("%s %d.%d", family, s.Version/100, s.Version%100)
}

// knows reports whether RESTORE of the server takes values of type t.
func (s ServerVersion) knows(t *rdbparse.TypeInfo) bool {
	first := t.Redis
	if s.Valkey {
		first = t.Valkey
	}
	return first != 0 && s.Version >= int(first)
}

// A Verb says what is done with a value.
type Verb uint8

// The verbs.
const (
	AsIs    Verb = iota // send the bytes as they stand
	Rewrite             // send what Convert makes of them
	Refuse              // the server cannot hold such a value
)

// An Action is what to do with the values of a type for a server.
type Action struct {
	Verb Verb
	To   rdbparse.Type // for Rewrite
	// FieldExpiry tells that the expiry of hash fields is lost in the rewriting:
	// Convert refuses a hash that has one to come, unless Options.DropFieldExpiry is
	// set.
	FieldExpiry bool
	// Back is for Options: the back lengths that the listpacks of a stream must
	// get; 0 to leave them.
	Back   BackLengths
	Reason string // for Refuse
	// InPieces tells of Refuse that the elements can be written by commands.
	InPieces bool
}

// A conversion is a row of the table of what a type can be rewritten to, the best
// first.
type conversion struct {
	from rdbparse.Type
	to   []rdbparse.Type
}

// Every type of a stream can be cut down to any older one, and every type of
// another collection can be written in the plain one, which all servers read.
// Hashes whose fields expire are rewritten between the encodings of Redis and
// Valkey byte for byte exactly, so no commands are needed for them.
var conversions = []conversion{
	{rdbparse.TypeZSet2, []rdbparse.Type{rdbparse.TypeZSet}},
	{rdbparse.TypeListZiplist, []rdbparse.Type{rdbparse.TypeList}},
	{rdbparse.TypeListQuicklist, []rdbparse.Type{rdbparse.TypeList}},
	{rdbparse.TypeListQuicklist2, []rdbparse.Type{rdbparse.TypeList}},
	{rdbparse.TypeSetIntset, []rdbparse.Type{rdbparse.TypeSet}},
	{rdbparse.TypeSetListpack, []rdbparse.Type{rdbparse.TypeSet}},
	{rdbparse.TypeZSetZiplist, []rdbparse.Type{rdbparse.TypeZSet}},
	{rdbparse.TypeZSetListpack, []rdbparse.Type{rdbparse.TypeZSet2, rdbparse.TypeZSet}},
	{rdbparse.TypeHashZipmap, []rdbparse.Type{rdbparse.TypeHash}},
	{rdbparse.TypeHashZiplist, []rdbparse.Type{rdbparse.TypeHash}},
	{rdbparse.TypeHashListpack, []rdbparse.Type{rdbparse.TypeHash}},

	{rdbparse.TypeHashMetadataPreGA, []rdbparse.Type{rdbparse.TypeHash2, rdbparse.TypeHash}},
	{rdbparse.TypeHashListpackExPreGA, []rdbparse.Type{rdbparse.TypeHashMetadata, rdbparse.TypeHash2, rdbparse.TypeHash}},
	{rdbparse.TypeHashMetadata, []rdbparse.Type{rdbparse.TypeHash2, rdbparse.TypeHash}},
	{rdbparse.TypeHashListpackEx, []rdbparse.Type{rdbparse.TypeHashMetadata, rdbparse.TypeHash2, rdbparse.TypeHash}},
	{rdbparse.TypeHash2, []rdbparse.Type{rdbparse.TypeHashMetadata, rdbparse.TypeHash}},

	{rdbparse.TypeStreamListpacks2, []rdbparse.Type{rdbparse.TypeStreamListpacks}},
	{rdbparse.TypeStreamListpacks3, []rdbparse.Type{rdbparse.TypeStreamListpacks2, rdbparse.TypeStreamListpacks}},
	{rdbparse.TypeStreamListpacks4, []rdbparse.Type{rdbparse.TypeStreamListpacks3, rdbparse.TypeStreamListpacks2, rdbparse.TypeStreamListpacks}},
	{rdbparse.TypeStreamListpacks5, []rdbparse.Type{rdbparse.TypeStreamListpacks4, rdbparse.TypeStreamListpacks3, rdbparse.TypeStreamListpacks2, rdbparse.TypeStreamListpacks}},

	{rdbparse.TypeHashTmplLP, []rdbparse.Type{rdbparse.TypeHash}},
	{rdbparse.TypeHashTmplLPRef, []rdbparse.Type{rdbparse.TypeHashTmplLP, rdbparse.TypeHash}},
	{rdbparse.TypeHashTmplArray, []rdbparse.Type{rdbparse.TypeHash}},
	{rdbparse.TypeHashTmplArrayRef, []rdbparse.Type{rdbparse.TypeHashTmplArray, rdbparse.TypeHash}},
}

// targets returns the types that values of type t can be rewritten to.
func targets(t rdbparse.Type) []rdbparse.Type {
	for _, row := range conversions {
		if row.from == t {
			return row.to
		}
	}
	return nil
}

// Plan decides what is done with values of type t for a server: sent as they are
// if it knows the type, else rewritten to the closest type that it knows. A few
// values need more than their type tells: PlanValue finds them.
func Plan(t *rdbparse.TypeInfo, s ServerVersion) Action {
	if t == nil {
		return Action{Verb: Refuse, Reason: "unknown type"}
	}
	if s.knows(t) {
		return Action{Verb: AsIs, To: t.Type}
	}
	return rewriting(t.Type, s, func(rdbparse.Type) bool { return true })
}

// rewriting returns the first rewriting to a type that the server knows and good
// accepts.
func rewriting(t rdbparse.Type, s ServerVersion, good func(rdbparse.Type) bool) Action {
	for _, to := range targets(t) {
		if s.knows(to.Info()) && good(to) {
			return Action{Verb: Rewrite, To: to, FieldExpiry: hasFieldExpiry(t) && !hasFieldExpiry(to)}
		}
	}
	return Action{Verb: Refuse, Reason: fmt.Sprintf("%s has no encoding for %v", s, t)}
}

// PlanValue decides what is done with one value. It does what Plan does, and
// looks for elements whose back length the server would misread (BackLengths):
// such a value is rewritten to an encoding without listpacks, a stream with back
// lengths of the other kind. want is the kind that the server expects,
// s.BackLengths() unless something better is known; 0 is that several servers do not
// agree, and refuses such a stream but in pieces, since streams have no other encoding.
func PlanValue(v Value, s ServerVersion, want BackLengths) (Action, error) {
	plan := Plan(v.Type, s)
	if plan.Verb == Refuse || !HasListpack(plan.To) {
		return plan, nil
	}
	found, err := FindBackLengths(v)
	switch {
	case err != nil || found&^want == 0:
		return plan, err
	case v.Type.Kind == rdbparse.KindStream && want == 0:
		return Action{Verb: Refuse, InPieces: true, Reason: "not every master would read the listpacks of this stream as they are meant"}, nil
	case v.Type.Kind == rdbparse.KindStream:
		return Action{Verb: Rewrite, To: plan.To, Back: want}, nil
	}
	return rewriting(v.Type.Type, s, func(to rdbparse.Type) bool { return !HasListpack(to) }), nil
}

// hasFieldExpiry reports whether the fields of a hash of type t can expire.
func hasFieldExpiry(t rdbparse.Type) bool {
	switch t {
	case rdbparse.TypeHashMetadataPreGA, rdbparse.TypeHashListpackExPreGA, rdbparse.TypeHashMetadata,
		rdbparse.TypeHashListpackEx, rdbparse.TypeHash2:
		return true
	}
	return false
}
