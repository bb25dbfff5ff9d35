package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWritesBeside finds the files that hold what was written after the base of an AOF.
func TestWritesBeside(t *testing.T) {
	const base = "appendonly.aof.2.base.rdb"
	const listed = "file " + base + " seq 2 type b\n"
	for _, c := range []struct {
		name, manifest, want string
		size                 int64
	}{
		{"none", "", "", 0},
		{"base alone", listed, "", 0},
		{"a file behind it", listed + "file one.aof seq 2 type i startoffset 3\n", "one.aof", 3},
		{"two, an empty one, one that is gone", listed + "file one.aof seq 2 type i\nfile empty.aof seq 3 type i\nfile gone.aof seq 4 type i\nfile two.aof seq 5 type i\n", "one.aof two.aof", 8},
		{"history", listed + "file one.aof seq 1 type h\n", "", 0},
		{"of another base", "file other.rdb seq 2 type b\nfile one.aof seq 2 type i\n", "", 0},
		{"a name with a blank", listed + `file "t wo.aof" seq 2 type i` + "\n", "t wo.aof", 1},
		{"text", "# file file file\nfile\nfile \nfile x\n\n", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{base: "REDIS", "one.aof": "abc", "two.aof": "abcde", "empty.aof": "", "t wo.aof": "a", "appendonly.aof.manifest": c.manifest} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			files, size := writesBeside(filepath.Join(dir, base))
			if got := strings.Join(files, " "); got != c.want || size != c.size {
				t.Errorf("%q, %d bytes, want %q, %d", got, size, c.want, c.size)
			}
		})
	}
}
