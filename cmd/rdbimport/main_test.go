package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"rdbimport": main,
	})
}

// suite runs the tests and then looks for what they left behind.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	code := s.m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// shared is the cluster that the scripts use one after another; starting it takes
// seconds.
var shared sharedCluster

type sharedCluster struct {
	inUse sync.Mutex // held by a script until its end
	once  sync.Once
	c     *localcluster.Cluster
	err   error
}

// take returns the cluster, empty, to a script that calls the function when it
// is through with it.
func (s *sharedCluster) take(binary string) (c *localcluster.Cluster, release func(), err error) {
	s.inUse.Lock()
	s.once.Do(func() {
		s.c, s.err = localcluster.Start(context.Background(), localcluster.Options{Binary: binary})
	})
	if s.err != nil {
		s.inUse.Unlock()
		return nil, nil, s.err
	}
	for _, n := range s.c.Masters() {
		err := n.Client().FlushAll(context.Background()).Err()
		if err == nil && s.c.Version().AtLeast(7, 0) {
			err = n.Client().FunctionFlush(context.Background()).Err()
		}
		if err != nil {
			s.inUse.Unlock()
			return nil, nil, err
		}
	}
	return s.c, s.inUse.Unlock, nil
}

func (s *sharedCluster) stop() error {
	if s.c == nil {
		return nil
	}
	return s.c.Stop()
}

// serverBinary finds a server: the one that the environment offers, or one that is
// installed.
func serverBinary(name string) (string, error) {
	dir := os.Getenv("RDBIMPORT_SERVERS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".servers")
	}
	path, err := filepath.Abs(filepath.Join(dir, "bin", name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if name != defaultServer {
		return "", fmt.Errorf("no server %s in %s", name, dir)
	}
	return localcluster.FindServer()
}

const defaultServer = "redis-7.0"
