package pipeline

import (
	"math"
	"testing"
)

func TestCounted(t *testing.T) {
	for _, tc := range []struct {
		n    int64
		noun string
		want string
	}{
		{0, "key", "0 keys"}, {1, "key", "1 key"}, {2, "key", "2 keys"},
		{1, "pending entry", "1 pending entry"}, {3, "pending entry", "3 pending entries"},
	} {
		if got := counted(tc.n, tc.noun); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// TestExpiryDiffers: a difference is later or sooner, and never a negative number.
func TestExpiryDiffers(t *testing.T) {
	for _, tc := range []struct {
		want, have int64
		text       string
	}{
		{0, -1, ""},
		{0, 1000, "it has an expiry, and none in the dump"},
		{1000, -1, "it has no expiry, and one in the dump"},
		{1000, 1000 + ttlTolerance, ""},
		{9000, 9000 - ttlTolerance, ""},
		{1000, 6000, "it expires 5000 ms later than in the dump"},
		{6000, 1000, "it expires 5000 ms sooner than in the dump"},
		{math.MaxInt64, 0, "it expires 9223372036854775807 ms sooner than in the dump"},
	} {
		if got := expiryDiffers(tc.want, tc.have, ttlTolerance); got != tc.text {
			t.Errorf("%d in place of %d: got %q, want %q", tc.have, tc.want, got, tc.text)
		}
	}
}
