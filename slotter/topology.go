package slotter

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Map asks the cluster for its slot map now. See MapFrom.
func (c *Cluster) Map(ctx context.Context) (*Map, error) { return c.MapFrom(ctx) }

// MapFrom asks the cluster for its slot map, but none of the nodes at the addresses in exclude. A node that was stalled or is cut off
// has an old view and does not know, so a few nodes are asked first which epoch of the cluster they have seen: each takeover begins a
// new one. Then the nodes are asked for the map, that of the latest epoch first, behind these those of the newest map, masters before
// replicas, and the seeds; the first answer in which any slot has an owner counts. A standalone server's map never changes.
func (c *Cluster) MapFrom(ctx context.Context, exclude ...string) (*Map, error) {
	c.mu.Lock()
	newest, closed := c.newest, c.closed
	c.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if c.standalone {
		return newest, nil
	}
	var failed seedErrors
	var empty *Map
	var nodes []string
	for _, addr := range append(newest.addrs(), c.target.Seeds...) {
		if !slices.Contains(nodes, addr) && !slices.Contains(exclude, addr) {
			nodes = append(nodes, addr)
		}
	}
	for _, addr := range c.latestFirst(ctx, nodes) {
		m, err := c.askMap(ctx, addr)
		switch {
		case err == nil && len(m.Masters) > 0:
			c.remember(m)
			return m, nil
		case err == nil: // a node that was just reset knows nobody
			empty = m
		case ctx.Err() != nil:
			return nil, err
		default:
			failed = append(failed, err)
		}
	}
	switch {
	case empty != nil:
		c.remember(empty)
		return empty, nil
	case len(failed) == 0:
		return nil, fmt.Errorf("no other node to ask for the slot map: %w", ErrUnreachable)
	}
	return nil, fmt.Errorf("slot map: %w", failed)
}

// viewers is how many nodes are asked for the epoch. Whoever is cut off is so with few others.
const viewers = 5

// latestFirst returns nodes with some of them put before the others, those that have seen the latest epoch first. More than half of the
// viewers have to answer; the others may be dead, and are not waited for.
func (c *Cluster) latestFirst(ctx context.Context, nodes []string) []string {
	type view struct {
		addr  string
		epoch int64
		err   error
	}
	n := min(len(nodes), viewers)
	if n < 2 {
		return nodes
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan view, n)
	for i := range n {
		go func() {
			v := view{addr: nodes[i*len(nodes)/n]}
			v.epoch, v.err = c.epoch(ctx, v.addr)
			answers <- v
		}()
	}
	var views []view
	for range n {
		if v := <-answers; v.err == nil {
			views = append(views, v)
		}
		if len(views) > n/2 {
			break
		}
	}
	slices.SortStableFunc(views, func(a, b view) int { return cmp.Compare(b.epoch, a.epoch) })
	ordered := make([]string, 0, len(nodes))
	for _, v := range views {
		ordered = append(ordered, v.addr)
	}
	first := ordered
	for _, addr := range nodes {
		if !slices.Contains(first, addr) {
			ordered = append(ordered, addr)
		}
	}
	return ordered
}

// epoch returns the latest epoch that the node at addr has seen, 0 if it does not tell.
func (c *Cluster) epoch(ctx context.Context, addr string) (int64, error) {
	info, err := c.clusterInfo(ctx, addr)
	epoch, _ := strconv.ParseInt(info["cluster_current_epoch"], 10, 64)
	return epoch, err
}

func (c *Cluster) remember(m *Map) {
	c.mu.Lock()
	c.newest = m
	c.mu.Unlock()
}

// Resolve turns an address announced by the node at asked (in a MOVED or ASK reply) into the one to connect to: without a host it is
// asked's host, and the address map applies. Servers write IPv6 addresses there without brackets. What is no host:port comes back as
// it is.
func (c *Cluster) Resolve(announced, asked string) string {
	host, port, err := net.SplitHostPort(announced)
	if err != nil {
		i := strings.LastIndexByte(announced, ':')
		if i < 0 || net.ParseIP(announced[:i]) == nil {
			return announced
		}
		host, port = announced[:i], announced[i+1:]
	}
	return c.d.reach(host, port, asked)
}

// reach is the address of host:port as announced by the node at asked.
func (d *dialer) reach(host, port, asked string) string {
	if host == "" {
		host, _, _ = net.SplitHostPort(asked) // is one to connect to already: no mapping
		return net.JoinHostPort(host, port)
	}
	addr := net.JoinHostPort(host, port)
	if to, ok := d.opt.AddrMap[addr]; ok {
		return to
	}
	if to, ok := d.opt.AddrMap[host]; ok {
		return net.JoinHostPort(to, port)
	}
	return addr
}

