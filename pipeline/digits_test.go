package pipeline

import (
	"math"
	"strconv"
	"testing"
	"unsafe"
)

// numbersAround are numbers around each at which something changes.
func numbersAround() []int64 {
	all := []int64{0, 1, 1023, 1024, 1025, 1_900_000_000_000, math.MaxInt64 - 1, math.MaxInt64}
	for n := int64(10); n < math.MaxInt64/10; n *= 10 {
		all = append(all, n-1, n, n+1, n*5, n*9+7)
	}
	return all
}

// checkNumber renders n in each way in the midst of other bytes.
func checkNumber(t *testing.T, n int64) {
	t.Helper()
	text := strconv.FormatInt(n, 10)
	for name, c := range map[string]struct {
		put  func([]byte) int
		want string
	}{
		"putDigits": {func(b []byte) int { return putDigits(b, uint64(n)) }, text},
		"putNumber": {func(b []byte) int {
			start := unsafe.Pointer(&b[0])
			return int(uintptr(putNumber(start, int(n))) - uintptr(start))
		}, text + "\r\n"},
		"putBulkNumber": {func(b []byte) int { return putBulkNumber(b, n) }, "$" + strconv.Itoa(len(text)) + "\r\n" + text + "\r\n"},
	} {
		b := make([]byte, 32)
		if size := c.put(b); string(b[:size]) != c.want {
			t.Errorf("%s of %d is %q, want %q", name, n, b[:size], c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, n := range numbersAround() {
		checkNumber(t, n)
	}
}

// TestEightDigits tries every number that one division can get.
func TestEightDigits(t *testing.T) {
	for n := range uint64(10_000) {
		for _, n := range []uint64{n, n * 10_000, n*10_000 + 9999 - n} {
			want := uint64(0)
			for i, c := range []byte(strconv.FormatUint(n+1e8, 10))[1:] {
				want |= uint64(c-'0') << (8 * i)
			}
			if got := eightDigits(n); got != want {
				t.Fatalf("eightDigits(%d) = %#x, want %#x", n, got, want)
			}
		}
	}
}

func FuzzNumbers(f *testing.F) {
	for _, n := range numbersAround() {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) { checkNumber(t, n&math.MaxInt64) })
}
