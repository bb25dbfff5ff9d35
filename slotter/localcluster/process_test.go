package localcluster

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPortTaken: somebody else takes the port, or the port of the cluster bus, between the check and the start.
func TestPortTaken(t *testing.T) {
	c := start(t, Options{Masters: 1})
	for _, offset := range []int{0, busOffset} {
		n, err := c.newNode()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n.claim.port+offset)))
		if err != nil {
			t.Fatal(err)
		}
		err = n.start(t.Context())
		if !errors.Is(err, errPortTaken) {
			t.Errorf("port + %d taken: error %v\n%s", offset, err, n.Log())
		}
		if err := errors.Join(l.Close(), n.close()); err != nil {
			t.Error(err)
		}
	}
	if err := c.startNode(t.Context()); err != nil { // and the next one finds another
		t.Fatal(err)
	}
}

// TestClaim: while a server is down, its port is nobody else's.
func TestClaim(t *testing.T) {
	c := start(t, Options{Masters: 1})
	n := c.Nodes()[0]
	n.Kill()
	if l, err := listen(host, n.claim.port+claimOffset); err == nil {
		_ = l.Close()
		t.Fatal("a killed server's port can be claimed")
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := n.claim.release(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Stop the claim is still held: %v", err)
	}
}

// childEnv makes this test binary a program that starts a server and waits to be killed.
const childEnv = "LOCALCLUSTER_TEST_CHILD"

// TestDieWithParent kills a program that runs a server.
func TestDieWithParent(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		c := start(t, Options{Standalone: true, Dir: os.Getenv(childEnv)})
		t.Log("server process", c.Nodes()[0].PID())
		<-t.Context().Done() // never: the parent kills this process first, or go test's time limit does
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can do it")
	}
	binary(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDieWithParent$", "-test.v", "-test.timeout=60s")
	child.Env = append(os.Environ(), childEnv+"="+t.TempDir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if _, number, found := strings.Cut(lines.Text(), "server process "); found {
			pid, err = strconv.Atoi(number)
		}
	}
	if err := errors.Join(err, child.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if pid == 0 {
		t.Fatal("the child started no server")
	}
	for deadline := time.Now().Add(10 * time.Second); !dead(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("server %d outlived its parent", pid)
		}
		runtime.Gosched()
	}
}

// dead reports whether pid is gone or a zombie: an orphan stays one until the init process of the container reaps it, if it does.
func dead(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}
