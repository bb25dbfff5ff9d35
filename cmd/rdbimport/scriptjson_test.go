package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
)

// jsonField decodes standard output, which has to be one JSON object, and compares
// the field at a path with a pattern that fits all of it: a number without
// exponent, a text, true, false, null, or the number of elements of a list as
// "3 of".
//
//	json dump.refused.keys 10
//	json obstacles.0.text '.*databases.*'
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: json PATH PATTERN")
	}
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	var at any
	if err := dec.Decode(&at); err != nil {
		ts.Fatalf("standard output: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		ts.Fatalf("more than one object on standard output")
	}
	for name := range strings.SplitSeq(args[0], ".") {
		switch x := at.(type) {
		case map[string]any:
			value, ok := x[name]
			if !ok {
				value = "absent"
			}
			at = value
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(x) {
				ts.Fatalf("%s: no %q in a list of %d", args[0], name, len(x))
			}
			at = x[i]
		default:
			ts.Fatalf("%s: no %q in %v", args[0], name, at)
		}
	}
	got := fmt.Sprint(at)
	switch x := at.(type) {
	case nil:
		got = "null"
	case []any:
		got = fmt.Sprintf("%d of", len(x))
	}
	if !regexp.MustCompile("^(?s:" + args[1] + ")$").MatchString(got) {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

// writeOn has a key written to, again and again, until it is told to stop.
//
//	writer on KEY
//	writer off
func writeOn(ts *testscript.TestScript, _ bool, args []string) {
	n := nodesOf(ts)
	if args[0] == "off" {
		n.rest()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	owner := ownerOf(ts, n.list, args[1])
	var work sync.WaitGroup
	var failed error
	work.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := owner.Set(ctx, args[1], i, 0).Err(); err != nil && ctx.Err() == nil {
				failed = err
				return
			}
		}
	})
	n.rest = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		ts.Check(failed)
	})
	ts.Defer(n.rest)
}

// ownerOf returns the node that takes a key.
func ownerOf(ts *testscript.TestScript, list []*redis.Client, key string) *redis.Client {
	for _, c := range list {
		if err := c.Type(context.Background(), key).Err(); err == nil {
			return c
		}
	}
	ts.Fatalf("no node has key %s", key)
	return nil
}
