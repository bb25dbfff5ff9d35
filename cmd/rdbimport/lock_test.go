package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLockCheckpoint has many try for one lock, again and again: never do two have it,
// and the last leaves no file.
func TestLockCheckpoint(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ck")
	unlock, err := lockCheckpoint(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockCheckpoint(name); !errors.Is(err, errInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("the second one: %v", err)
	}
	unlock()
	var work sync.WaitGroup
	var holders, got atomic.Int64
	for range 8 {
		work.Go(func() {
			for got.Load() < 2000 {
				unlock, err := lockCheckpoint(name)
				if err != nil {
					if !errors.Is(err, errInUse) {
						t.Error(err)
					}
					continue
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold it", n)
				}
				got.Add(1)
				holders.Add(-1)
				unlock()
			}
		})
	}
	work.Wait()
	if left, _ := filepath.Glob(name + "*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestLockNowhere expects that what cannot be locked holds nothing up: it is the
// checkpoint itself that cannot be written then.
func TestLockNowhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"none/ck", "taken"} {
		unlock, err := lockCheckpoint(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		unlock()
	}
}
