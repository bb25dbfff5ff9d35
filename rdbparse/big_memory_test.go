package rdbparse_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"github.com/rdbimport/rdbimport/rdbparse"
)

// An endless is a dump of one huge value that is made as it is read.
type endless struct {
	head, tail []byte
	n          int64 // bytes between
	block      []byte
	at         int64
}

func (e *endless) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		var m int
		switch at := off + int64(n); {
		case at < int64(len(e.head)):
			m = copy(p[n:], e.head[at:])
		case at < int64(len(e.head))+e.n:
			at -= int64(len(e.head))
			m = copy(p[n:min(int64(len(p)), int64(n)+e.n-at)], e.block[at%int64(len(e.block)):])
		default:
			at -= int64(len(e.head)) + e.n
			if at >= int64(len(e.tail)) {
				return n, io.EOF
			}
			m = copy(p[n:], e.tail[at:])
		}
		n += m
	}
	return n, nil
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.ReadAt(p, e.at)
	e.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// TestBigMemory copies a string of a gigabyte, and again, in the memory of the
// buffer.
func TestBigMemory(t *testing.T) {
	const size = 1 << 30
	e := &endless{
		head: cat([]byte("REDIS0011"), 0, "key", 0x80, size>>24, 0, 0, 0), n: size, block: bytes.Repeat([]byte("0123456789abcdef"), 1<<14),
		tail: cat(0, "next", "value", 255, zeros(8)),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sc := rdbparse.NewScanner(e, rdbparse.Options{MaxValue: 1 << 20, Again: e})
	copied, keys := int64(0), 0
	for ; sc.Next(); keys++ {
		for range 2 {
			if v := sc.BigValue(); v != nil {
				if err := v.Copy(func(p []byte) error { copied += int64(len(p)); return nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	runtime.ReadMemStats(&after)
	if copied != 2*(size+5) || keys != 2 || sc.Err() != nil {
		t.Errorf("%d bytes copied, %d keys, %v", copied, keys, sc.Err())
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes allocated", used)
	}
}

// TestMaxValueMemory bounds what is allocated for values at the limit.
func TestMaxValueMemory(t *testing.T) {
	const limit = 1 << 20
	for _, size := range []int{limit - 5, limit + 1, 50 * limit} {
		e := &endless{head: cat([]byte("REDIS0011"), 0, "key", 0x80, size>>24, size>>16&255, size>>8&255, size&255), n: int64(size), block: make([]byte, 1<<16),
			tail: cat(255, zeros(8))}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sc := rdbparse.NewScanner(e, rdbparse.Options{MaxValue: limit, BufferSize: 100 << 10})
		for sc.Next() {
			if sc.Entry().Big != (size > limit) {
				t.Errorf("%d bytes: big %v", size, sc.Entry().Big)
			}
		}
		runtime.ReadMemStats(&after)
		// Buffers of 100, 200, 400 and 800 KiB, and of the limit.
		if used := after.TotalAlloc - before.TotalAlloc; sc.Err() != nil || used > 2*limit+600<<10 {
			t.Errorf("%d bytes: %d bytes allocated, %v", size, used, sc.Err())
		}
	}
}
