package rdbparse_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rdbimport/rdbimport/bench/dataset"
	"github.com/rdbimport/rdbimport/rdbparse"
)

// bigDumps are dumps of values of every type.
func bigDumps() map[string][]byte {
	dumps := map[string][]byte{}
	for i, f := range frames {
		lzfKey := cat(0xc3, 4, 7, 0, 'a', 0x80, 0)
		dumps[fmt.Sprint(i, " ", f.typ)] = dump(f.magic, head(f.typ), cat(252, zeros(8), int(f.typ.Byte()), "key", f.value),
			cat(0, "next", "value"), cat(int(f.typ.Byte()), lzfKey, f.value))
	}
	rnd := dataset.NewRand(11)
	for _, flavor := range dataset.Flavors() {
		var body [][]byte
		for _, typ := range flavor.Types {
			for _, n := range []int{1, 30} {
				body = append(body, cat(int(byte(typ)), fmt.Sprint("key", n)), dataset.AppendRandom(nil, rnd, typ, n))
			}
		}
		dumps[flavor.Name] = dump(flavor.Magic, body...)
	}
	return dumps
}

// TestBig reads every value as a big one, in part and again and again, and expects
// the bytes that are held otherwise, the records behind it, and the checksum.
func TestBig(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, data := range bigDumps() {
		want, err := allHeld(data)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, way := range ways {
			for size, limit := range map[int]int{16: 1, 300: 100, 0: 10} {
				testBig(t, fmt.Sprintf("%s, %s, buffer %d, limit %d", name, way.name, size, limit), data, way,
					rdbparse.Options{MaxValue: limit, BufferSize: size}, want, rnd)
			}
		}
	}
}

func testBig(t *testing.T, name string, data []byte, way way, opts rdbparse.Options, want []string, rnd *rand.Rand) {
	open := 0
	opts.AnyVersion = true
	sc := rdbparse.NewScanner(way.open(data, &opts, &open), opts)
	got, err := bigRecords(sc, func(v *rdbparse.BigValue) ([]byte, error) {
		raw, err := readBig(v, rnd)
		switch { // and leave it at any place
		case err != nil:
		case rnd.IntN(3) == 0:
			err = v.Rewind()
		case rnd.IntN(3) == 0:
			if _, err = copyBig(v, rnd.IntN(100)); err == errEnough {
				err = nil
			}
		}
		return raw, err
	})
	if err != nil || sc.Checksum() != checksumOf(data) || open != 0 {
		t.Errorf("%s: %v, checksum %v, %d spools left open", name, err, sc.Checksum(), open)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n%.3000s\nexpected\n%.3000s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestBigUnread leaves values unread, or read in part, where nothing can be read
// again: the encodings that are one string can be left at any place, the others
// must have been read to the end or not at all.
func TestBigUnread(t *testing.T) {
	for name, data := range bigDumps() {
		want, _ := allHeld(data)
		for _, part := range []int{-1, 0, 40, 1 << 40} {
			sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true, MaxValue: 1, BufferSize: 16})
			n := 0
			for sc.Next() {
				n++
				v := sc.BigValue()
				if v == nil || part < 0 {
					continue
				}
				if size, ok := v.Announced(); ok {
					if _, err := copyBig(v, part); err != nil && err != errEnough {
						t.Fatal(name, err)
					}
					if got, _ := v.Measure(1); got != size && got != 0 {
						t.Errorf("%s: announced %d, measured %d", name, size, got)
					}
				} else if size, err := v.Measure(int64(part)); part == 40 && size > 40 {
					if err != rdbparse.ErrTooLong {
						t.Fatalf("%s: %d, %v", name, size, err)
					}
					if err := v.Rewind(); err != nil && !errors.Is(err, rdbparse.ErrNoReplay) {
						t.Fatal(name, err)
					}
					if _, err := v.Measure(1); err == nil {
						t.Fatal(name)
					}
				}
			}
			var fe *rdbparse.FormatError
			switch {
			case part == 40 && errors.Is(sc.Err(), rdbparse.ErrNoReplay) && errors.As(sc.Err(), &fe) && fe.Key != nil:
			case sc.Err() != nil || n != len(want):
				t.Errorf("%s, read up to %d: %d records of %d, %v", name, part, n, len(want), sc.Err())
			}
		}
	}
}

