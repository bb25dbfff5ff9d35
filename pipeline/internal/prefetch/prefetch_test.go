package prefetch

import (
	"bytes"
	"testing"
	"unsafe"
)

// TestAhead asks for memory that is there, for what lies behind it, and for none:
// nothing may change, and nothing may fault.
func TestAhead(t *testing.T) {
	p := bytes.Repeat([]byte{7}, 64)
	Ahead(unsafe.Pointer(&p[0]), unsafe.Pointer(&p[63]))
	Ahead(nil, nil)
	if !bytes.Equal(p, bytes.Repeat([]byte{7}, 64)) {
		t.Errorf("the bytes have changed: %v", p)
	}
}
