package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/pierrec/lz4/v4"
)

// skippable is a frame that zstd and lz4 readers pass over.
func skippable(payload string) []byte {
	return append([]byte{0x53, 0x2a, 0x4d, 0x18, byte(len(payload)), 0, 0, 0}, payload...)
}

func asReply(b []byte) []byte { return fmt.Appendf(nil, "$%d\r\n%s", len(b), b) }

func TestDetect(t *testing.T) {
	for _, dump := range [][]byte{testDump("x"), []byte("VALKEY080\xff12345678"), testDump(filler(300_000))} {
		half := len(dump) / 2
		marked := append(slices.Clone(dump), testMark...)
		tests := []struct {
			name     string
			in       []byte
			want     []byte
			wrappers []string
		}{
			{"plain", dump, dump, nil},
			{"gzip", gzipped(t, dump), dump, []string{"gzip"}},
			{"gzip members", gzipped(t, dump[:half], nil, dump[half:]), dump, []string{"gzip"}},
			{"zstd", zstded(t, dump), dump, []string{"zstd"}},
			{"zstd frames", append(zstded(t, dump[:half]), zstded(t, dump[half:])...), dump, []string{"zstd"}},
			{"zstd skippable", append(skippable("12"), zstded(t, dump)...), dump, []string{"zstd"}},
			{"lz4", lz4ed(t, dump), dump, []string{"lz4"}},
			{"lz4 checks", lz4ed(t, dump, lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block64Kb)), dump, []string{"lz4"}},
			{"lz4 frames", append(lz4ed(t, dump[:half]), lz4ed(t, dump[half:])...), dump, []string{"lz4"}},
			{"lz4 legacy", lz4ed(t, dump, lz4.LegacyOption(true)), dump, []string{"lz4"}},
			{"lz4 skippable", append(append(skippable(""), skippable("abc")...), lz4ed(t, dump)...), dump, []string{"lz4"}},
			{"reply", asReply(dump), dump, []string{"replication stream"}},
			{"reply with more behind", append(asReply(dump), "*1\r\n$4\r\nPING\r\n"...), dump, []string{"replication stream"}},
			{"keep-alives", append([]byte("\n\n\n"), asReply(dump)...), dump, []string{"replication stream"}},
			{"diskless", append([]byte("\n$EOF:"+testMark+"\r\n"), marked...), marked, []string{"replication stream"}},
			{"reply in gzip", gzipped(t, asReply(dump)), dump, []string{"gzip", "replication stream"}},
			{"gzip in reply", asReply(gzipped(t, dump)), dump, []string{"replication stream", "gzip"}},
			{"zstd in gzip", gzipped(t, zstded(t, dump)), dump, []string{"gzip", "zstd"}},
			{"lz4 in reply in zstd", zstded(t, asReply(lz4ed(t, dump))), dump, []string{"zstd", "replication stream", "lz4"}},
		}
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/%d", tt.name, len(dump)), func(t *testing.T) {
				s := opened(t, tt.in)
				check(t, s, tt.want, tt.wrappers)
				if s.Size() != int64(len(tt.in)) {
					t.Errorf("size %d, want %d", s.Size(), len(tt.in))
				}
				check(t, streamed(t, iotest.OneByteReader(bytes.NewReader(tt.in))), tt.want, tt.wrappers)
				check(t, streamed(t, iotest.HalfReader(bytes.NewReader(tt.in))), tt.want, tt.wrappers)
				check(t, streamed(t, iotest.DataErrReader(bytes.NewReader(tt.in))), tt.want, tt.wrappers)
			})
		}
	}
}

func check(t *testing.T, s *Source, want []byte, wrappers []string) {
	t.Helper()
	got, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, want %d, or others", len(got), len(want))
	}
	if !slices.Equal(s.Wrappers(), wrappers) {
		t.Errorf("wrappers %q, want %q", s.Wrappers(), wrappers)
	}
	if s.Offset() != int64(len(want)) || s.RawRead() == 0 {
		t.Errorf("offset %d of %d, raw %d", s.Offset(), len(want), s.RawRead())
	}
}

