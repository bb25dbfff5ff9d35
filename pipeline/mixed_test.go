package pipeline_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// mixedBinary returns a server's binary that runs one server, the second that is started,
// of the version second, and all others of the version first.
func mixedBinary(t *testing.T, first, second matrixServer) string {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "server")
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = --version ] && exec '%[1]s' "$@"
mkdir '%[3]s/first' 2>/dev/null && exec '%[1]s' "$@"
mkdir '%[3]s/second' 2>/dev/null && exec '%[2]s' "$@"
exec '%[1]s' "$@"
`, first.binary, second.binary, dir)
	noError(t, os.WriteFile(name, []byte(script), 0o700))
	return name
}

// TestMixedVersions imports streams, with elements of the lengths of which the servers
// read listpacks differently, into a cluster with masters of both kinds: such streams are
// written in pieces, whoever renders them, and arrive.
func TestMixedVersions(t *testing.T) {
	t.Parallel()
	old, newer := matrixServerNamed(t, "valkey-8.1"), matrixServerNamed(t, "valkey-9.1")
	lc := start(t, localcluster.Options{Binary: mixedBinary(t, old, newer), Config: []string{"sanitize-dump-payload yes"}})
	versions := map[string]int{}
	for _, n := range masters(lc) {
		info := n.Info(t.Context(), "server").Val()
		_, behind, _ := strings.Cut(info, "valkey_version:")
		versions[behind[:3]]++
	}
	if versions["8.1"] != 2 || versions["9.1"] != 1 {
		t.Fatalf("no mixed cluster: %v", versions)
	}
	const streams = 30
	edge := []byte(strings.Repeat("e", 16378))
	var buf bytes.Buffer
	w := dataset.NewWriter(&buf, "REDIS0011")
	w.SelectDB(0)
	for i := range streams {
		var entries []dataset.StreamEntry
		for ms, value := range [][]byte{edge, []byte("v"), []byte("w")} {
			entries = append(entries, dataset.StreamEntry{ID: dataset.StreamID{Ms: uint64(1000 + ms)}, Fields: [][]byte{[]byte("f"), value}})
		}
		s := dataset.NewStream(entries, 2)
		s.Groups = manyEntries(5).Groups
		if i%3 == 0 {
			w.ExpireMs(future)
		}
		w.Key(dataset.TypeStream2, fmt.Appendf(nil, "stream:%d", i), dataset.AppendStream(nil, dataset.TypeStream2, s))
		w.Key(dataset.TypeString, fmt.Appendf(nil, "string:%d", i), dataset.AppendString(nil, "v"))
	}
	noError(t, w.Close())
	values := valuesIn(t, buf.Bytes())
	c := connect(t, lc.URL())
	m, err := c.Map(t.Context())
	noError(t, err)
	if _, plan := plans(t, c, buf.Bytes(), allOptions()); plan.AsIs.Keys != 2*streams || len(plan.InPieces.Kinds) != 1 {
		t.Errorf("%+v", plan)
	}
	for _, n := range []int{-1, 2} {
		flush(t, lc)
		opts := all(pipeline.ConflictFail)
		opts.Encoders = n
		res, err := imports(t, c, buf.Bytes(), opts)
		if err != nil || res.Restored != 2*streams || res.Big != streams {
			t.Errorf("%d encoders: %v, %+v", n, err, res)
		}
		for key := range values {
			if !strings.HasPrefix(key, "stream:") {
				continue
			}
			client := c.Client(m.Masters[m.Owner(slotter.Slot([]byte(key)))].Addr)
			entries, err := client.XRange(t.Context(), key, "-", "+").Result()
			if err != nil || len(entries) != 3 || entries[0].Values["f"] != string(edge) || entries[1].Values["f"] != "v" {
				t.Errorf("%s: %d entries, %v", key, len(entries), err)
			}
			if groups := client.XInfoGroups(t.Context(), key).Val(); len(groups) != 2 || groups[1].Pending != 3 {
				t.Errorf("%s: %+v", key, groups)
			}
		}
		again, err := imports(t, c, buf.Bytes(), opts)
		if err != nil || again.Existing != 2*streams {
			t.Errorf("%d encoders, again: %v, %+v", n, err, again)
		}
		noTemporary(t, lc)
	}
	if res, found := verifies(t, c, buf.Bytes(), verifyOpts()); res.Same != 2*streams {
		t.Errorf("%+v, %v", res, found)
	}
}

// TestMixedOffsets imports streams of Redis 7.0 into a cluster in which not every master
// knows what they have: those that do get no more than the others, and it is no difference.
func TestMixedOffsets(t *testing.T) {
	t.Parallel()
	old, newer := matrixServerNamed(t, "redis-6.0"), matrixServerNamed(t, "redis-7.0")
	lc := start(t, localcluster.Options{Binary: mixedBinary(t, old, newer)})
	const streams = 30
	dump := written(t, "REDIS0010", func(w *dataset.Writer) {
		w.SelectDB(0)
		for i := range streams {
			s := manyEntries(20)
			s.EntriesAdded, s.MaxDeletedID = 100, dataset.StreamID{Ms: 1001}
			w.Key(dataset.TypeStream2, fmt.Appendf(nil, "stream:%d", i), dataset.AppendStream(nil, dataset.TypeStream2, s))
		}
	})
	c := connect(t, lc.URL())
	ways := map[string]pipeline.Options{"whole": all(pipeline.ConflictFail), "in pieces": pieces(pipeline.ConflictFail)}
	for how, opts := range ways {
		flush(t, lc)
		if res, err := bigImports(t, c, dump, opts); err != nil || res.Restored != streams {
			t.Errorf("%s: %v, %+v", how, err, res)
		}
		if _, found := verifies(t, c, dump, verifyOpts()); len(found) > 0 {
			t.Errorf("%s, compared whole: %v", how, found)
		}
		if _, found := bigVerifies(t, c, dump, small); len(found) > 0 {
			t.Errorf("%s, compared in parts: %v", how, found)
		}
		for way, opts := range ways {
			if res, err := bigImports(t, c, dump, opts); err != nil || res.Existing != streams {
				t.Errorf("%s, again %s: %v, %+v", how, way, err, res)
			}
		}
	}
}