// View returns the slot map as the node at addr sees it.
func (c *Cluster) View(ctx context.Context, addr string) (*Map, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	return c.askMap(ctx, addr)
}

// Nodes returns the answer of the node at addr to CLUSTER NODES.
func (c *Cluster) Nodes(ctx context.Context, addr string) (text string, err error) {
	if err := c.open(); err != nil {
		return "", err
	}
	err = c.d.query(ctx, addr, "CLUSTER NODES", func(ctx context.Context, client *redis.Client) (err error) {
		text, err = client.ClusterNodes(ctx).Result()
		return err
	})
	return text, err
}

// askMap asks the node at addr for CLUSTER SLOTS. go-redis's own reader of that reply fails on a nil host, hence Do.
func (c *Cluster) askMap(ctx context.Context, addr string) (*Map, error) {
	var reply any
	err := c.d.query(ctx, addr, "CLUSTER SLOTS", func(ctx context.Context, client *redis.Client) (err error) {
		reply, err = client.Do(ctx, "CLUSTER", "SLOTS").Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	m, err := c.d.parseSlots(reply, addr)
	if err != nil {
		return nil, &NodeError{Addr: addr, Msg: "reply to CLUSTER SLOTS: " + err.Error(), Err: err}
	}
	return m, nil
}

// slotsEntry is one entry of CLUSTER SLOTS.
type slotsEntry struct {
	slots Range
	nodes []Replica // the master first
}

// parseSlots builds a map from the reply to CLUSTER SLOTS of the node at asked: [[first, last, master, replica...]...], where a node is
// [host, port, id, metadata].
func (d *dialer) parseSlots(reply any, asked string) (*Map, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("not an array")
	}
	if len(list) > Slots {
		return nil, fmt.Errorf("%d ranges", len(list))
	}
	entries := make([]slotsEntry, 0, len(list))
	for _, item := range list {
		e, err := d.parseEntry(item, asked)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b slotsEntry) int { return cmp.Compare(a.slots.First, b.slots.First) })

	var masters []Master
	var owned [][]Range
	index := make(map[string]int)
	for _, e := range entries {
		n := e.nodes[0]
		i, seen := index[n.ID]
		if !seen {
			i = len(masters)
			index[n.ID] = i
			masters = append(masters, Master{ID: n.ID, Addr: n.Addr, Replicas: e.nodes[1:]})
			owned = append(owned, nil)
		}
		owned[i] = append(owned[i], e.slots)
	}
	return NewMap(masters, owned)
}

func (d *dialer) parseEntry(item any, asked string) (e slotsEntry, err error) {
	f, ok := item.([]any)
	if !ok || len(f) < 3 {
		return e, fmt.Errorf("a range without a master")
	}
	first, ok1 := f[0].(int64)
	last, ok2 := f[1].(int64)
	if !ok1 || !ok2 || first < 0 || last < first || last >= Slots {
		return e, fmt.Errorf("bad range %v-%v", f[0], f[1])
	}
	e.slots = Range{uint16(first), uint16(last)}
	for i, raw := range f[2:] {
		n, err := d.parseNode(raw, asked)
		if err != nil && i == 0 {
			return e, fmt.Errorf("master of %s: %w", e.slots, err)
		}
		if err == nil { // a replica that cannot be reached is no obstacle
			e.nodes = append(e.nodes, n)
		}
	}
	return e, nil
}

// parseNode reads [host, port, id, metadata]. No host (nil, or "" before the node knows its own address) means the host that was asked;
// "?" means that the node was told to announce its host name and has none, in which case the metadata may hold its IP.
func (d *dialer) parseNode(raw any, asked string) (n Replica, err error) {
	f, ok := raw.([]any)
	if !ok || len(f) < 2 {
		return n, fmt.Errorf("not an array of host and port")
	}
	host, _ := f[0].(string)
	if host == "?" {
		if host = metadata(f, "ip"); host == "" {
			return n, fmt.Errorf("its host name is not known (cluster-announce-hostname is not set on it)")
		}
	}
	port, ok := f[1].(int64)
	if !ok || port < 1 || port > 65535 {
		return n, fmt.Errorf("bad port %v", f[1])
	}
	n.Addr = d.reach(host, strconv.FormatInt(port, 10), asked)
	if len(f) > 2 {
		n.ID, _ = f[2].(string)
	}
	if n.ID == "" {
		n.ID = n.Addr
	}
	return n, nil
}

// metadata returns the value of name in the fourth field of a node, a flat list of names and values.
func metadata(node []any, name string) string {
	if len(node) < 4 {
		return ""
	}
	list, _ := node[3].([]any)
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			value, _ := list[i+1].(string)
			return value
		}
	}
	return ""
}