func TestRefused(t *testing.T) {
	dump := testDump("x")
	tar := make([]byte, 1024)
	copy(tar, "dump.rdb")
	copy(tar[257:], "ustar")
	long := filler(2000)
	tests := []struct {
		name string
		in   string
		kind error
		says string
	}{
		{"empty", "", ErrNotRDB, "it is empty; what writes into the pipe"},
		{"empty in gzip", string(gzipped(t, nil)), ErrNotRDB, "inside gzip: it is empty"},
		{"text in zstd in gzip", string(gzipped(t, zstded(t, []byte(long)))), ErrNotRDB, "inside zstd inside gzip: it starts"},
		{"text", long, ErrNotRDB, `starts with "a value of some `},
		{"one odd byte", "\x00", ErrNotRDB, `starts with "\x00"`},
		{"no version", "REDIS is fast", ErrNotRDB, `starts with "REDIS is "`},
		{"no version of valkey", "VALKEY08x\xff", ErrNotRDB, `starts with "VALKEY08x"`},
		{"cut magic", "REDIS001", ErrTruncated, "8 bytes"},
		{"cut name", "RED", ErrTruncated, "3 bytes"},
		{"tar", string(tar), ErrNotRDB, "tar archive; unpack it"},
		{"zip", "PK\x03\x04" + long, ErrNotRDB, "zip archive"},
		{"7z", "7z\xbc\xaf\x27\x1c" + long, ErrNotRDB, "7z archive"},
		{"bzip2", "BZh9" + long, ErrUnsupported, "bzip2"},
		{"xz", "\xfd7zXZ\x00" + long, ErrUnsupported, "xz data"},
		{"json", `{"key": 1}`, ErrNotRDB, "JSON"},
		{"AOF", "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", ErrNotRDB, "no RDB part; load it with"},
		{"AOF with timestamps", "#TS:1700000000\r\n*1\r\n$4\r\nPING\r\n", ErrNotRDB, "no RDB part"},
		{"manifest", "file appendonly.aof.1.base.rdb seq 1 type b\n", ErrNotRDB, "name the *.base.rdb"},
		{"redis-cli", "sending REPLCONF capa eof\n" + long, ErrNotRDB, "leave the 2>&1"},
		{"older redis-cli", "SYNC sent to master, writing 27 bytes to '-'\n" + long, ErrNotRDB, "leave the 2>&1"},
		{"error reply", "-NOAUTH Authentication required.\r\n", ErrNotRDB, `"-NOAUTH Authentication required."`},
		{"envelope", "VCS\x01\x01\x00\x00" + long, ErrUnsupported, "VCS"},
		{"older envelope", "VKCS\x01\x01\x00\x00" + long, ErrUnsupported, "VKCS"},
		{"reply of nothing", "$0\r\n", ErrNotRDB, "inside replication stream: it is empty"},
		{"null reply", "$-1\r\n", ErrNotRDB, "no replication reply"},
		{"huge reply", "$99999999999999999999\r\nREDIS0011", ErrNotRDB, "no replication reply"},
		{"reply without number", "$\r\n" + long, ErrNotRDB, "no replication reply"},
		{"long reply header", "$" + strings.Repeat("1", 100), ErrNotRDB, "no replication reply"},
		{"bare newline", "$27\nREDIS0011", ErrNotRDB, "no replication reply"},
		{"short mark", "$EOF:abc\r\n" + string(dump), ErrNotRDB, "no replication reply"},
		{"cut reply header", "\n$12", ErrTruncated, "inside the header"},
		{"newlines only", "\n\n\n", ErrTruncated, "inside the header"},
		{"reply in reply", string(asReply(asReply(dump))), ErrUnsupported, "inside another"},
		{"gzip in diskless reply", "$EOF:" + testMark + "\r\n" + string(gzipped(t, dump)) + testMark, ErrUnsupported, "end mark"},
		{"three compressions", string(gzipped(t, gzipped(t, gzipped(t, dump)))), ErrUnsupported, "more than twice"},
		{"damaged gzip header", "\x1f\x8b\x07" + long, ErrCompressed, "gzip data is damaged"},
		{"damaged zstd header", "\x28\xb5\x2f\xfd\x08" + long, ErrCompressed, "zstd data is damaged"},
		{"damaged lz4 header", "\x04\x22\x4d\x18" + long, ErrCompressed, "lz4 data is damaged"},
		{"dictionary", "\x28\xb5\x2f\xfd\x21\x07\x01" + long, ErrUnsupported, "dictionary"},
		{"window of a gigabyte", "\x28\xb5\x2f\xfd\x00\xa0" + long, ErrUnsupported, "larger than 128 MiB"},
	}
	kinds := []error{ErrNotRDB, ErrUnsupported, ErrTruncated, ErrCompressed}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			readers := map[string]io.Reader{
				"whole":    strings.NewReader(tt.in),
				"one byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			}
			for how, r := range readers {
				s, err := New(context.Background(), r, "standard input")
				if err == nil {
					closeOK(t, s)
					t.Fatalf("%s: no error", how)
				}
				for _, kind := range kinds {
					if errors.Is(err, kind) != (kind == tt.kind) {
						t.Errorf("%s: error %q: is %q: %v", how, err, kind, kind != tt.kind)
					}
				}
				if !strings.HasPrefix(err.Error(), "standard input: ") || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: error %q does not name its source and say %q", how, err, tt.says)
				}
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none\n.rdb")
	_, err := Open(context.Background(), missing)
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "none") != 1 || strings.Contains(err.Error(), "\n") {
		t.Errorf("missing file: %v", err)
	}
	_, err = Open(context.Background(), dir)
	var e *Error
	if !errors.Is(err, syscall.EISDIR) || !errors.As(err, &e) || e.Kind != nil || e.Name != dir || e.Hint == "" {
		t.Errorf("directory: %v", err)
	}
	unreadable := tempFile(t, testDump(""))
	if err := os.Chmod(unreadable, 0); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(context.Background(), unreadable); err == nil {
		closeOK(t, s) // the superuser may read it
		if os.Getuid() != 0 {
			t.Error("opened a file without permission")
		}
	} else if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("unreadable file: %v", err)
	}
}

