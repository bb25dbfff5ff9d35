package window_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/rdbimport/rdbimport/rdbparse/internal/crc64"
	"github.com/rdbimport/rdbimport/rdbparse/internal/window"
)

// TestReturn reads a stream in sections, goes back to the start of each at random,
// and expects the bytes that stand there, each kept once, and the checksum of the
// stream as if it had been read in one go.
func TestReturn(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, rnd.IntN(5000))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		in := io.Reader(bytes.NewReader(data))
		if seed%3 == 0 {
			in = iotest.OneByteReader(in)
		}
		w := window.New(in, 16+rnd.IntN(100))
		w.StartSum()
		for w.Offset() < int64(len(data)) {
			section(t, w, data, rnd)
			if t.Failed() {
				t.Fatal("seed ", seed)
			}
		}
		if w.Need(1) || w.Err() != io.ErrUnexpectedEOF || !w.Broken() {
			t.Errorf("at the end: %v", w.Err())
		}
		if !w.Summed() || w.Sum() != crc64.Update(0, data) {
			t.Errorf("seed %d: checksum %x", seed, w.Sum())
		}
	}
}

// section reads some of the stream, with bytes kept in a spool, or read again from
// data itself.
func section(t *testing.T, w *window.Window, data []byte, rnd *rand.Rand) {
	start := w.Offset()
	var spool []byte
	spooled := rnd.IntN(2) == 0
	if spooled {
		w.Keep(func(p []byte) { spool = append(spool, p...) })
	}
	farthest := start
	for range rnd.IntN(30) {
		left := len(data) - int(w.Offset())
		switch n := rnd.IntN(min(left, 300) + 1); rnd.IntN(4) {
		case 0:
			if p := w.Bytes(n); !bytes.Equal(p, data[w.Offset()-int64(n):w.Offset()]) {
				t.Errorf("wrong bytes before %d", w.Offset())
			}
		case 1:
			w.Skip(uint64(n))
		case 2:
			w.Need(n)
			w.Advance(min(n, len(w.Buffered())))
		case 3:
			switch w.KeepAll(); {
			case w.Holds(start):
				w.Return(start, nil, 0)
			case spooled:
				w.Return(start, bytes.NewReader(spool), start)
			default:
				w.Return(start, bytes.NewReader(data), 0)
			}
			if w.Offset() != start {
				t.Errorf("returned to %d, not %d", w.Offset(), start)
			}
		}
		farthest = max(farthest, w.Offset())
		if w.Err() != nil || !bytes.HasPrefix(data[w.Offset():], w.Buffered()) || !bytes.HasPrefix(data[start:], spool) {
			t.Errorf("at %d: %v, or wrong bytes at hand or kept", w.Offset(), w.Err())
		}
	}
	w.Skip(uint64(farthest - w.Offset()))
	w.Forget()
}

func TestStopAt(t *testing.T) {
	w := window.New(bytes.NewReader(make([]byte, 1000)), 16)
	w.StopAt(100)
	w.Skip(90)
	if w.Need(10); w.Err() != nil {
		t.Error(w.Err())
	}
	if w.Need(20) || w.Err() != window.ErrTooLong || w.Broken() {
		t.Error(w.Err())
	}
	if w.Recover(); w.Err() != nil {
		t.Error(w.Err())
	}
	if w.Skip(1 << 62); w.Err() != window.ErrTooLong || w.Offset() > 90 {
		t.Errorf("%v at %d", w.Err(), w.Offset())
	}
	w.Recover()
	w.StopAt(0)
	if w.Skip(910); w.Err() != nil || w.Offset() != 1000 {
		t.Errorf("%v at %d", w.Err(), w.Offset())
	}
}

// TestSourceFails expects an error of the source to stay, and what came before it to
// be given.
func TestSourceFails(t *testing.T) {
	down := errors.New("down")
	w := window.New(io.MultiReader(bytes.NewReader(make([]byte, 100)), iotest.ErrReader(down)), 16)
	w.Skip(100)
	if w.Err() != nil {
		t.Error(w.Err())
	}
	for range 2 {
		if w.Need(1) || w.Err() != down || !w.Broken() {
			t.Error(w.Err())
		}
		w.Recover()
	}
	w.Return(95, bytes.NewReader(make([]byte, 100)), 0)
	if w.Skip(5); w.Err() != nil || w.Need(1) || w.Err() != down {
		t.Error(w.Err())
	}
}

// TestLimit expects a buffer that holds what the limit allows and not much more.
func TestLimit(t *testing.T) {
	w := window.New(bytes.NewReader(make([]byte, 100000)), 100)
	w.Mark()
	w.SetLimit(1000)
	if !w.Need(1000) || len(w.Buffered()) > 1000 {
		t.Errorf("%v, %d bytes at hand", w.Err(), len(w.Buffered()))
	}
	if w.Need(1001) || w.Err() != window.ErrTooLong {
		t.Error(w.Err())
	}
}
