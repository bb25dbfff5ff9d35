package pipeline

import (
	"errors"
	"fmt"
	"sync"
)

// mostNamed is how many addresses redirections may name. It is some times as many as the
// nodes that a cluster can have in practice; each is kept, and gets a lane of its own.
const mostNamed = 4096

// ErrManyNodes says that redirections name ever new addresses.
var ErrManyNodes = errors.New("the nodes name ever new addresses of masters")

// named are the addresses that redirections have named.
type named struct {
	mu    sync.Mutex
	addrs map[string]bool
}

// add notes that the node at by has named addr. An error says that it is one too many.
func (n *named) add(addr, by string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addrs[addr] {
		return nil
	}
	if len(n.addrs) >= mostNamed {
		return fmt.Errorf("%w: %s sends keys on to %s, after %d others", ErrManyNodes, by, addr, len(n.addrs))
	}
	if n.addrs == nil {
		n.addrs = make(map[string]bool)
	}
	n.addrs[addr] = true
	return nil
}
