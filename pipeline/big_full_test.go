package pipeline_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestBigEvicted removes the temporary key in mid-value, as a server does that is
// full: the value is written anew.
func TestBigEvicted(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	n, c := lc.Nodes()[0], connect(t, lc.URL())
	for _, k := range pieceKinds[1:] {
		for _, policy := range policies {
			flush(t, lc)
			dump := oneKey(t, k.typ, "large", k.value(30_000), 0)
			g, opts := part(dump, 0.7), pieces(policy)
			gates := []gate{g}
			if k.name == "stream" { // it is read before it is written
				gates, opts.Rate = nil, 3<<20
			}
			r := begin(t, c, dump, opts, gates...)
			_, temporary := inPieces(t, lc)
			must(t, n, "DEL", temporary)
			close(g.open)
			res, err := r.end()
			if err != nil || res.Restored != 1 || res.Retries == 0 {
				t.Errorf("%s, %s: %v, %+v", k.name, policy, err, res)
			}
			whole(t, lc, dump)
		}
	}
}

// TestBigEvictedExpiring does so with a hash all fields of which expire some day:
// what may have expired in the meantime does not excuse what is missing.
func TestBigEvictedExpiring(t *testing.T) {
	t.Parallel()
	for _, s := range matrixServers(t) {
		if !hasFieldExpiry(s.version) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			lc := start(t, localcluster.Options{Standalone: true, Binary: s.binary})
			n, c := lc.Nodes()[0], connect(t, lc.URL())
			var fields []dataset.Field
			for i, name := range manyTexts("field", 30_000) {
				fields = append(fields, dataset.Field{Name: name, Value: []byte("value"), ExpireMs: time.Now().UnixMilli() + 60_000 + int64(i)})
			}
			dump := oneKey(t, dataset.TypeHashMetadata, "large", dataset.AppendHashMetadata(nil, fields), 0)
			g := part(dump, 0.7)
			r := begin(t, c, dump, pieces(pipeline.ConflictFail), g)
			_, temporary := inPieces(t, lc)
			must(t, n, "DEL", temporary)
			close(g.open)
			res, err := r.end()
			if err != nil || res.Restored != 1 {
				t.Errorf("%v, %+v", err, res)
			}
			whole(t, lc, dump)
		})
	}
}

// TestBigEvictedAgainAndAgain removes every temporary key there is: the key is
// refused in the end, and stays as it was.
func TestBigEvictedAgainAndAgain(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	n, c := lc.Nodes()[0], connect(t, lc.URL())
	must(t, n, "SET", "large", "is there")
	dump := oneKey(t, dataset.TypeList, "large", pieceKinds[1].value(200_000), 0)
	r := begin(t, c, dump, pieces(pipeline.ConflictReplace))
	for {
		select {
		case <-r.done:
		default:
			for _, key := range temporaryKeys(t, n) {
				must(t, n, "DEL", key)
			}
			continue
		}
		break
	}
	res, err := r.end()
	if err != nil || res.Failed != 1 || len(res.Errors) != 1 || !strings.Contains(res.Errors[0].Reason, "keeps losing parts") {
		t.Errorf("%v, %+v", err, res)
	}
	if got := n.Client().Get(t.Context(), "large").Val(); got != "is there" {
		t.Errorf("the key is %q", got)
	}
	noTemporary(t, lc)
}

// TestBigTargetFull writes a value that the master has no room for.
func TestBigTargetFull(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	n, c := lc.Nodes()[0], connect(t, lc.URL())
	for _, k := range pieceKinds {
		dump := oneKey(t, k.typ, "large", k.value(60_000), 0)
		for _, policy := range policies {
			t.Run(k.name+" "+policy.String(), func(t *testing.T) {
				must(t, n, "CONFIG", "SET", "maxmemory", 0)
				flush(t, lc)
				if policy == pipeline.ConflictReplace {
					must(t, n, "SET", "large", "is there")
				}
				before := contentOf(t, n.Client(), "large")
				limitMemory(t, lc, 512<<10, "noeviction")
				res, err := begin(t, c, dump, pieces(policy)).end()
				if !errors.Is(err, pipeline.ErrTargetFull) || !strings.Contains(err.Error(), `"large"`) || res.Read != 0 {
					t.Errorf("%v, %+v", err, res)
				}
				if contentOf(t, n.Client(), "large") != before {
					t.Error("the key is not as it was")
				}
				noTemporary(t, lc)

				opts := pieces(policy)
				opts.WaitOnOOM, opts.RetryTimeout = true, time.Second
				r := begin(t, c, dump, opts)
				await(t, "the master to refuse", func() bool { return r.im.Snapshot().Retries >= 2 })
				must(t, n, "CONFIG", "SET", "maxmemory", 0)
				r.complete(1)
				whole(t, lc, dump)
			})
		}
	}
}
