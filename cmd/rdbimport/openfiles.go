package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/rdbimport/rdbimport/slotter"
)

// errFiles is why a command cannot begin where a process may open few files.
var errFiles = errors.New("too few open files")

// Open files beside those of the connections to masters: standard input, output and error,
// what the runtime has, and at the end some replicas that are asked what they think of
// their masters.
const (
	otherFiles = 10
	manyFiles  = 1 << 16 // with as many as that nobody counts
)

// neededFiles is how many files a process has open, with so many lanes to each
// of the masters, which has a connection for questions too.
func neededFiles(masters, lanes, sources int) int {
	return otherFiles + masters*(max(1, lanes)+1) + min(mostAtOnce, sources)
}

// reach connects to the target, for so many connections to each of its masters, 0 for
// one, and sources that are read meanwhile.
func reach(ctx context.Context, target slotter.Target, opt slotter.Options, lanes, sources int, warn func(string)) (*slotter.Cluster, error) {
	c, err := slotter.Connect(ctx, target, opt)
	if err != nil {
		return nil, err
	}
	if c.Standalone() && len(target.Seeds) > 1 {
		warn(c.Seed().Addr + " is no node of a cluster: it is the whole target, and the other hosts of TARGET are left out")
	}
	if c.IdlePassword(ctx) {
		warn(c.Seed().Addr + " asks for no password, and one is given: is it the right server?")
	}
	may, known := mayOpen()
	if !known || may >= manyFiles {
		return c, nil
	}
	m, err := c.Map(ctx)
	if err == nil {
		err = enoughFiles(len(m.Masters), lanes, sources, may)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// enoughFiles says so if the connections that there are to be are more than may be open.
func enoughFiles(masters, lanes, sources, may int) error {
	need := neededFiles(masters, lanes, sources)
	if need <= may {
		return nil
	}
	return fmt.Errorf("%w: %s to each of %s make %d with everything else, and this process may have %d",
		errFiles, plural(int64(max(1, lanes)), "connection"), plural(int64(masters), "master"), need, may)
}

// hintFiles is for both what is found before the start, and what a system call says.
const hintFiles = "this process may open too few files: raise the limit (ulimit -n 4096, LimitNOFILE= of systemd), or give fewer --connections"

// isFiles reports whether err is that the process or the system has too many files open.
func isFiles(err error) bool {
	return errors.Is(err, errFiles) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
