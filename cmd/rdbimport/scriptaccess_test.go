package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// makeCertificates makes two authorities, ca.crt and stranger-ca.crt, and
// certificates with keys for clients: client.crt of the one, stranger.crt of the
// other. Those of servers are good.crt, expired.crt, and elsewhere.crt, which is
// for elsewhere.example only.
func makeCertificates(ts *testscript.TestScript, _ bool, _ []string) {
	dir, soon := ts.MkAbs("."), time.Now().Add(time.Hour)
	ca, err := localcluster.NewAuthority(dir, "ca")
	ts.Check(err)
	other, err := localcluster.NewAuthority(dir, "stranger-ca")
	ts.Check(err)
	for _, c := range []struct {
		ca    *localcluster.Authority
		name  string
		until time.Time
		hosts []string
	}{
		{ca, "client", soon, nil},
		{other, "stranger", soon, nil},
		{ca, "good", soon, []string{"127.0.0.1", "node.example"}},
		{ca, "expired", time.Now().Add(-time.Hour), []string{"127.0.0.1"}},
		{ca, "elsewhere", soon, []string{"elsewhere.example"}},
	} {
		_, _, err := c.ca.Issue(c.name, c.until, c.hosts...)
		ts.Check(err)
	}
}

// startTLS starts a cluster of N masters whose certificate is CERT.crt. Several
// masters have to trust each other, so it must be a good one then.
//
//	tls CERT N CONFIG...
func startTLS(ts *testscript.TestScript, _ bool, args []string) {
	client, err := tls.LoadX509KeyPair(ts.MkAbs("client.crt"), ts.MkAbs("client.key"))
	ts.Check(err)
	startOwn(ts, localcluster.Options{
		Masters: number(ts, args[1]), Config: args[2:],
		TLS: &localcluster.TLS{
			CACert: ts.MkAbs("ca.crt"), Cert: ts.MkAbs(args[0] + ".crt"), Key: ts.MkAbs(args[0] + ".key"),
			Client: &tls.Config{Certificates: []tls.Certificate{client}, InsecureSkipVerify: true}, //nolint:gosec // it is what the test is about
		},
	})
}

// startAlone starts a cluster of N masters that never think that another is down:
// they may announce addresses at which they cannot be reached.
//
//	alone N CONFIG...
func startAlone(ts *testscript.TestScript, _ bool, args []string) {
	opt := localcluster.Options{Masters: number(ts, args[0]), NodeTimeout: time.Hour}
	for _, line := range args[1:] {
		if password, ok := strings.CutPrefix(line, "requirepass "); ok {
			opt.Password = password
		} else {
			opt.Config = append(opt.Config, line)
		}
	}
	startOwn(ts, opt)
}

// startOwn starts a cluster that the end of the script stops.
func startOwn(ts *testscript.TestScript, opt localcluster.Options) {
	opt.Binary = needServer(ts, defaultServer)
	c, err := localcluster.Start(context.Background(), opt)
	ts.Check(err)
	ts.Defer(func() { ts.Check(c.Stop()) })
	use(ts, c)
	for i, addr := range c.Addrs() {
		_, port, err := net.SplitHostPort(addr)
		ts.Check(err)
		ts.Setenv(fmt.Sprintf("PORT%d", i+1), port)
	}
}

// haveIPv6 reports whether the machine has ::1.
func haveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	return err == nil && l.Close() == nil
}

// everywhere runs a command on every node, with the number of the node for %.
func everywhere(ts *testscript.TestScript, _ bool, args []string) {
	for i, n := range nodesOf(ts).list {
		words := make([]any, len(args))
		for k, a := range args {
			words[k] = strings.ReplaceAll(a, "%", strconv.Itoa(i+1))
		}
		ts.Check(n.Do(context.Background(), words...).Err())
	}
}

// waitAnnounced waits until the slot map of every node names all masters by an
// address that begins with TEXT.
func waitAnnounced(ts *testscript.TestScript, _ bool, args []string) {
	list := nodesOf(ts).list
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(20 * time.Millisecond) // gossip takes its time
	defer ticker.Stop()
	for _, n := range list {
		for range ticker.C {
			reply, err := n.Do(context.Background(), "CLUSTER", "SLOTS").Result()
			ts.Check(err)
			if strings.Count(fmt.Sprint(reply), "["+args[0]) == len(list) {
				break
			}
			if time.Now().After(deadline) {
				ts.Fatalf("it announces %v", reply)
			}
		}
	}
}

// movedMeanwhile runs rdbimport with standard input as its last source; when the
// keys of the others have arrived it gives the slot of KEY to another master, so
// that the slot map is no longer true, and then FILE to standard input. KEY must
// be in FILE only.
//
//	moving KEY FILE KEYS ARG...
func movedMeanwhile(ts *testscript.TestScript, _ bool, args []string) {
	ctx, key, before := context.Background(), args[0], int64(number(ts, args[2]))
	p := startProgram(ts, nil, args[3:], "")
	fail := func(err error) {
		if err != nil {
			p.kill()
			ts.Fatalf("%v\n%s", err, p.stderr.String())
		}
	}
	fail(p.until(func() bool { return keysOn(ts) == before }))
	slot, list := slotter.Slot([]byte(key)), nodesOf(ts).list
	to := 0 // the master behind the owner, as localcluster deals them out
	for to < len(list)-1 && int(slot) >= to*slotter.Slots/len(list) {
		to++
	}
	id, err := list[to].Do(ctx, "CLUSTER", "MYID").Text()
	fail(err)
	for _, n := range slices.Concat(list[to:], list[:to]) { // the new owner first
		fail(n.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", id).Err())
	}
	_, err = p.stdin.Write([]byte(ts.ReadFile(args[1])))
	fail(err)
	fail(p.stdin.Close())
	p.wait(ts)
}

// keptSecret runs rdbimport until keys have arrived, interrupts it, and makes
// sure that SECRET is in nothing that the run wrote and not in the list of
// processes. Scripts have no file with SECRET in it themselves.
//
//	secret SECRET FILE ARG...
func keptSecret(ts *testscript.TestScript, _ bool, args []string) {
	secret := []byte(args[0])
	dump := []byte(ts.ReadFile(args[1]))
	p := startProgram(ts, dump[:len(dump)/2], args[2:], "")
	err := untilSteady(func() int64 { return keysOn(ts) })
	list, perr := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/cmdline")
	if err != nil || perr != nil && !os.IsNotExist(perr) {
		p.kill()
		ts.Fatalf("%v %v\n%s", err, perr, p.stderr.String())
	}
	ts.Check(p.cmd.Process.Signal(os.Interrupt))
	p.wait(ts)
	if bytes.Contains(list, secret) {
		ts.Fatalf("it is in the list of processes: %q", list)
	}
	ts.Check(filepath.WalkDir(ts.MkAbs("."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, secret) {
			return fmt.Errorf("the secret is in %s", path)
		}
		return err
	}))
}
