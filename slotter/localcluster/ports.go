package localcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	// A node's cluster bus listens on its port + busOffset. Both lie below Linux's ephemeral ports (32768 and up), which any outgoing
	// connection may occupy at any time.
	busOffset = 10000
	firstPort = 11000
	lastPort  = 22499
)

// freePort returns a port for which it and its bus port are free on host now. Another process may still take it before the server does:
// whoever starts a server must be ready to try another one.
func freePort(host string) (int, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if canListen(host, port) && canListen(host, port+busOffset) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d on %s", firstPort, lastPort, host)
}

func canListen(host string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
