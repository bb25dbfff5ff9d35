package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// checkpointSays reads where a checkpoint is; false if there is none yet.
func checkpointSays(name string) (current int, offset int64, ok bool) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, false
	}
	var c checkpoint
	if err := json.Unmarshal(text, &c); err != nil {
		return 0, 0, false
	}
	if c.Mark != nil {
		offset = c.Mark.Offset
	}
	return c.Current, offset, true
}

// errEnded is the error of a wait for a program that has ended.
var errEnded = errors.New("it ended before")

// until waits until cond holds while the program runs.
func (p *program) until(cond func() bool) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(patience)
	for !cond() {
		select {
		case err := <-p.ended:
			p.ended <- err
			return errEnded
		case <-ticker.C:
		}
		if time.Now().After(deadline) {
			return errors.New("it does not get there")
		}
	}
	return nil
}

// halted runs rdbimport until its checkpoint has come to source CURRENT and to
// a place behind OFFSET in it, and sends it a signal.
//
//	halt INT|KILL CHECKPOINT CURRENT:OFFSET [<FILE] ARG...
func halted(ts *testscript.TestScript, _ bool, args []string) {
	sig, file, rest := syscall.SIGINT, ts.MkAbs(args[1]), args[3:]
	if args[0] == "KILL" {
		sig = syscall.SIGKILL
	}
	var current int
	var offset int64
	_, err := fmt.Sscanf(args[2], "%d:%d", &current, &offset)
	ts.Check(err)
	var input []byte
	if name, ok := strings.CutPrefix(rest[0], "<"); ok {
		input, rest = []byte(ts.ReadFile(name)), rest[1:]
	}
	p := startProgram(ts, input, rest, "")
	err = p.until(func() bool {
		c, o, ok := checkpointSays(file)
		return ok && c == current && o > offset
	})
	if err != nil {
		p.kill()
		ts.Fatalf("%v\n%s", err, p.stderr.String())
	}
	ts.Check(p.cmd.Process.Signal(sig))
	p.wait(ts)
}

// twice runs rdbimport until it has written its checkpoint, then a second time
// beside it, to its end, and kills the first.
//
//	twice CHECKPOINT ARG...
func twice(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	p := startProgram(ts, nil, args[1:], "")
	defer p.kill()
	err := p.until(func() bool {
		_, _, ok := checkpointSays(file)
		return ok
	})
	if err != nil {
		ts.Fatalf("%v\n%s", err, p.stderr.String())
	}
	startProgram(ts, nil, args[1:], "").wait(ts)
}

// inMidValue runs rdbimport until a key in which a value is collected, and which
// its checkpoint names, has MEMBERS members or fields on the target, and kills it.
//
//	midvalue CHECKPOINT MEMBERS [<FILE] ARG...
func inMidValue(ts *testscript.TestScript, _ bool, args []string) {
	file, least, rest := ts.MkAbs(args[0]), int64(number(ts, args[1])), args[2:]
	var input []byte
	if name, ok := strings.CutPrefix(rest[0], "<"); ok {
		input, rest = []byte(ts.ReadFile(name)), rest[1:]
	}
	p := startProgram(ts, input, rest, "")
	err := p.until(func() bool {
		c, err := readCheckpoint(file)
		if err != nil || c == nil {
			return false
		}
		for _, t := range c.Temporary {
			for _, n := range nodesOf(ts).list {
				// Of the wrong type or on another node: 0.
				key := string(t.Key)
				if n.ZCard(context.Background(), key).Val()+n.HLen(context.Background(), key).Val() >= least {
					return true
				}
			}
		}
		return false
	})
	if err != nil {
		p.kill()
		ts.Fatalf("%v\n%s", err, p.stderr.String())
	}
	ts.Check(p.cmd.Process.Signal(syscall.SIGKILL))
	p.wait(ts)
}

// spooled runs rdbimport with FILE on its standard input, and makes sure that it
// takes all of it before half of the KEYS have arrived.
//
//	spooled FILE KEYS ARG...
func spooled(ts *testscript.TestScript, _ bool, args []string) {
	p := startProgram(ts, []byte(ts.ReadFile(args[0])), args[2:], "")
	fed := func() bool {
		select {
		case <-p.fed:
			return true
		default:
			return false
		}
	}
	err := p.until(fed)
	arrived := keysOn(ts)
	if err != nil || arrived >= int64(number(ts, args[1]))/2 {
		p.kill()
		ts.Fatalf("%d keys had arrived when all was read: %v\n%s", arrived, err, p.stderr.String())
	}
	ts.Check(p.stdin.Close())
	p.wait(ts)
}
