package pipeline

import (
	"errors"
	"fmt"

	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
)

// errLateField says that a field of a hash expires later than HPEXPIREAT of the target
// takes, which is the year 4199 for Redis.
var errLateField = errors.New("a field expires later than HPEXPIREAT takes")

// writeLate writes a hash that has such a field as one RESTORE, which takes times up to
// the year 10889.
func (b *bigValue) writeLate() error {
	h, err := b.measureLate()
	if err != nil {
		return err
	}
	e := *b.e
	e.Type = rdbparse.TypeHashMetadata.Info()
	return b.restore(&e, h.Size(), h.Copy)
}

// measureLate reads such a hash, and refuses one that cannot be sent as a whole.
func (b *bigValue) measureLate() (*element.BigHash, error) {
	h, err := element.MeasureHash(b.v, b.im.held)
	switch {
	case errors.Is(err, element.ErrFieldExpiry):
		return nil, &refusedError{b.im.target.tooLate()}
	case err != nil:
		return nil, &sourceError{err}
	case b.payloadSize(h.Size()) > int64(b.im.target.maxCommand):
		return nil, &refusedError{"fields that expire after the year 4199 take one RESTORE, and " + b.tooLarge()}
	}
	return h, nil
}

// tooLate is why a hash is refused of which a field expires later than the target can
// hold at all.
func (t *target) tooLate() string {
	return fmt.Sprintf("its fields expire later than %s can hold", t.oldest)
}
