package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "small.rdb")
	var stdout, stderr bytes.Buffer
	if code := run([]string{"-set", "small", "-keys", "3", "-o", file}, &stdout, &stderr); code != 0 || stdout.Len() != 0 {
		t.Fatalf("exit code %d, %d bytes on standard output: %s", code, stdout.Len(), stderr.String())
	}
	if !strings.HasPrefix(stderr.String(), "small: 3 keys, 0 with expiry, ") {
		t.Errorf("it says %q", stderr.String())
	}
	if code := run([]string{"-set", "small", "-keys", "3"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, stdout.Bytes()) {
		t.Errorf("the file (%v) is not what standard output gets", err)
	}
}

func TestEverySet(t *testing.T) {
	for _, set := range []string{"mixed", "small", "strings", "collections", "huge", "sample"} {
		var stderr bytes.Buffer
		if code := run([]string{"-set", set, "-keys", "1", "-elements", "5"}, io.Discard, &stderr); code != 0 {
			t.Errorf("%s: exit code %d: %s", set, code, stderr.String())
		}
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{"-set", "none"}, {"-nosuchflag"}, {"-set", "sample", "-flavor", "none"}, {"-set", "collections", "-elements", "0"}, {"-o", "/nonexistent/x"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != 1 || stderr.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, stderr.String())
		}
	}
}
