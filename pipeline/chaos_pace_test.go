package pipeline_test

import (
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestStandalonePaced freezes the replica of a standalone server, which no slot map shows,
// for as long as it takes the import to wait for it: it must not be cut off.
func TestStandalonePaced(t *testing.T) {
	t.Parallel()
	lc := start(t, localcluster.Options{Standalone: true, Replicas: 1,
		Config: []string{"client-output-buffer-limit replica 8mb 4mb 60", "repl-backlog-size 1mb"}})
	const n = 250_000 // about 30 MB
	replica, server := lc.Replicas(0)[0], lc.Masters()[0].Client()
	must(t, lc.Masters()[0], "SET", "other", "key")
	await(t, "the replica to say how far it is", func() bool {
		text := server.Info(t.Context(), "replication").Val()
		return strings.Contains(text, "state=online") && !strings.Contains(text, "offset=0,")
	})
	full := number(t, server, "Stats", "sync_full")
	r := begin(t, connect(t, lc.URL()), numbered(t, n), all(pipeline.ConflictFail))
	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	await(t, "the import to wait for the replica", func() bool {
		select {
		case <-r.done:
			t.Fatalf("the import has not waited: %v, %+v", r.err, r.res)
		default:
		}
		return r.im.Snapshot().Paced > 0
	})
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	r.complete(n)
	if now := number(t, server, "Stats", "sync_full"); now != full {
		t.Errorf("the replica was cut off, and has begun anew %d times", now-full)
	}
}
