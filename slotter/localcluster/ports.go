package localcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// A node has three ports: its own, one that says it is in use, and that of its cluster bus, at a distance the server has fixed. The ranges
// do not overlap, and all lie below Linux's ephemeral ports (32768 and up), which any outgoing connection may occupy at any time.
const (
	firstPort   = 11000
	ports       = 5000
	claimOffset = ports
	busOffset   = 10000
)

// A claim keeps a port for a node for as long as the node's cluster is up, over restarts as well: a server that is down leaves its port to
// whoever comes, and tests run side by side. It is a listener on a port that no server uses, so it ends with the program that holds it.
type claim struct {
	port   int
	holder net.Listener
}

// claimPort claims a port for which it and its bus port are free on host now. A program that knows nothing of claims may still take it
// before the server does: whoever starts a server must be ready to try another one.
func claimPort(host string) (claim, error) {
	for range 200 {
		port := firstPort + rand.IntN(ports)
		holder, err := listen(host, port+claimOffset)
		if err != nil {
			continue
		}
		if canListen(host, port) && canListen(host, port+busOffset) {
			return claim{port, holder}, nil
		}
		if err := holder.Close(); err != nil {
			return claim{}, err
		}
	}
	return claim{}, fmt.Errorf("no free port between %d and %d on %s", firstPort, firstPort+ports-1, host)
}

// release gives the port to others.
func (c claim) release() error { return c.holder.Close() }

func canListen(host string, port int) bool {
	l, err := listen(host, port)
	return err == nil && l.Close() == nil
}

func listen(host string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}
