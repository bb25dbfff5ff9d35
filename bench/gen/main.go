// Command gen writes a data set of the benchmarks as an RDB dump.
//
//	go run ./bench/gen -set mixed -keys 1000000 -o mixed.rdb
//	go run ./bench/gen -set huge | rdbimport - redis://127.0.0.1:7001
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("gen", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var o options
	fs.StringVar(&o.set, "set", "mixed", "`name`: mixed, small, strings, collections, huge or sample")
	fs.IntVar(&o.keys, "keys", -1, "number of keys (collections: of each type); huge and sample have their own, huge is scaled to `n` percent")
	fs.IntVar(&o.elements, "elements", 100_000, "collections: elements of each")
	fs.Uint64Var(&o.seed, "seed", 1, "the same seed gives the same bytes")
	fs.StringVar(&o.flavor, "flavor", "redis-7.0", "sample: the server it is for")
	out := fs.String("o", "", "`file` to write, default standard output")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 1
	}
	start := time.Now()
	stats, err := writeTo(*out, stdout, o)
	if err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	mb := float64(stats.Bytes) / 1e6
	fmt.Fprintf(stderr, "%s: %d keys, %d with expiry, %.1f MB, %.0f MB/s\n", o.set, stats.Keys, stats.Expiring, mb, mb/time.Since(start).Seconds())
	return 0
}

type options struct {
	set, flavor    string
	keys, elements int
	seed           uint64
}

func writeTo(name string, stdout io.Writer, o options) (_ dataset.Stats, err error) {
	if name == "" {
		return o.write(stdout)
	}
	f, err := os.Create(name)
	if err != nil {
		return dataset.Stats{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return o.write(f)
}

func (o options) write(w io.Writer) (dataset.Stats, error) {
	keys := func(byDefault int) int {
		if o.keys < 0 {
			return byDefault
		}
		return o.keys
	}
	switch o.set {
	case "mixed":
		return dataset.Mixed(w, keys(dataset.MixedKeys), o.seed)
	case "small":
		return dataset.Small(w, keys(dataset.SmallKeys), o.seed)
	case "strings":
		return dataset.BigStrings(w, keys(dataset.BigStringKeys), o.seed)
	case "collections":
		return dataset.BigCollections(w, keys(10), o.elements, o.seed)
	case "huge":
		percent := uint64(keys(100))
		sizes := dataset.DefaultHuge
		sizes.ZsetMembers = sizes.ZsetMembers * percent / 100
		sizes.HashFields = sizes.HashFields * percent / 100
		sizes.StringBytes = sizes.StringBytes * percent / 100
		return dataset.Huge(w, sizes, o.seed)
	case "sample":
		f, err := dataset.FlavorByName(o.flavor)
		if err != nil {
			return dataset.Stats{}, err
		}
		return dataset.Sample(w, f)
	default:
		return dataset.Stats{}, fmt.Errorf("no set is named %q", o.set)
	}
}