// TestBigCut cuts a dump at every byte of a value that is read as a big one.
func TestBigCut(t *testing.T) {
	actions := map[string]func(v *rdbparse.BigValue) error{
		"copy":    func(v *rdbparse.BigValue) error { return v.Copy(func([]byte) error { return nil }) },
		"measure": func(v *rdbparse.BigValue) error { _, err := v.Measure(0); return err },
		"skip":    func(v *rdbparse.BigValue) error { return v.Skip() },
		"next":    func(*rdbparse.BigValue) error { return nil },
		"twice": func(v *rdbparse.BigValue) error {
			v.Copy(func([]byte) error { return errEnough })
			return v.Skip()
		},
	}
	for _, f := range frames {
		whole := cat([]byte(f.magic), head(f.typ), int(f.typ.Byte()), "key", f.value)
		for n := len(whole) - len(f.value); n < len(whole); n++ {
			for name, act := range actions {
				for _, way := range ways {
					open := 0
					opts := rdbparse.Options{MaxValue: 1, BufferSize: 16}
					sc := rdbparse.NewScanner(way.open(whole[:n], &opts, &open), opts)
					for sc.Next() {
						if v := sc.BigValue(); v != nil {
							if err := act(v); err != nil && err != sc.Err() {
								t.Errorf("%v cut by %d, %s, %s: %v, but %v", f.typ, len(whole)-n, way.name, name, err, sc.Err())
							}
						}
					}
					var fe *rdbparse.FormatError
					if !errors.As(sc.Err(), &fe) || !errors.Is(fe, rdbparse.ErrTruncated) || string(fe.Key) != "key" || open != 0 {
						t.Errorf("%v cut by %d, %s, %s: %v, %d spools open", f.typ, len(whole)-n, way.name, name, sc.Err(), open)
					}
				}
			}
		}
	}
}

// TestBigDamaged expects an error of the framing from whatever goes over a value
// that cannot be framed.
func TestBigDamaged(t *testing.T) {
	value := cat(40, bytes.Repeat(cat("member"), 20), 0xc9)
	for _, act := range []func(v *rdbparse.BigValue) error{
		func(v *rdbparse.BigValue) error { _, err := v.Measure(0); return err },
		func(v *rdbparse.BigValue) error { return v.Skip() },
		func(v *rdbparse.BigValue) error { return v.Copy(func([]byte) error { return nil }) },
		func(v *rdbparse.BigValue) error { return nil },
	} {
		sc := rdbparse.NewScanner(bytes.NewReader(dump("REDIS0011", cat(2, "key", value))), rdbparse.Options{MaxValue: 10, BufferSize: 16})
		for sc.Next() {
			if err := act(sc.BigValue()); err != sc.Err() {
				t.Errorf("%v, but %v", err, sc.Err())
			}
		}
		var fe *rdbparse.FormatError
		if !errors.Is(sc.Err(), rdbparse.ErrCorrupt) || !errors.As(sc.Err(), &fe) || string(fe.Key) != "key" {
			t.Error(sc.Err())
		}
	}
}

// TestBigSpoolFails expects a spool that takes no more to make going back
// impossible, and nothing else.
func TestBigSpoolFails(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 100)
	d := dump("REDIS0011", cat(1, "long", 20, bytes.Repeat(cat(string(long[:50])), 20)), cat(0, "next", "value"))
	broken := func() (rdbparse.Spool, error) { return nil, errFull }
	open := 0
	for room, spool := range map[int]func() (rdbparse.Spool, error){0: broken, 10: spools(10, &open), 500: spools(500, &open)} {
		sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{MaxValue: 10, BufferSize: 64, Spool: spool})
		var keys []string
		for sc.Next() {
			keys = append(keys, string(sc.Entry().Key))
			v := sc.BigValue()
			if v == nil {
				continue
			}
			if size, err := v.Measure(0); size != 1021 || err != nil {
				t.Errorf("room for %d: %d, %v", room, size, err)
			}
			if err := v.Rewind(); !errors.Is(err, rdbparse.ErrNoReplay) || !errors.Is(err, errFull) {
				t.Errorf("room for %d: %v", room, err)
			}
			if err := v.Copy(func([]byte) error { return nil }); !errors.Is(err, rdbparse.ErrNoReplay) {
				t.Errorf("room for %d: %v", room, err)
			}
		}
		if fmt.Sprint(keys) != "[long next]" || sc.Err() != nil || sc.Checksum() != rdbparse.ChecksumOK || open != 0 {
			t.Errorf("room for %d: %v, %v, %v, %d open", room, keys, sc.Err(), sc.Checksum(), open)
		}
	}
}

