package pipeline_test

import (
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/pipeline"
	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// TestCannotReadBack meets a key that is there with a value which the server breaks the
// connection over, among others that are there as they should be. The import must end
// with that key's name, and settle the others.
func TestCannotReadBack(t *testing.T) {
	t.Parallel()
	const n = 300
	lc := start(t, localcluster.Options{Standalone: true, Config: []string{"rdbcompression no", "client-output-buffer-limit normal 1mb 0 0"}})
	dump := manyStrings(t, n)
	begin(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail)).complete(n)
	server := lc.Nodes()[0]
	must(t, server, "SET", "key:200", strings.Repeat("x", 4<<20))
	res, err := begin(t, connect(t, lc.URL()), dump, all(pipeline.ConflictFail)).end()
	if err == nil || !strings.Contains(err.Error(), `key "key:200" exists on `+server.Addr) {
		t.Errorf("%v, %+v", err, res)
	}
	if res.Existing != n-1 || res.Failed != 1 || len(res.Errors) != 1 || !strings.Contains(res.Errors[0].Reason, "cannot be read back") {
		t.Errorf("%+v", res)
	}
}
