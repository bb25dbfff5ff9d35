package slotter

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// DefaultDialTimeout is how long a connection, its greeting or a question about the topology may take.
const DefaultDialTimeout = 5 * time.Second

// Options are how to connect. The zero value works for a server without a password.
type Options struct {
	User     string // used when the target has none
	Password string // used when the target has none

	// TLS turns TLS on, as rediss:// does. It is cloned; an empty ServerName means each server's certificate must be for the host it
	// is reached by.
	TLS *tls.Config

	DialTimeout time.Duration // DefaultDialTimeout when 0
	ClientName  string        // for CLIENT LIST; a server that refuses it is used all the same

	// AddrMap translates what the cluster announces into what can be reached from here (NAT, containers): host:port to host:port, or
	// host to host with the port kept.
	AddrMap map[string]string
}

// Cluster is a cluster or a standalone server, and the credentials for it. It may be used from several goroutines.
type Cluster struct {
	target     Target
	d          *dialer
	standalone bool
	several    bool   // databases
	seed       Server // the node that answered Connect

	mu      sync.Mutex
	newest  *Map
	clients map[clientKey]*redis.Client
	closed  bool
}

type clientKey struct {
	addr string
	db   int
}

// silence keeps go-redis, which logs to standard error, quiet: everything it would say is in an error too.
var silence = sync.OnceFunc(logging.Disable)

