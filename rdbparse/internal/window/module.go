package window

import (
	"errors"
	"fmt"
)

// Kinds of the items of a module's value, after rdb.h.
const (
	ModuleEnd    = 0
	ModuleSint   = 1
	ModuleUint   = 2
	ModuleFloat  = 3
	ModuleDouble = 4
	ModuleString = 5
)

// ErrModuleItem is the error of a number that names no kind of module item.
var ErrModuleItem = errors.New("no kind of module item")

// SkipModuleItems moves the cursor over the items of a module, the end item
// included.
func (w *Window) SkipModuleItems() {
	for w.err == nil {
		switch code := w.Len(); code {
		case ModuleEnd:
			return
		case ModuleSint, ModuleUint:
			w.Len()
		case ModuleFloat:
			w.Skip(4)
		case ModuleDouble:
			w.Skip(8)
		case ModuleString:
			w.SkipString()
		default:
			w.Fail(fmt.Errorf("%w: %d", ErrModuleItem, code))
		}
	}
}
