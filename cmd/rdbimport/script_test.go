package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// TestScripts runs the scripts, one for each behaviour that a user sees. Beside
// the ordinary commands they have:
//
//	cluster               $TARGET is a cluster of three masters, empty
//	server NAME CONFIG... $TARGET is a standalone server
//	dump KIND FILE ARG... write a dump, see writeDump
//	wrap KIND FROM TO     compress a dump and the like, see wrapFile
//	damage FILE OFFSET    flip a byte; a negative offset counts from the end
//	cut FILE N            cut the last N bytes off
//	rc CODE CMD ARG...    run a command and expect its exit code
//	redis ARG...          run a command on the node that has the key in ARG 2, print the reply
//	dbsize                print the number of keys on all nodes
//	flush                 empty all nodes
//	binary                $SERVER is the binary of a server
//	nonredis              $TARGET is something that is no Redis
//	interrupt FILE ARG... see interrupted
//	hold FILE ARG...      see held
//	halt SIGNAL ARG...    see halted
//	twice FILE ARG...     see twice
//	midvalue FILE N ARG...  see inMidValue
//	spooled FILE ARG...   see spooled
//	ctrlc TEXT ARG...     see groupInterrupted
//	certs                 see makeCertificates
//	tls CERT N CONFIG...  $TARGET is a cluster of N masters that speak TLS, see startTLS
//	alone N CONFIG...     $TARGET is a cluster of N masters for this script alone
//	everywhere ARG...     run a command on every node
//	announced TEXT        wait until every node is announced as TEXT
//	moving KEY FILE ARG.. see movedMeanwhile
//	secret TEXT ARG...    see keptSecret
//	fifo NAME FILE        a named pipe that FILE is written to
//	json PATH PATTERN     see jsonField
//	writer on|off KEY     see writeOn
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Values[nodesKey{}] = &nodes{}
			return nil
		},
		Condition: haveServer,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"cluster":   startCluster,
			"server":    startServer,
			"dump":      writeDump,
			"damage":    damageFile,
			"cut":       cutFile,
			"rc":        expectCode,
			"redis":     redisCommand,
			"dbsize":    countKeys,
			"flush":     flush,
			"binary":    setBinary,
			"nonredis":  startNonRedis,
			"interrupt": interrupted,
			"hold":      held,
			"halt":      halted,
			"twice":     twice,
			"midvalue":  inMidValue,
			"spooled":   spooled,
			"ctrlc":     groupInterrupted,
			"wrap":      wrapFile,

			"certs":      makeCertificates,
			"tls":        startTLS,
			"alone":      startAlone,
			"everywhere": everywhere,
			"announced":  waitAnnounced,
			"moving":     movedMeanwhile,
			"secret":     keptSecret,
			"json":       jsonField,
			"fifo":       makeFifo,
			"writer":     writeOn,
		},
	})
}

// nodesKey is the key of a script's nodes.
type nodesKey struct{}

// nodes are the servers that a script talks to.
type nodes struct {
	list []*redis.Client
	rest func() // ends the writer, nil without
}

func nodesOf(ts *testscript.TestScript) *nodes { return ts.Value(nodesKey{}).(*nodes) }

// needServer returns a server's binary. A script that needs one begins with
// [!server] skip, so a missing one gets here on CI only.
func needServer(ts *testscript.TestScript, name string) string {
	path, err := serverBinary(name)
	ts.Check(err)
	return path
}

// haveServer is the condition [server], or [server:NAME], or [ipv6]. On CI it is always met,
// so that a missing server is a failure there.
func haveServer(cond string) (bool, error) {
	kind, name, _ := strings.Cut(cond, ":")
	if cond == "ipv6" {
		return haveIPv6(), nil
	}
	if kind != "server" {
		return false, fmt.Errorf("no condition %q", cond)
	}
	if name == "" {
		name = defaultServer
	}
	_, err := serverBinary(name)
	return err == nil || needs.Everything(), nil
}

func startCluster(ts *testscript.TestScript, _ bool, _ []string) {
	c, release, err := shared.take(needServer(ts, defaultServer))
	ts.Check(err)
	ts.Defer(release)
	use(ts, c)
}

// startServer starts a standalone server, of the default version if NAME is -.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	opt := localcluster.Options{Standalone: true}
	name := defaultServer
	if len(args) > 0 && args[0] != "-" {
		name = args[0]
	}
	for _, line := range args[min(1, len(args)):] {
		if password, ok := strings.CutPrefix(line, "requirepass "); ok {
			opt.Password = password
		} else {
			opt.Config = append(opt.Config, line)
		}
	}
	opt.Binary = needServer(ts, name)
	c, err := localcluster.Start(context.Background(), opt)
	ts.Check(err)
	ts.Defer(func() { ts.Check(c.Stop()) })
	use(ts, c)
}

func use(ts *testscript.TestScript, c *localcluster.Cluster) {
	ts.Setenv("TARGET", c.Addrs()[0])
	n := nodesOf(ts)
	n.list = nil
	for _, m := range c.Masters() {
		n.list = append(n.list, m.Client())
	}
}

// startNonRedis listens where something else than Redis answers.
func startNonRedis(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.Close()
		}
	}()
	ts.Defer(func() { _ = l.Close(); <-done })
	ts.Setenv("TARGET", l.Addr().String())
}

// number reads an argument.
func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func damageFile(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	at := number(ts, args[1])
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x40
	ts.Check(os.WriteFile(name, b, 0o600))
}

func cutFile(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, info.Size()-int64(number(ts, args[1]))))
}

func expectCode(ts *testscript.TestScript, _ bool, args []string) {
	want := number(ts, args[0])
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func redisCommand(ts *testscript.TestScript, neg bool, args []string) {
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = a
	}
	var reply any
	var err error
	for _, n := range nodesOf(ts).list {
		reply, err = n.Do(context.Background(), words...).Result()
		if err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
			break
		}
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		ts.Fatalf("%v", err)
	}
	_, _ = fmt.Fprintln(ts.Stdout(), reply)
}

// keysOn returns how many keys a script's servers hold.
func keysOn(ts *testscript.TestScript) (sum int64) {
	for _, n := range nodesOf(ts).list {
		size, err := n.DBSize(context.Background()).Result()
		ts.Check(err)
		sum += size
	}
	return sum
}

func countKeys(ts *testscript.TestScript, _ bool, _ []string) {
	_, _ = fmt.Fprintln(ts.Stdout(), keysOn(ts))
}

func flush(ts *testscript.TestScript, _ bool, _ []string) {
	for _, n := range nodesOf(ts).list {
		ts.Check(n.FlushAll(context.Background()).Err())
	}
}

// makeFifo makes a named pipe, and writes a file to it until somebody has read it.
func makeFifo(ts *testscript.TestScript, _ bool, args []string) {
	name, b := ts.MkAbs(args[0]), []byte(ts.ReadFile(args[1]))
	ts.Check(syscall.Mkfifo(name, 0o600))
	f, err := os.OpenFile(name, os.O_RDWR, 0) // does not wait for a reader
	ts.Check(err)
	var work sync.WaitGroup
	work.Go(func() { _, _ = f.Write(b) })
	ts.Defer(func() { _ = f.Close(); work.Wait() })
}

func setBinary(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("SERVER", needServer(ts, defaultServer))
}