// Connect finds out what stands behind target: it asks one seed after another until one answers, whether it is a cluster or a standalone
// server, and which of which version. A cluster with slots that nobody owns is no error here: see Map.Missing.
//
// The error matches what each seed had wrong: ErrUnreachable, ErrTLS, ErrNotRedis, ErrAuth, ErrNoPermission, ErrLoading, ErrReplica
// (standalone only; a replica of a cluster is as good a seed as any), ErrClusterDown, ErrDatabase. ErrOtherCluster is that of seeds which
// do not belong together.
func Connect(ctx context.Context, target Target, opt Options) (*Cluster, error) {
	silence()
	d, err := newDialer(target, opt)
	if err != nil {
		return nil, err
	}
	c := &Cluster{target: target, d: d, clients: make(map[clientKey]*redis.Client)}
	var failed seedErrors
	for i, addr := range target.Seeds {
		from := time.Now()
		err := c.try(ctx, addr)
		if err == nil {
			if err := c.checkSeeds(ctx, target.Seeds[i+1:], time.Since(from)); err != nil {
				return nil, err
			}
			return c, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	switch len(failed) {
	case 0:
		return nil, errors.New("target names no server")
	case 1:
		return nil, failed[0]
	}
	return nil, failed
}

// newDialer fills in the defaults of opt.
func newDialer(target Target, opt Options) (*dialer, error) {
	if opt.DialTimeout <= 0 {
		opt.DialTimeout = DefaultDialTimeout
	}
	if target.User != "" {
		opt.User = target.User
	}
	if target.Password != "" {
		opt.Password = target.Password
	}
	for from, to := range opt.AddrMap {
		if _, _, err := net.SplitHostPort(from); err != nil {
			continue // a host: what it becomes is a host too
		}
		if _, _, err := net.SplitHostPort(to); err != nil {
			return nil, fmt.Errorf("address map: %q becomes %q, which is not host:port", from, to)
		}
	}
	d := &dialer{opt: opt}
	switch {
	case opt.TLS != nil:
		d.tls = opt.TLS.Clone()
	case target.TLS:
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return d, nil
}

// try makes addr the seed of c if it can be.
func (c *Cluster) try(ctx context.Context, addr string) error {
	server, err := c.server(ctx, addr)
	if err != nil {
		return err
	}
	var m *Map
	if server.Cluster {
		if m, err = c.askMap(ctx, addr); err == nil {
			err = cmp.Or(c.checkMapped(addr, m), c.checkState(ctx, addr, m))
		}
	} else {
		m = SingleMap(Master{ID: server.RunID, Addr: addr})
		err = checkStandalone(server)
	}
	// A cluster's nodes answer about the topology while one of them is loading.
	if server.Loading && (err != nil || !server.Cluster) {
		return &NodeError{Addr: addr, Kind: ErrLoading, Msg: fmt.Sprintf("it thinks for another %d s", server.LoadingETA)}
	}
	if err != nil {
		return err
	}
	if err := c.checkDB(ctx, addr); err != nil {
		return err
	}
	c.seed, c.standalone, c.newest = server, !server.Cluster, m
	c.several = c.standalone || c.selects(ctx, server)
	return nil
}

// selects reports whether a node of a cluster has several databases that the user may use, as those of Valkey can from version 9 on.
func (c *Cluster) selects(ctx context.Context, s Server) bool {
	if s.Family != Valkey || !s.Version.AtLeast(9, 0) {
		return false
	}
	conn, err := c.d.handOver(ctx, s.Addr, 1)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}

// checkStandalone refuses a server that takes no writes.
func checkStandalone(s Server) error {
	if s.Role == "slave" {
		return &NodeError{Addr: s.Addr, Kind: ErrReplica, Msg: "writes go to its master, " + s.MasterAddr}
	}
	return nil
}

// checkMapped refuses an address map that leads two masters of m, as addr knows them, to one address.
func (c *Cluster) checkMapped(addr string, m *Map) error {
	seen := make(map[string]string)
	for _, n := range m.Masters {
		if other, twice := seen[n.Addr]; twice && len(c.d.opt.AddrMap) > 0 {
			return &NodeError{Addr: addr, Msg: fmt.Sprintf("the address map leads two masters to %s: the nodes %s and %s", n.Addr, other, n.ID)}
		}
		seen[n.Addr] = n.ID
	}
	return nil
}

// checkState returns ErrClusterDown if every slot has an owner and yet neither addr nor any master says that the cluster works. A server
// that does not tell (an ACL, an emulated cluster) is believed to work.
func (c *Cluster) checkState(ctx context.Context, addr string, m *Map) error {
	if len(m.Missing()) > 0 {
		return nil // the caller has something better to say
	}
	for _, a := range append([]string{addr}, m.addrs()...) {
		info, err := c.clusterInfo(ctx, a)
		state := info["cluster_state"]
		if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrLoading) {
			continue
		}
		if err != nil || state == "ok" || state == "" {
			return nil
		}
	}
	return &NodeError{Addr: addr, Kind: ErrClusterDown, Msg: "cluster_state is not ok on any node"}
}

func (c *Cluster) clusterInfo(ctx context.Context, addr string) (map[string]string, error) {
	var text string
	err := c.d.query(ctx, addr, "CLUSTER INFO", func(ctx context.Context, client *redis.Client) (err error) {
		text, err = client.ClusterInfo(ctx).Result()
		return err
	})
	return parseInfo(text), err
}

// checkDB makes sure that the target's database exists.
func (c *Cluster) checkDB(ctx context.Context, addr string) error {
	if c.target.DB == 0 {
		return nil
	}
	conn, err := c.d.handOver(ctx, addr, c.target.DB)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Standalone reports whether the target is one server without cluster mode.
func (c *Cluster) Standalone() bool { return c.standalone }

// SeveralDatabases reports whether the target has more than one database: a standalone server does, and a cluster of Valkey 9 or newer
// whose setting cluster-databases says so.
func (c *Cluster) SeveralDatabases() bool { return c.several }

// Target returns what Connect was given.
func (c *Cluster) Target() Target { return c.target }

// Seed returns what the node that answered Connect said about itself then.
func (c *Cluster) Seed() Server { return c.seed }

// Server asks the node at addr about itself, on a fresh connection.
func (c *Cluster) Server(ctx context.Context, addr string) (Server, error) {
	if err := c.open(); err != nil {
		return Server{}, err
	}
	return c.server(ctx, addr)
}

func (c *Cluster) server(ctx context.Context, addr string) (Server, error) {
	var text string
	err := c.d.query(ctx, addr, "INFO", func(ctx context.Context, client *redis.Client) (err error) {
		text, err = client.Info(ctx).Result()
		return err
	})
	if err != nil {
		return Server{}, err
	}
	info := parseInfo(text)
	if info["redis_mode"] == "sentinel" {
		return Server{}, &NodeError{Addr: addr, Kind: ErrNotRedis, Msg: "it is a Sentinel, which holds no data; its command SENTINEL MASTERS names the address to give"}
	}
	return parseServer(addr, info), nil
}

// Info returns the fields of one section of INFO of the node at addr, or of the default sections for "". The cluster's own INFO
// (cluster_state and so on) is the section "cluster_info".
func (c *Cluster) Info(ctx context.Context, addr, section string) (map[string]string, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	var cmd *redis.StringCmd
	switch client := c.Client(addr); section {
	case "":
		cmd = client.Info(ctx)
	case "cluster_info":
		cmd = client.ClusterInfo(ctx)
	default:
		cmd = client.Info(ctx, section)
	}
	if err := cmd.Err(); err != nil {
		return nil, refusedCommand("INFO", c.d.nodeError(ctx, addr, err))
	}
	return parseInfo(cmd.Val()), nil
}

// IdlePassword reports whether a password is given for the default user, and the seed lets everybody in without one.
func (c *Cluster) IdlePassword(ctx context.Context) bool {
	if c.d.opt.Password == "" || c.d.opt.User != "" {
		return false
	}
	without := *c.d
	without.opt.Password = ""
	conn, err := without.handOver(ctx, c.seed.Addr, 0)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}

// Time returns the clock of the node at addr.
func (c *Cluster) Time(ctx context.Context, addr string) (time.Time, error) {
	if err := c.open(); err != nil {
		return time.Time{}, err
	}
	now, err := c.Client(addr).Time(ctx).Result()
	return now, refusedCommand("TIME", c.d.nodeError(ctx, addr, err))
}

// Dial opens a connection to the node at addr, greeted and with db selected, and hands it over raw: nothing else reads or writes it, it
// has no deadline, and the next byte from the server belongs to the caller's first command. It is a *net.TCPConn, or a *tls.Conn. The
// caller closes it; Close of the Cluster does not.
func (c *Cluster) Dial(ctx context.Context, addr string, db int) (net.Conn, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	return c.d.handOver(ctx, addr, db)
}

// Client returns the go-redis client for the node at addr and the target's database. There is one for each node; Close closes it.
// Its commands are not retried, and each ends after the dial timeout.
func (c *Cluster) Client(addr string) *redis.Client { return c.ClientDB(addr, c.target.DB) }

// ClientDB is Client for another database than the target's.
func (c *Cluster) ClientDB(addr string, db int) *redis.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := clientKey{addr, db}
	if client := c.clients[key]; client != nil {
		return client
	}
	opt := c.d.options(addr, db)
	opt.PoolSize = 4
	opt.Dialer = func(ctx context.Context, _, addr string) (net.Conn, error) { return c.d.connect(ctx, addr) }
	client := redis.NewClient(opt)
	if c.closed {
		_ = client.Close() // its commands say that it is closed
		return client
	}
	c.clients[key] = client
	return client
}

// open returns ErrClosed after Close.
func (c *Cluster) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return nil
}

// Close closes the clients. Connections from Dial live on. A second call does nothing.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	for _, client := range c.clients {
		errs = append(errs, client.Close())
	}
	c.clients = nil
	return errors.Join(errs...)
}
