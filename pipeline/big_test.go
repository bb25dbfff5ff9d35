package pipeline_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/rdbparse"
	"github.com/rdbimport/rdbimport/rdbparse/element"
	"github.com/rdbimport/rdbimport/slotter"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
	"github.com/redis/go-redis/v9"
)

// bigImports imports a dump of which values above opts.BigValue bytes are written
// in pieces.
func bigImports(t *testing.T, c *slotter.Cluster, dump []byte, opts pipeline.Options) (pipeline.Result, error) {
	t.Helper()
	im, err := pipeline.New(t.Context(), c, opts)
	noError(t, err)
	sc := rdbparse.NewScanner(bytes.NewReader(dump), rdbparse.Options{MaxValue: opts.HeldValue(), MaxParts: opts.HeldParts(), Again: bytes.NewReader(dump)})
	ferr := im.NewFeeder().Feed(sc)
	res, err := im.Close()
	if ferr != nil && err == nil {
		t.Fatalf("feed: %v", ferr)
	}
	if sum := res.Restored + res.Existing + res.Expired + res.Filtered + res.Failed + res.Unsettled; sum != res.Read {
		t.Errorf("%d keys read, but the counts add up to %d: %+v", res.Read, sum, res)
	}
	return res, err
}

// noTemporary fails the test if a key stays in which a value was collected. A
// replica may be behind, so it has some time.
func noTemporary(t *testing.T, lc *localcluster.Cluster) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var left []string
	for end := time.After(10 * time.Second); ; {
		left = left[:0]
		for _, n := range lc.Nodes() {
			left = append(left, temporaryKeys(t, n)...)
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Errorf("%q are left", left)
			return
		}
	}
}

// TestPieces writes random values of every type in pieces, whatever their size,
// into every server, has the server dump them, and compares their meaning. Then
// it does so again: each key is found to be there, by reading it in ranges and, in another
// import, as a whole.
func TestPieces(t *testing.T) {
	dumps := randomDumps(t, 11)
	for _, s := range matrixServers(t) {
		t.Run(s.name, func(t *testing.T) {
			lc := s.run(t, true)
			c := connect(t, lc.URL())
			for _, dump := range dumps {
				for _, conflict := range []pipeline.Conflict{pipeline.ConflictFail, pipeline.ConflictReplace} {
					s.empty(t, lc, false)
					piecesAndDump(t, s, c, lc.Nodes()[0].Client(), dump, conflict)
					noTemporary(t, lc)
				}
			}
		})
	}
}

func piecesAndDump(t *testing.T, s matrixServer, c *slotter.Cluster, client *redis.Client, dump []byte, conflict pipeline.Conflict) {
	t.Helper()
	opts := all(conflict)
	opts.BigValue = 1
	first, err := bigImports(t, c, dump, opts)
	noError(t, err)
	if first.Big == 0 {
		t.Error("no value was written in pieces")
	}
	refused := int64(0)
	for key, v := range valuesIn(t, dump) {
		if hasFields(v) && !hasFieldExpiry(s.version) {
			refused++
			continue
		}
		comparePieces(t, client, key, v)
	}
	for _, e := range first.Errors {
		t.Log(e)
	}
	if first.Failed != refused || first.Restored != first.Read-refused {
		t.Errorf("%d keys refused, expected %d: %+v", first.Failed, refused, first)
	}
	again, err := bigImports(t, c, dump, opts)
	noError(t, err)
	if conflict == pipeline.ConflictFail {
		if again.Existing != first.Restored || again.Restored != 0 || again.Failed != first.Failed {
			t.Errorf("imported: %+v\nand again: %+v", first, again)
		}
		whole, err := imports(t, c, dump, all(conflict)) // by commands of one value each
		if err != nil || whole.Existing != first.Restored {
			t.Errorf("imported: %+v\nand again, whole: %+v, %v", first, whole, err)
		}
	} else if again.Restored != first.Restored {
		t.Errorf("imported: %+v\nand again: %+v", first, again)
	}
}

// comparePieces compares what a server dumps with a value that was written to it
// in pieces. No command sets when the consumers of a stream were seen.
func comparePieces(t *testing.T, client *redis.Client, key string, want element.Value) {
	t.Helper()
	if want.Type.Kind != rdbparse.KindStream {
		compareDumped(t, client, key, want)
		return
	}
	dump, err := client.Dump(t.Context(), key).Bytes()
	if err != nil {
		t.Errorf("key %.50q, %v: %v", key, want.Type.Type, err)
		return
	}
	have, err := element.ParsePayload(dump)
	noError(t, err)
	a, b := streamParts(t, want, have.Type), streamParts(t, have, want.Type)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("key %.50q, %v, came back as %v:\n%s", key, want.Type.Type, have.Type.Type, cmp.Diff(a, b))
	}
}

// streamParts returns the parts of a stream, but for what the other encoding does
// not have.
func streamParts(t *testing.T, v element.Value, other *rdbparse.TypeInfo) (parts []element.Element) {
	t.Helper()
	oldest := min(v.Type.Type, other.Type)
	r := element.Open(v)
	for r.Next() {
		el := *r.Element()
		el.Key, el.Value = bytes.Clone(el.Key), nil
		pairs := el.Pairs
		el.Pairs = nil
		for _, p := range pairs {
			if el.Kind == element.Entry {
				el.Pairs = append(el.Pairs, bytes.Clone(p))
			}
		}
		switch el.Kind {
		case element.Consumer:
			el.Time, el.Active = 0, 0
		case element.Stream, element.Group:
			if oldest == rdbparse.TypeStreamListpacks {
				el.Info = element.StreamInfo{Length: el.Info.Length, LastID: el.Info.LastID}
				el.Read = 0
			}
		}
		keep := element.Element{Kind: el.Kind, Key: el.Key, Pairs: el.Pairs}
		switch el.Kind {
		case element.Entry, element.Owned:
			keep.ID = el.ID
		case element.Stream:
			keep.Info = el.Info
		case element.Group:
			keep.ID, keep.Read = el.ID, el.Read
		case element.Pending:
			keep.ID, keep.Time, keep.Count = el.ID, el.Time, el.Count
		case element.Consumer:
		default:
			t.Errorf("a part of kind %v", el.Kind)
		}
		if el.Kind != element.Consumer && el.Kind != element.Group {
			keep.Key = nil
		}
		parts = append(parts, keep)
	}
	noError(t, r.Err())
	return parts
}
