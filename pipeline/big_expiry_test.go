package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/pipeline/internal/proxy"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestBigExpiry imports large values with each kind of expiry.
func TestBigExpiry(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	c, n := connect(t, lc.URL()), lc.Nodes()[0]
	now := time.Now().UnixMilli()
	for _, k := range pieceKinds {
		for _, at := range []int64{0, future, now + 3_600_000, 1, now - 1000} {
			for _, policy := range policies {
				flush(t, lc)
				dump := oneKey(t, k.typ, "large", k.value(200), at)
				res, err := bigImports(t, c, dump, pieces(policy))
				noError(t, err)
				is := contentOf(t, n.Client(), "large")
				switch {
				case at != 0 && at <= now:
					if res.Expired != 1 || is.value != "" {
						t.Errorf("%s, %s, expired at %d: %+v, %.50q", k.name, policy, at, res, is)
					}
				case res.Restored != 1 || is.value == "" || is.expiry != fmt.Sprint(max(at, 0)-b2i(at == 0)):
					t.Errorf("%s, %s, expires at %d: %+v, expiry %s", k.name, policy, at, res, is.expiry)
				}
			}
		}
	}
	noTemporary(t, lc)
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// beforeExpiry is how long after its dump is made a value expires whose import has to
// have begun by then, on a busy machine too.
const beforeExpiry = 4 * time.Second

// TestBigExpiresMeanwhile imports values that expire while they are written: they
// count as expired, and what is there stays as it was.
func TestBigExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true})
	c, n := connect(t, lc.URL()), lc.Nodes()[0]
	for _, policy := range policies {
		flush(t, lc)
		if policy == pipeline.ConflictReplace {
			must(t, n, "SET", "large", "is there")
		}
		value := pieceKinds[4].value(30_000)
		at := time.Now().Add(beforeExpiry)
		dump := oneKey(t, dataset.TypeHash, "large", value, at.UnixMilli())
		g := part(dump, 0.9)
		r := begin(t, c, dump, pieces(policy), g)
		inPieces(t, lc)
		await(t, "the expiry", func() bool { return time.Now().After(at.Add(100 * time.Millisecond)) })
		close(g.open)
		res, err := r.end()
		if err != nil || res.Expired != 1 || res.Restored != 0 {
			t.Errorf("%s: %v, %+v", policy, err, res)
		}
		if got := n.Client().Exists(t.Context(), "large").Val(); got != b2i(policy == pipeline.ConflictReplace) {
			t.Errorf("%s: %d keys", policy, got)
		}
		noTemporary(t, lc)
	}
}

// TestBigFieldsExpireMeanwhile imports a hash of which some fields, or all, expire
// while it is written.
func TestBigFieldsExpireMeanwhile(t *testing.T) {
	t.Parallel()
	for _, s := range matrixServers(t) {
		if !hasFieldExpiry(s.version) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			lc := s.run(t, true)
			c, n := connect(t, lc.URL()), lc.Nodes()[0]
			for every, policy := range map[int]pipeline.Conflict{1: pipeline.ConflictFail, 10: pipeline.ConflictReplace} {
				flush(t, lc)
				soon := time.Now().Add(beforeExpiry)
				var fields []dataset.Field
				for i, name := range manyTexts("field", 30_000) {
					f := dataset.Field{Name: name, Value: []byte("value")}
					if i%every == 0 {
						f.ExpireMs = soon.UnixMilli()
					}
					fields = append(fields, f)
				}
				dump := oneKey(t, dataset.TypeHashMetadata, "large", dataset.AppendHashMetadata(nil, fields), 0)
				g := part(dump, 0.9)
				r := begin(t, c, dump, pieces(policy), g)
				inPieces(t, lc)
				await(t, "the expiry", func() bool { return time.Now().After(soon.Add(100 * time.Millisecond)) })
				close(g.open)
				res, err := r.end()
				left := len(fields) - (len(fields)+every-1)/every
				// If all of them expire the key may still be there until the server notices.
				if err != nil || res.Restored+res.Expired != 1 || left > 0 && res.Expired > 0 {
					t.Errorf("%s: %v, %+v", policy, err, res)
				}
				await(t, "the fields to expire", func() bool { return len(n.Client().HKeys(t.Context(), "large").Val()) == left })
				noTemporary(t, lc)
			}
		})
	}
}

// TestBigFieldsExpireFarAway puts a hash in the place of another on a master 200 ms away,
// while a field of it expires every 50 ms: to a server that changes the key, between any
// two of its answers.
func TestBigFieldsExpireFarAway(t *testing.T) {
	t.Parallel()
	for _, s := range matrixServers(t) {
		if !hasFieldExpiry(s.version) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			lc := s.run(t, true)
			n := lc.Nodes()[0]
			g, c := behind(t, lc, 1)
			g.Set(proxy.Plan{RTT: 200 * time.Millisecond})
			must(t, n, "HSET", "large", "is", "there")
			soon := time.Now().UnixMilli() + 1000
			var fields []dataset.Field
			for i, name := range manyTexts("field", 5000) {
				f := dataset.Field{Name: name, Value: []byte("value")}
				if i%5 == 0 {
					f.ExpireMs = soon + int64(i)*10
				}
				fields = append(fields, f)
			}
			dump := oneKey(t, dataset.TypeHashMetadata, "large", dataset.AppendHashMetadata(nil, fields), 0)
			r := begin(t, c, dump, pieces(pipeline.ConflictReplace))
			await(t, "the last field to be about to expire", func() bool {
				select {
				case <-r.done:
					return true
				default:
					return time.Now().UnixMilli() > fields[4000].ExpireMs
				}
			})
			r.stop()
			res, err := r.end()
			if err != nil || res.Restored != 1 {
				t.Errorf("%v, %+v", err, res)
			}
			if left := n.Client().HLen(t.Context(), "large").Val(); left < 4000 || left > 5000 {
				t.Errorf("%d fields are there", left)
			}
			noTemporary(t, lc)
		})
	}
}
