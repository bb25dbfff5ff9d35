package pipeline_test

import (
	"fmt"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// streamDumps has each server make streams, and each server load those of each: what a
// server knows of a stream that another has made is not always what it would know of its
// own.
func streamDumps(t *testing.T, all []matrixServer) map[string][]byte {
	t.Helper()
	dumps := map[string][]byte{}
	var running []*localcluster.Cluster
	for _, s := range all {
		lc := s.run(t, true)
		running = append(running, lc)
		f := &filler{t: t, c: lc.Nodes()[0].Client(), v: s.version}
		f.streams()
		f.awkwardStreams()
		f.flush()
		dumps[s.name] = save(t, lc.Nodes()[0], false)
	}
	for i, s := range all {
		for _, from := range all {
			s.empty(t, running[i], false)
			if res, err := imports(t, connect(t, running[i].URL()), dumps[from.name], allOptions()); err != nil || res.Failed != 0 {
				t.Fatalf("from %s to %s: %v, %+v", from.name, s.name, err, res)
			}
			dumps[from.name+" by "+s.name] = save(t, running[i].Nodes()[0], false)
		}
		noError(t, running[i].Stop())
	}
	return dumps
}

// awkwardStreams makes streams of which a server does not know everything, or what no
// command can set anew.
func (f *filler) awkwardStreams() {
	const middle, front, none = "stream:middle", "stream:front", "stream:none"
	for i := range 30 {
		for _, key := range []string{middle, front, none} {
			f.do("XADD", key, fmt.Sprintf("%d-1", i+1), "field", "a value of some length")
		}
	}
	for _, key := range []string{middle, front, none} {
		f.do("XGROUP", "CREATE", key, "early", "0")
		f.do("XGROUP", "CREATE", key, "group", "0")
		f.do("XGROUP", "CREATE", key, "tail", "$")
		f.do("XREADGROUP", "GROUP", "group", "ann", "COUNT", 20, "STREAMS", key, ">")
		f.do("XREADGROUP", "GROUP", "group", "idle", "STREAMS", key, "0")
		f.do("XREADGROUP", "GROUP", "tail", "idle", "STREAMS", key, "0")
	}
	f.do("XDEL", middle, "7-1", "8-1", "25-1")
	f.do("XTRIM", front, "MAXLEN", 15)
	f.do("XTRIM", none, "MAXLEN", 0)
}

// TestStreamsArrive imports streams, held and in pieces, from each server and what each
// has made of them into each server, and compares them in both ways: whole and in parts.
// There is no difference, and an import that is made again has no conflict.
func TestStreamsArrive(t *testing.T) {
	servers := matrixServers(t)
	dumps := streamDumps(t, servers)
	ways := map[string]pipeline.Options{"whole": all(pipeline.ConflictFail), "in pieces": pieces(pipeline.ConflictFail)}
	for _, to := range servers {
		t.Run("to "+to.name, func(t *testing.T) {
			t.Parallel()
			lc := to.run(t, true)
			c := connect(t, lc.URL())
			for from, dump := range dumps {
				n := len(valuesIn(t, dump))
				for how, opts := range ways {
					to.empty(t, lc, false)
					res, err := bigImports(t, c, dump, opts)
					if err != nil || int(res.Restored) != n {
						t.Fatalf("%s, %s: %v, %+v", from, how, err, res)
					}
					what := fmt.Sprintf("from %s, %s", from, how)
					if _, found := bigVerifies(t, c, dump, small); len(found) > 0 {
						t.Errorf("%s, compared in parts: %v", what, found)
					}
					if _, found := verifies(t, c, dump, verifyOpts()); len(found) > 0 {
						t.Errorf("%s, compared whole: %v", what, found)
					}
					for way, opts := range ways {
						if res, err := bigImports(t, c, dump, opts); err != nil || int(res.Existing) != n {
							t.Errorf("%s, again %s: %v, %+v", what, way, err, res)
						}
					}
				}
			}
		})
	}
}
