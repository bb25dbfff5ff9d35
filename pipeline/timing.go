package pipeline

import (
	"slices"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// AppendCommand appends to dst the command that an import sends for the key e to
// an empty target of Redis 5.0 or newer that knows the value's type, and returns
// the longer slice. It is for measuring what that costs: an import renders into
// the batches of its lanes. It allocates only if dst is too small.
func AppendCommand(dst []byte, e *rdbparse.Entry) []byte {
	ttl := int64(0)
	if e.Expires {
		ttl = max(ttl, e.ExpireAt) // one that has passed may be negative
	}
	f := form{dialect: dialect{absolute: true}}
	dst = slices.Grow(dst, f.room(e))
	n := len(dst)
	return dst[:n+f.putRestore(dst[n:cap(dst)], e, ttl)]
}

// SentAsIs returns what reports whether the import sends a key as it stands in
// the dump: unless it has expired. Other keys are converted, refused or left out.
// It is for knowing what another program may send in the place of the import; for
// most keys it does more than the import does. It may be called after Close, and
// does not keep im in memory.
func (im *Importer) SentAsIs() func(e *rdbparse.Entry) bool {
	t, modules := im.target, im.opts.AllowModules
	return func(e *rdbparse.Entry) bool { return t.takesAsIs(e, modules) }
}

func (t *target) takesAsIs(e *rdbparse.Entry, modules bool) bool {
	size := len(e.Key) + rdbparse.PayloadSize(e) + restoreOverhead
	switch {
	case e.Big || size > t.maxCommand, e.Meta != nil && !t.keyMeta, holdsNothing(e):
		return false
	case !t.needsCare(e):
		return true
	case modulesKill(e.Type, t.version, modules):
		return false
	}
	v := element.Value{Type: e.Type, Raw: e.Value, Fields: e.Fields}
	plan, err := t.plan(v, new(element.Checker))
	return err == nil && plan.Verb == element.AsIs
}