// TestCut cuts wrapped dumps at every byte. What is read must be a prefix, and the error must tell a cut wrapping from a
// cut dump, which is plain EOF here and left to the dump's reader.
func TestCut(t *testing.T) {
	dump := testDump(filler(500))
	tests := []struct {
		name  string
		in    []byte
		kinds []error // that a cut may give
		eof   bool    // or a plain end
	}{
		{"plain", dump, []error{ErrNotRDB, ErrTruncated}, true},
		{"gzip", gzipped(t, dump), []error{ErrNotRDB, ErrTruncated, ErrCompressed}, false},
		{"zstd", zstded(t, dump), []error{ErrNotRDB, ErrTruncated, ErrCompressed}, false},
		{"lz4", lz4ed(t, dump), []error{ErrNotRDB, ErrTruncated, ErrCompressed}, false},
		{"reply", asReply(dump), []error{ErrNotRDB, ErrTruncated}, false},
		{"reply in gzip", gzipped(t, asReply(dump)), []error{ErrNotRDB, ErrTruncated, ErrCompressed}, false},
		{"gzip in reply", asReply(gzipped(t, dump)), []error{ErrNotRDB, ErrTruncated}, false},
		{"lz4 in zstd", zstded(t, lz4ed(t, dump)), []error{ErrNotRDB, ErrTruncated, ErrCompressed}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for n := range tt.in {
				got, err := readAll(t, tt.in[:n])
				if !bytes.HasPrefix(dump, got) {
					t.Fatalf("cut at %d: other bytes", n)
				}
				if err == nil && tt.eof {
					continue
				}
				if !slices.ContainsFunc(tt.kinds, func(k error) bool { return errors.Is(err, k) }) {
					t.Fatalf("cut at %d: error %v", n, err)
				}
				if n == 0 != errors.Is(err, ErrNotRDB) {
					t.Fatalf("cut at %d: error %v", n, err)
				}
				if errors.Is(err, ErrCompressed) && (errors.Is(err, ErrTruncated) || !errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Fatalf("cut at %d: error %v", n, err)
				}
			}
		})
	}
}

