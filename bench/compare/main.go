// Command compare measures an import into a cluster on this machine against the
// floor, which is the same commands rendered beforehand and written by a bare
// program, and against other tools found on the PATH.
//
//	go run ./bench/compare
//	go run ./bench/compare -set mixed -pairs 11 -json > mixed.json
//	go run ./bench/compare -peer-runs 2 -peer-limit 10m -recipe
//
// Everything is made on the spot, in a temporary folder, the same every time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	sets      []string
	keys      int
	huge      int
	pairs     int
	server    string
	importer  string
	peerRuns  int
	peerLimit time.Duration
	recipe    bool
	pipeline  int
	json      bool
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == floorCommand {
		if err := serveFloor(ctx, args[1:], stdin, stdout); err != nil {
			fmt.Fprintln(stderr, "floor:", err)
			return 1
		}
		return 0
	}
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil:
		err = o.compare(ctx, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "compare:", err)
		return 1
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var o options
	sets := fs.String("set", "mixed,small,strings,collections,huge", "`names` of the data sets: "+strings.Join(setNames(), ", "))
	fs.IntVar(&o.keys, "keys", 0, "keys of each set, `n` (collections: of each type) instead of its own number")
	fs.IntVar(&o.huge, "huge", 3, "size of the huge set in `percent` of 6 GB")
	fs.IntVar(&o.pairs, "pairs", 9, "how often to run import and floor in turn, `n`")
	fs.StringVar(&o.server, "server", "", "`binary` of the server; the one on the PATH by default")
	fs.StringVar(&o.importer, "rdbimport", "", "`binary` to measure instead of one built from this module")
	fs.IntVar(&o.peerRuns, "peer-runs", 1, "how often to run each other tool, `n`; 0 leaves them out")
	fs.DurationVar(&o.peerLimit, "peer-limit", 30*time.Second, "stop another tool after this time and take its rate until then")
	fs.BoolVar(&o.recipe, "recipe", false, "also measure the recipe of resharding, restarting with the dump and resharding back, to its end")
	fs.IntVar(&o.pipeline, "recipe-pipeline", 10, "keys that the recipe moves at a time, `n`; 10 is redis-cli's default")
	fs.BoolVar(&o.json, "json", false, "print one JSON object; the table goes to standard error")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.sets = strings.Split(*sets, ",")
	for _, name := range o.sets {
		if !slices.Contains(setNames(), name) {
			return o, fmt.Errorf("no set is named %q", name)
		}
	}
	if fs.NArg() > 0 || o.pairs < 1 || o.huge < 1 || o.huge > 100 || o.keys < 0 || o.peerRuns < 0 || o.peerLimit <= 0 || o.pipeline < 1 {
		return o, errors.New("a number is out of range, or there is an argument too many")
	}
	return o, nil
}

// compare measures all that the options ask for.
func (o options) compare(ctx context.Context, stdout, stderr io.Writer) error {
	b, err := newBench(ctx, o, stderr)
	if err != nil {
		return err
	}
	rep, err := b.measure(ctx)
	if err = errors.Join(err, b.close()); err != nil {
		return err
	}
	if !o.json {
		return rep.write(stdout)
	}
	if err := rep.write(stderr); err != nil {
		return err
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(rep)
}
