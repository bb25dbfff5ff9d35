package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rdbimport/rdbimport/bench/dataset"
)

// writeDump writes a dump:
//
//	dump sample FILE [FLAVOR]     one of everything
//	dump mixed FILE KEYS          ordinary keys
//	dump keys FILE [DB:]KEY=VALUE... strings, in the databases given; KEY is
//	                              unquoted, so that it may hold \xff
//	dump magic FILE MAGIC         an empty dump that begins so
//	dump nosum FILE               a dump without checksum
//	dump mark FILE                a dump with a replication end mark behind it
//	dump aof FILE                 a dump with two commands behind it
//	dump gzip FILE KEYS           mixed, compressed
func writeDump(ts *testscript.TestScript, _ bool, args []string) {
	kind, name, rest := args[0], ts.MkAbs(args[1]), args[2:]
	var b bytes.Buffer
	var err error
	switch kind {
	case "sample":
		flavor := defaultServer
		if len(rest) > 0 {
			flavor = rest[0]
		}
		f, ferr := dataset.FlavorByName(flavor)
		ts.Check(ferr)
		_, err = dataset.Sample(&b, f)
	case "mixed":
		_, err = dataset.Mixed(&b, number(ts, rest[0]), 7)
	case "gzip":
		z := gzip.NewWriter(&b)
		_, err = dataset.Mixed(z, number(ts, rest[0]), 7)
		ts.Check(z.Close())
	case "keys":
		err = writeKeys(&b, rest)
	case "magic":
		err = dataset.NewWriter(&b, rest[0]).Close()
	case "nosum":
		w := dataset.NewWriter(&b, "REDIS0009")
		w.NoChecksum = true
		w.Key(dataset.TypeString, []byte("k"), dataset.AppendString(nil, "v"))
		err = w.Close()
	case "mark":
		err = writeKeys(&b, []string{"a=1", "b=2"})
		b.WriteString(strings.Repeat("0123456789abcdef", 3)[:40])
	case "aof":
		err = writeKeys(&b, []string{"a=1", "b=2"})
		b.WriteString("*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n")
	default:
		ts.Fatalf("no dump %q", kind)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(name, b.Bytes(), 0o600))
}

func writeKeys(b *bytes.Buffer, keys []string) error {
	w := dataset.NewWriter(b, "REDIS0009")
	db := "0"
	w.SelectDB(0)
	for _, k := range keys {
		in, pair, ok := strings.Cut(k, ":")
		if !ok {
			in, pair = db, k
		}
		if in != db {
			n := 0
			if _, err := fmt.Sscan(in, &n); err != nil {
				return err
			}
			w.SelectDB(n)
			db = in
		}
		key, value, _ := strings.Cut(pair, "=")
		key = strings.ReplaceAll(key, `\xff`, "\xff")
		w.Key(dataset.TypeString, []byte(key), dataset.AppendString(nil, value))
	}
	return w.Close()
}

// interrupted runs rdbimport with the first half of FILE on its standard input,
// which then stays open; when all nodes together have had keys for a while, or
// at once with -early, it sends SIGINT and waits for the end. It writes to the
// files stdout, stderr and code.
//
//	interrupt FILE ARG...
func interrupted(ts *testscript.TestScript, _ bool, args []string) {
	dump := []byte(ts.ReadFile(args[0]))
	path := ""
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if _, err := os.Stat(dir + "/rdbimport"); err == nil {
			path = dir + "/rdbimport"
			break
		}
	}
	cmd := exec.Command(path, args[1:]...)
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ts.Check(cmd.Start())
	_, err = stdin.Write(dump[:len(dump)/2])
	ts.Check(err)
	ts.Check(untilSteady(func() int64 { return keysOn(ts) }))
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
		ts.Fatalf("it hangs\n%s", stderr.String())
	}
	_ = stdin.Close()
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), stdout.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), stderr.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("code"), fmt.Appendln(nil, cmd.ProcessState.ExitCode()), 0o600))
}

// untilSteady waits until count is above zero and has not changed for a while.
func untilSteady(count func() int64) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(20 * time.Second)
	last, same := int64(0), 0
	for range ticker.C {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d keys, and it does not come to rest", last)
		}
		n := count()
		if n != last || n == 0 {
			last, same = n, 0
			continue
		}
		if same++; same == 10 {
			return nil
		}
	}
	return nil
}
