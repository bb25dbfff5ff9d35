package pipeline

import (
	"maps"
	"testing"
)

// TestKeyspace reads what INFO says of the databases among what else it says.
func TestKeyspace(t *testing.T) {
	have := keyspace(map[string]string{
		"db0": "keys=12,expires=3,avg_ttl=0", "db15": "keys=7", "run_id": "keys=1",
		"db1": "none", "db2": "keys=many,expires=0", "dbx": "keys=1", "16": "keys=1", "db4294967296": "keys=1",
	})
	if want := map[uint32]int64{0: 12, 15: 7}; !maps.Equal(have, want) {
		t.Errorf("%v, not %v", have, want)
	}
}
