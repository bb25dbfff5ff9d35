package main

import (
	"syscall"
	"testing"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/rdbimport/rdbimport/slotter/localcluster/needs"
)

// TestServersAreOutOfCtrlC: the servers that demo starts are in process groups of
// their own, so that Ctrl-C reaches the demo only, which then stops them.
func TestServersAreOutOfCtrlC(t *testing.T) {
	binary, err := serverBinary(defaultServer)
	needs.Have(t, err)
	c, err := localcluster.Start(t.Context(), localcluster.Options{Binary: binary, Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	pid := c.Nodes()[0].PID()
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("the process group of server %d is %d (%v)", pid, group, err)
	}
}
