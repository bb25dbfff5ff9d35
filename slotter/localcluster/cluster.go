package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/rdbimport/rdbimport/slotter"
)

// startTimeout bounds Start and Wait when their context has no deadline of its own.
const startTimeout = 60 * time.Second

// Cluster is a set of running servers.
type Cluster struct {
	opt     Options
	family  string
	version slotter.Version
	dir     string
	nodes   []*Node

	stopOnce sync.Once
	stopErr  error
}

var silence = sync.OnceFunc(logging.Disable)

// Start starts servers and waits until they are ready: every node knows all others, all slots have an owner, the cluster says ok, the
// replicas are in sync. Masters take about 2 s for that, because a fresh master waits as long before it accepts writes. ctx bounds the
// start only. Whoever starts must call Stop.
func Start(ctx context.Context, opt Options) (*Cluster, error) {
	silence()
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := &Cluster{opt: opt}
	if c.family, c.version, err = version(ctx, opt.Binary); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp(opt.Dir, "rdbimport-servers-"); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// start starts the nodes and joins them.
func (c *Cluster) start(ctx context.Context) error {
	for range c.opt.Masters * (1 + c.opt.Replicas) {
		if err := c.startNode(ctx); err != nil {
			return err
		}
	}
	if c.opt.Standalone {
		if err := c.follow(ctx); err != nil {
			return err
		}
	} else if err := c.join(ctx); err != nil {
		return err
	}
	return c.Wait(ctx)
}

// startNode adds a node, on another port if the first is taken by the time the server wants it.
func (c *Cluster) startNode(ctx context.Context) error {
	for {
		n, err := c.newNode()
		if err != nil {
			return err
		}
		err = n.start(ctx)
		if err == nil {
			c.nodes = append(c.nodes, n)
			return nil
		}
		_ = n.close()
		if !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// Nodes returns all nodes: the masters in the order of their slots, then the replicas of each master in turn.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Masters returns the nodes that were started as masters.
func (c *Cluster) Masters() []*Node { return c.nodes[:c.opt.Masters] }

// Replicas returns the nodes that were started as replicas of Masters()[master].
func (c *Cluster) Replicas(master int) []*Node {
	first := c.opt.Masters + master*c.opt.Replicas
	return c.nodes[first : first+c.opt.Replicas]
}

// Addrs returns the addresses of Masters.
func (c *Cluster) Addrs() []string {
	out := make([]string, c.opt.Masters)
	for i, n := range c.Masters() {
		out[i] = n.Addr
	}
	return out
}

// Family returns what the servers call themselves: "Redis" or "Valkey".
func (c *Cluster) Family() string { return c.family }

// Version returns the version of the servers.
func (c *Cluster) Version() slotter.Version { return c.version }

// URL returns the target that names all masters, with the password if there is one.
func (c *Cluster) URL() string {
	var b strings.Builder
	b.WriteString("redis")
	if c.opt.TLS != nil {
		b.WriteByte('s')
	}
	b.WriteString("://")
	if c.opt.Password != "" {
		b.WriteString(":" + strings.ReplaceAll(url.QueryEscape(c.opt.Password), "+", "%20") + "@")
	}
	b.WriteString(strings.Join(c.Addrs(), ","))
	return b.String()
}

// Stop kills all servers, waits for them and removes the folder. More calls return what the first did.
func (c *Cluster) Stop() error {
	c.stopOnce.Do(func() {
		var errs []error
		for _, n := range c.nodes {
			n.Kill()
			errs = append(errs, n.close())
		}
		errs = append(errs, os.RemoveAll(c.dir))
		if err := errors.Join(errs...); err != nil {
			c.stopErr = fmt.Errorf("stop local servers: %w", err)
		}
	})
	return c.stopErr
}
