package slotter

import "testing"

// TestOldest: what a server is compatible with counts before its own number, a patch
// level does not, and of those that are alike the first one is taken.
func TestOldest(t *testing.T) {
	server := func(addr string, f Family, compatible, version Version) Server {
		return Server{Addr: addr, Family: f, Compatible: compatible, Version: version}
	}
	valkey := server("a", Valkey, Version{7, 2, 4}, Version{9, 1, 0})
	olderValkey := server("b", Valkey, Version{7, 2, 4}, Version{8, 1, 3})
	redis8 := server("c", Redis, Version{8, 0, 2}, Version{8, 0, 2})
	redis7 := server("d", Redis, Version{7, 0, 15}, Version{7, 0, 15})
	redis72 := server("f", Redis, Version{7, 2, 5}, Version{7, 2, 5})
	for _, c := range []struct {
		servers []Server
		want    string
	}{
		{[]Server{redis8}, "c"},
		{[]Server{redis8, valkey}, "a"},
		{[]Server{valkey, olderValkey, redis8}, "b"},
		{[]Server{valkey, redis7, olderValkey}, "d"},
		{[]Server{valkey, redis72}, "f"},
		{[]Server{redis8, server("e", Redis, Version{8, 0, 2}, Version{8, 0, 2})}, "c"},
	} {
		if got := Oldest(c.servers); got.Addr != c.want {
			t.Errorf("of %v: %s at %s, want the one at %s", c.servers, got, got.Addr, c.want)
		}
	}
}
