package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// host is where all servers listen.
const host = "127.0.0.1"

// Node is one server process. Its methods may be called from several goroutines, except for Restart, which must be alone.
type Node struct {
	Addr string // host:port
	Dir  string // its folder
	ID   string // node id in the cluster; "" for a standalone server

	cluster *Cluster
	claim   claim
	proc    *process // nil before the first start
	client  *redis.Client
}

// errPortTaken is returned by start when another process has the port.
var errPortTaken = errors.New("port taken")

// newNode makes the folder and the configuration of a server on a free port.
func (c *Cluster) newNode() (*Node, error) {
	claim, err := claimPort(host)
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(claim.port)
	n := &Node{
		Addr:    net.JoinHostPort(host, port),
		Dir:     filepath.Join(c.dir, port),
		cluster: c,
		claim:   claim,
	}
	if err := n.furnish(len(c.nodes) == 0); err != nil {
		return nil, errors.Join(err, claim.release())
	}
	n.client = redis.NewClient(n.clientOptions())
	return n, nil
}

// furnish makes the folder with what is in it; the first node has the dump.
func (n *Node) furnish(first bool) error {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return err
	}
	if dump := n.cluster.opt.DumpFile; dump != "" && first {
		if err := linkDump(dump, n.Dir); err != nil {
			return err
		}
	}
	return os.WriteFile(n.configFile(), n.config(), 0o600)
}

// close gives back what the node holds besides its process.
func (n *Node) close() error { return errors.Join(n.client.Close(), n.claim.release()) }

// linkDump makes file the one that a server in dir loads.
func linkDump(file, dir string) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil {
		return err
	}
	return os.Symlink(abs, filepath.Join(dir, "dump.rdb"))
}

func (n *Node) configFile() string { return filepath.Join(n.Dir, "server.conf") }
func (n *Node) logFile() string    { return filepath.Join(n.Dir, "server.log") }

// config returns the configuration file.
func (n *Node) config() []byte {
	opt := &n.cluster.opt
	lines := []string{
		"bind " + host,
		"protected-mode no",
		"daemonize no",
		"dir " + strconv.Quote(n.Dir),
		"dbfilename dump.rdb",
		`save ""`,
		"appendonly no",
		`logfile ""`,
		"repl-diskless-sync yes",
		"repl-diskless-sync-delay 0",
		"repl-ping-replica-period 1", // a replica whose offset is still 0 is missing from CLUSTER SLOTS
	}
	if opt.TLS != nil {
		lines = append(lines, "port 0", "tls-port "+strconv.Itoa(n.claim.port), "tls-replication yes", "tls-auth-clients no",
			"tls-ca-cert-file "+strconv.Quote(opt.TLS.CACert), "tls-cert-file "+strconv.Quote(opt.TLS.Cert), "tls-key-file "+strconv.Quote(opt.TLS.Key))
	} else {
		lines = append(lines, "port "+strconv.Itoa(n.claim.port))
	}
	if !opt.Standalone {
		lines = append(lines, "cluster-enabled yes", "cluster-config-file nodes.conf",
			"cluster-node-timeout "+strconv.FormatInt(opt.NodeTimeout.Milliseconds(), 10))
		if opt.TLS != nil {
			lines = append(lines, "tls-cluster yes")
		}
	}
	if n.cluster.version.AtLeast(7, 0) {
		lines = append(lines, "enable-debug-command yes")
	}
	if opt.Password != "" {
		lines = append(lines, "requirepass "+strconv.Quote(opt.Password), "masterauth "+strconv.Quote(opt.Password))
	}
	lines = append(lines, opt.Config...)
	return []byte(strings.Join(lines, "\n") + "\n")
}

func (n *Node) clientOptions() *redis.Options {
	opt := &redis.Options{
		Addr:                     n.Addr,
		Password:                 n.cluster.opt.Password,
		Protocol:                 2,
		DisableIdentity:          true,
		ContextTimeoutEnabled:    true,
		MaxRetries:               -1,
		DialerRetries:            1,
		DialTimeout:              5 * time.Second,
		ReadTimeout:              30 * time.Second,
		PoolSize:                 64, // a pool with as many failed dials as places starts to dial by itself
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if t := n.cluster.opt.TLS; t != nil {
		opt.TLSConfig = t.Client.Clone()
	}
	return opt
}

// start runs the server and waits until it answers and has loaded its data.
func (n *Node) start(ctx context.Context) error {
	p, err := startProcess(n.cluster.opt.Binary, n.configFile(), n.logFile())
	if err != nil {
		return err
	}
	n.proc = p
	err = poll(ctx, func() error { return n.ready(ctx) })
	if err != nil {
		p.kill()
		return err
	}
	return nil
}

// ready returns nil once the server answers. Another server may have got the port first: the process id tells.
func (n *Node) ready(ctx context.Context) error {
	if n.proc.ended() {
		log := n.Log()
		if strings.Contains(log, "ddress already in use") {
			return final(errPortTaken)
		}
		return final(fmt.Errorf("server on %s did not start: %s", n.Addr, tail(log)))
	}
	// Whatever has the port in place of the server may never answer.
	answer, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info, err := n.info(answer)
	if err != nil {
		return err
	}
	if got := info["process_id"]; got != strconv.Itoa(n.proc.pid()) {
		return fmt.Errorf("%s belongs to process %s", n.Addr, got)
	}
	if info["loading"] == "1" {
		return fmt.Errorf("%s is loading", n.Addr)
	}
	return nil
}

// info returns the fields of the default sections of INFO.
func (n *Node) info(ctx context.Context) (map[string]string, error) {
	text, err := n.client.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	return fields(text), nil
}

// fields splits the text of INFO or CLUSTER INFO.
func fields(text string) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); found {
			out[name] = value
		}
	}
	return out
}

// tail returns the end of a log, for an error.
func tail(log string) string {
	const most = 400
	log = strings.TrimSpace(log)
	if len(log) > most {
		log = "..." + log[len(log)-most:]
	}
	return log
}

// PID returns the process id of the server, or that of the last one after it was killed.
func (n *Node) PID() int { return n.proc.pid() }

// Client returns a client for this node. Stop closes it.
func (n *Node) Client() *redis.Client { return n.client }

// Kill ends the server at once (SIGKILL), as a crash would, and waits until it is gone. Killing it twice is no error.
func (n *Node) Kill() { n.proc.kill() }

// Pause stops the server without ending it (SIGSTOP): connections stay open, and nothing answers.
func (n *Node) Pause() error { return n.proc.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (n *Node) Resume() error { return n.proc.signal(syscall.SIGCONT) }

// Restart ends the server if it still runs, starts it again with the same folder and port, and waits until it answers. Its data is
// gone, but for DumpFile and what a replica gets from its master; its place in the cluster is not. Cluster.Wait waits for the cluster.
func (n *Node) Restart(ctx context.Context) error {
	n.Kill()
	return n.start(ctx)
}

// Log returns what the server wrote, over all its starts.
func (n *Node) Log() string {
	text, err := os.ReadFile(n.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}
