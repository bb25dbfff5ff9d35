package main

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// What a process takes beside --memory, with some to spare, and how many times of that a
// comparison takes, which opens values.
const (
	ownMemory     = 24 << 20
	verifyMemory  = 2
	heapOf, parts = 7, 8 // of what the process may use
)

// keepMemory returns how much memory the process may use, as GOMEMLIMIT says, and the
// cgroups it is in; system is the root of the file system. It has the garbage collected in
// time where those allow little: of itself the runtime lets a heap double, and knows
// nothing of cgroups.
func keepMemory(system fs.FS) int64 {
	heap := debug.SetMemoryLimit(-1) // math.MaxInt64 if there is none
	most := cgroupsLimit(system)
	if part := most / parts * heapOf; most < math.MaxInt64 && part < heap {
		debug.SetMemoryLimit(part)
	}
	return min(heap, most)
}

// fit makes the budget fit a process that may use so much memory, of which it takes its
// budget as many times as said, and what another budget lets it take beside, if the user
// has not said how large that is to be; if he has, it only warns.
func (f *sizeFlag) fit(given *pflag.Flag, may, beside, times int64, warn func(string)) {
	if may == 0 {
		return
	}
	fits := max(f.least, (may-ownMemory-beside)/times&^(1<<20-1))
	switch {
	case f.bytes <= fits:
	case given.Changed:
		warn(fmt.Sprintf("this process may use %s of memory (GOMEMLIMIT, or its cgroup's limit), and may be killed with --%s %s: %s fits",
			binarySize(may), given.Name, f.text, strings.ReplaceAll(binarySize(fits), " ", "")))
	default:
		f.bytes = fits
	}
}

// cgroupsLimit is how much memory the cgroups that the process is in, and those these are
// in, let it use.
func cgroupsLimit(system fs.FS) int64 {
	least := int64(math.MaxInt64)
	text, err := fs.ReadFile(system, "proc/self/cgroup")
	if err != nil {
		return least // no Linux
	}
	for line := range strings.Lines(string(text)) {
		// number:controllers:path, of the second version without controllers
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) < 3 {
			continue
		}
		switch part[1] {
		case "":
			least = min(least, cgroupLimit(system, "sys/fs/cgroup", part[2], "memory.max"))
		case "memory":
			least = min(least, cgroupLimit(system, "sys/fs/cgroup/memory", part[2], "memory.limit_in_bytes"))
		}
	}
	return least
}

// cgroupLimit is the least limit of a cgroup and those above it. In a container the path may
// be that of the host, while its own group stands at the root.
func cgroupLimit(system fs.FS, root, group, file string) int64 {
	least := int64(math.MaxInt64)
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		if text, err := fs.ReadFile(system, path.Join(root, group, file)); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // or it is "max"
				least = min(least, n)
			}
		}
		if group == "/" {
			return least
		}
	}
}