// TestBigClose gives up reading within a value.
func TestBigClose(t *testing.T) {
	d := dump("REDIS0011", cat(1, "list", 40, bytes.Repeat(cat("member"), 40)))
	open := 0
	sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{MaxValue: 10, BufferSize: 16, Spool: spools(1000, &open)})
	if !sc.Next() || open != 0 {
		t.Fatal(sc.Err(), open)
	}
	if _, err := sc.BigValue().Measure(0); err != nil || open != 1 {
		t.Fatal(err, open)
	}
	if err := sc.Close(); err != nil || open != 0 {
		t.Error(err, open)
	}
	if err := sc.Close(); err != nil {
		t.Error(err)
	}
}

// TestBigAgainFails expects the error of a file that cannot be read again to end
// the scan.
func TestBigAgainFails(t *testing.T) {
	d := dump("REDIS0011", cat(1, "list", 40, bytes.Repeat(cat("member"), 40)), cat(0, "next", "value"))
	sc := rdbparse.NewScanner(bytes.NewReader(d), rdbparse.Options{MaxValue: 10, BufferSize: 16, Again: bytes.NewReader(d[:40])})
	for sc.Next() {
		v := sc.BigValue()
		if _, err := v.Measure(0); err != nil {
			t.Fatal(err)
		}
		if err := v.Copy(func([]byte) error { return nil }); err == nil || err != sc.Err() {
			t.Errorf("%v, but %v", err, sc.Err())
		}
	}
	var fe *rdbparse.FormatError
	if !errors.As(sc.Err(), &fe) || !errors.Is(fe, rdbparse.ErrTruncated) || fe.Offset != 40 {
		t.Error(sc.Err())
	}
}

// TestBigPosition resumes behind big values that have been read to their ends.
func TestBigPosition(t *testing.T) {
	for name, data := range bigDumps() {
		want, _ := allHeld(data)
		opts := rdbparse.Options{AnyVersion: true, MaxValue: 1, BufferSize: 64, Again: bytes.NewReader(data)}
		sc := rdbparse.NewScanner(bytes.NewReader(data), opts)
		for n := 1; sc.Next(); n++ {
			v := sc.BigValue()
			if v == nil {
				continue
			}
			if p, ok := sc.Position(); ok {
				t.Errorf("%s: position %v before the value", name, p)
			}
			if _, err := copyBig(v, 1<<40); err != nil {
				t.Fatal(name, err)
			}
			p, ok := sc.Position()
			if !ok {
				if !strings.Contains(name, "_ref") { // behind a template there is none
					t.Errorf("%s: no position behind %s", name, want[n-1])
				}
				continue
			}
			rest, err := rdbparse.ResumeScanner(bytes.NewReader(data[p.Offset:]), p, opts)
			if err != nil {
				t.Fatal(err)
			}
			got, err := bigRecords(rest, func(v *rdbparse.BigValue) ([]byte, error) {
				if _, err := v.Measure(0); err != nil { // and back, by the offsets of the whole dump
					return nil, err
				}
				return copyBig(v, 1<<40)
			})
			if err != nil || strings.Join(got, "\n") != strings.Join(want[n:], "\n") || rest.Checksum() != checksumOf(data) {
				t.Fatalf("%s: behind record %d: %v\n%s", name, n, err, strings.Join(got, "\n"))
			}
		}
	}
}

// FuzzBig reads any bytes as a dump in which every value is big, in ways that ops
// chooses. The oracle is the scan that holds them.
func FuzzBig(f *testing.F) {
	for _, fr := range frames {
		f.Add(dump(fr.magic, head(fr.typ), cat(int(fr.typ.Byte()), "key", fr.value), cat(0, "next", "value")), uint64(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		want, wantErr := allHeld(data)
		rnd := rand.New(rand.NewPCG(seed, 0))
		way := ways[seed%uint64(len(ways))]
		open := 0
		opts := rdbparse.Options{AnyVersion: true, MaxValue: 1 + int(seed>>8&63), BufferSize: 16 + int(seed>>16&255)}
		sc := rdbparse.NewScanner(way.open(data, &opts, &open), opts)
		got, err := bigRecords(sc, func(v *rdbparse.BigValue) ([]byte, error) { return readBig(v, rnd) })
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nexpected\n%s", way.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if (err == nil) != (wantErr == nil) || open != 0 || sc.Checksum() != checksumOf(data) {
			t.Errorf("%s: %v, expected %v; %d spools open, checksum %v", way.name, err, wantErr, open, sc.Checksum())
		}
	})
}

func checksumOf(data []byte) rdbparse.Checksum {
	sc := rdbparse.NewScanner(bytes.NewReader(data), rdbparse.Options{AnyVersion: true})
	for sc.Next() {
	}
	return sc.Checksum()
}
