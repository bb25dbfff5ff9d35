package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"

	"github.com/rdbimport/rdbimport/slotter"
)

// ErrNoServer is returned when no server binary is found.
var ErrNoServer = errors.New("no redis-server or valkey-server on the PATH (on Debian and Ubuntu: apt-get install redis-tools)")

// serverNames are what a server's binary is called, best first. The last two are the same binary under another name, which is all that
// Debian's redis-tools and valkey-tools install; it looks at argv[0] to see what to be.
var serverNames = []string{"redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"}

// FindServer returns the path of a server binary on the PATH. It may be one that has to be started with argv[0] = "redis-server", as
// Start does.
func FindServer() (string, error) {
	for _, name := range serverNames {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoServer
}

// command returns the command that runs the server binary.
func command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Args[0] = "redis-server"
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

var versionPattern = regexp.MustCompile(`(\w*) server v=([0-9]+\.[0-9]+\.[0-9]+)`)

// version asks the binary what it is: "Redis server v=7.0.15 sha=...".
func version(ctx context.Context, binary string) (family string, _ slotter.Version, _ error) {
	out, err := command(ctx, binary, "--version").Output()
	var ended *exec.ExitError
	var path *fs.PathError
	switch {
	case errors.As(err, &ended):
		return "", slotter.Version{}, fmt.Errorf("%s is no server: asked for its version it ends with %w", binary, err)
	case errors.As(err, &path): // it names the system call
		return "", slotter.Version{}, fmt.Errorf("%s cannot be run: %w", binary, path.Err)
	case err != nil:
		return "", slotter.Version{}, fmt.Errorf("%s cannot be run: %w", binary, err)
	}
	found := versionPattern.FindSubmatch(out)
	if found == nil {
		return "", slotter.Version{}, fmt.Errorf("%s is no server: --version says %.100q", binary, out)
	}
	return string(found[1]), slotter.ParseVersion(string(found[2])), nil
}
