package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// A Group is a proxy for each of several servers.
type Group struct {
	proxies []*Proxy
	byAddr  map[string]string
}

// ListenAll starts a proxy for each of the servers.
func ListenAll(backends []string, seed uint64) (*Group, error) {
	g := &Group{byAddr: make(map[string]string)}
	for i, addr := range backends {
		p, err := Listen(addr, seed+uint64(i)<<32)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.proxies = append(g.proxies, p)
		g.byAddr[addr] = p.Addr()
	}
	return g, nil
}

// AddrMap returns the proxy's address by that of each server.
func (g *Group) AddrMap() map[string]string { return g.byAddr }

// URL names all proxies as one target.
func (g *Group) URL() string {
	addrs := make([]string, len(g.proxies))
	for i, p := range g.proxies {
		addrs[i] = p.Addr()
	}
	return "redis://" + strings.Join(addrs, ",")
}

// For returns the proxy of a server.
func (g *Group) For(backend string) *Proxy {
	for _, p := range g.proxies {
		if p.backend == backend {
			return p
		}
	}
	panic(fmt.Sprintf("no proxy for %s", backend))
}

// Set makes plan the one of all proxies.
func (g *Group) Set(plan Plan) {
	for _, p := range g.proxies {
		p.Set(plan)
	}
}

// Cut resets all connections that are there, and returns how many that were.
func (g *Group) Cut() int {
	n := 0
	for _, p := range g.proxies {
		n += p.Cut()
	}
	return n
}

// Counts adds up those of the proxies.
func (g *Group) Counts() (made, faulty int) {
	for _, p := range g.proxies {
		m, f := p.Counts()
		made, faulty = made+m, faulty+f
	}
	return made, faulty
}

// Close closes all proxies.
func (g *Group) Close() error {
	var errs []error
	for _, p := range g.proxies {
		if err := p.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
