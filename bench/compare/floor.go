package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/rdbimport/rdbimport/bench/floor"
	"github.com/rdbimport/rdbimport/slotter"
)

// floorCommand is the argument with which this program starts itself to be the
// floor: only in a process of its own can the processor time be told.
//
//	compare floor-child DUMP TARGET
//
// It renders the commands and then prints a line. For each line that it reads
// it connects, sends all commands and prints a floor.Result, until its input
// ends.
const floorCommand = "floor-child"

// serveFloor is the floor's process.
func serveFloor(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("it takes a dump and a target")
	}
	target, err := slotter.ParseTarget(args[1])
	if err != nil {
		return err
	}
	cluster, err := slotter.Connect(ctx, target, slotter.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Close() }()
	streams, err := renderFile(ctx, args[0], cluster)
	if err != nil {
		return err
	}
	runtime.GC()
	debug.SetGCPercent(-1) // nothing is allocated from here on that would count
	enc := json.NewEncoder(out)
	if err := enc.Encode(floor.Result{}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		conns, err := floor.Dial(ctx, cluster, streams, 0)
		if err != nil {
			return err
		}
		res, err := floor.Send(ctx, streams, conns)
		if err != nil {
			return err
		}
		if err := enc.Encode(res); err != nil {
			return err
		}
	}
	return nil
}

func renderFile(ctx context.Context, file string, cluster *slotter.Cluster) ([]*floor.Stream, error) {
	m, err := cluster.Map(ctx)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return floor.Render(f, m, floor.Options{Now: time.Now()})
}

// A floorProcess is the floor's process as seen from outside.
type floorProcess struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	stderr tail
}

// startFloor starts the floor's process and waits until it has rendered all.
func startFloor(ctx context.Context, dump, target string) (*floorProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &floorProcess{cmd: exec.CommandContext(ctx, self, floorCommand, dump, target)}
	p.cmd.Stderr = &p.stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := p.answer(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// run has it send everything once.
func (p *floorProcess) run() (cost, error) {
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		return cost{}, fmt.Errorf("floor: %w", err)
	}
	res, err := p.answer()
	return cost{Wall: res.Wall.Seconds(), User: res.User.Seconds(), System: res.System.Seconds()}, err
}

func (p *floorProcess) answer() (res floor.Result, err error) {
	if err = p.out.Decode(&res); err != nil {
		err = fmt.Errorf("the floor's process ended: %w", err)
	}
	return res, err
}

// stop ends the process. Its error is what it wrote before it ended by itself.
func (p *floorProcess) stop() error {
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, &p.stderr)
	}
	return nil
}
