package pipeline

import "testing"

func TestEvictedSince(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after evictCount
		want          int64
	}{
		{"the same process", evictCount{"a", 10}, evictCount{"a", 12}, 2},
		{"nothing", evictCount{"a", 10}, evictCount{"a", 10}, 0},
		{"restarted", evictCount{"a", 10}, evictCount{"b", 2}, 2},
		{"restarted, and more than before", evictCount{"a", 10}, evictCount{"b", 12}, 12},
		{"counts reset", evictCount{"a", 10}, evictCount{"a", 2}, 2},
		{"not known before", evictCount{}, evictCount{"a", 2}, 2},
	} {
		if got := tc.after.since(tc.before); got != tc.want {
			t.Errorf("%s: %d keys evicted, want %d", tc.name, got, tc.want)
		}
	}
}