func readAll(t *testing.T, in []byte) ([]byte, error) {
	t.Helper()
	s, err := New(context.Background(), bytes.NewReader(in), "in")
	if err != nil {
		return nil, err
	}
	defer closeOK(t, s)
	got, err := io.ReadAll(s)
	if err != nil && !strings.HasPrefix(err.Error(), "in: ") {
		t.Errorf("error %q does not name its source", err)
	}
	return got, err
}

func TestDamagedInTheMiddle(t *testing.T) {
	dump := testDump(filler(200_000))
	for name, in := range map[string][]byte{"gzip": gzipped(t, dump), "zstd": zstded(t, dump), "lz4": lz4ed(t, dump)} {
		in[len(in)-3] ^= 0x40 // in the checksum of each
		_, err := readAll(t, in)
		if !errors.Is(err, ErrCompressed) || errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), name+" data is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadError: a failing disk is neither a cut nor a damaged dump, whatever lies above it.
func TestReadError(t *testing.T) {
	broken := errors.New("input/output error")
	dump := testDump(filler(200_000))
	for name, in := range map[string][]byte{
		"plain": dump, "gzip": gzipped(t, dump), "zstd": zstded(t, dump), "lz4": lz4ed(t, dump), "reply": asReply(dump),
		"nested": gzipped(t, asReply(lz4ed(t, dump))),
	} {
		for _, n := range []int{0, 3, 20, len(in) - 10} {
			r := io.MultiReader(bytes.NewReader(in[:n]), iotest.ErrReader(&fs.PathError{Op: "read", Path: "dump", Err: broken}))
			s, err := New(context.Background(), r, "dump")
			if err == nil {
				_, err = io.Copy(io.Discard, s)
				closeOK(t, s)
			}
			if !errors.Is(err, broken) || errors.Is(err, ErrCompressed) || errors.Is(err, ErrTruncated) {
				t.Errorf("%s at %d: %v", name, n, err)
			} else if strings.Count(err.Error(), "dump") != 1 {
				t.Errorf("%s at %d: %q", name, n, err)
			}
		}
	}
}

// TestStartsInFile: a shell may have read the first lines of standard input.
func TestStartsInFile(t *testing.T) {
	dump := testDump(filler(100_000))
	f, err := os.Open(tempFile(t, append([]byte("a line\n"), dump...)))
	if err != nil {
		t.Fatal(err)
	}
	defer closeOK(t, f)
	if _, err := f.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	s := streamed(t, f)
	if err := s.QuickCheck(); err != nil {
		t.Error(err)
	}
	if id, err := s.Identity(); err != nil || id != (Identity{Size: int64(len(dump)), Bytes: headSize, SHA256: hash(dump[:headSize])}) {
		t.Errorf("identity %v, %v", id, err)
	}
	if err := s.SkipTo(context.Background(), 70_000); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, dump[70_000:]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// TestEmptyFile: of a file, and of a device, nobody is asked what he has written.
func TestEmptyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{name, os.DevNull} {
		_, err := Open(t.Context(), name)
		if !errors.Is(err, ErrNotRDB) || !strings.Contains(err.Error(), "it is empty; a dump is") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
