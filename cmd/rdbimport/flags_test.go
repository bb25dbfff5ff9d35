package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noValues are texts that a flag cannot have, by the kind of its value.
var noValues = map[string][]string{
	"count": {"many", "", "1.5", "-1", "0", "99999999999999999999"},
	"bool":  {"maybe"},
	"int":   {"many", "", "1.5", "-1", "99999999999999999999"},
	"TIME":  {"soon", "", "5", "-1s", "5 weeks"},
	"SIZE":  {"lots", "", "12XB", "-1", "1..5M", "99999999999999999999"},
	"N":     {"many", "", "1.5", "-1", "0", "65", "Auto", "99999999999999999999"},
	"P%":    {"some", "", "5", "0%", "-1%", "101%", "NaN%"},
}

// noTexts are texts that a flag of free text cannot have, by its name; none where
// any will do, or where only what stands behind it can tell.
var noTexts = map[string][]string{
	"on-conflict": {"never", ""}, "on-error": {"panic", ""}, "on-oom": {"panic", ""}, "progress": {"loud", ""},
	"cleanup": {"everything", ""}, "db-prefix": {""}, "errors": {""}, "checkpoint": {""}, "spool": {""},
	"map":  {"10.0.0.1:7001", "=", "", "a:1=b"},
	"user": nil, "sni": nil, "cacert": nil, "cert": nil, "key": nil, "report": nil, "server": nil,
	"target": nil, // may hold a password, and is not shown
}

// TestEveryFlag gives every flag of every command values that it cannot have: the
// message shows the flag, the value and an example.
func TestEveryFlag(t *testing.T) {
	root := newRootCommand(&streams{con: &console{w: io.Discard}})
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			values, ok := noValues[f.Value.Type()]
			if strings.HasPrefix(f.Value.Type(), "string") || f.Value.Type() == "" {
				values, ok = noTexts[f.Name]
			}
			if !ok {
				t.Errorf("%s --%s: say here which %s it cannot have", cmd.Name(), f.Name, f.Value.Type())
			}
			for _, v := range values {
				testFlag(t, cmd, f, v)
			}
		})
	}
}

func testFlag(t *testing.T, cmd *cobra.Command, f *pflag.Flag, value string) {
	args := []string{"--" + f.Name + "=" + value, "--json"}
	switch cmd.Name() {
	case "demo":
		args = append([]string{"demo"}, args...)
	case "rdbimport":
		args = append(args, "none.rdb", "127.0.0.1:1")
	case "inspect":
		args = append([]string{"inspect"}, append(args, "none.rdb")...)
	default:
		args = append([]string{cmd.Name()}, append(args, "none.rdb", "127.0.0.1:1")...)
	}
	if f.Name == "json" || cmd.Name() == "inspect" && f.Name == "map" { // for --target only
		return
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	text := stderr.String()
	want := fmt.Sprintf("rdbimport: --%s %q: ", f.Name, value)
	if code != exitStart || !strings.HasPrefix(text, want) || !strings.Contains(text, "\nhint: for example --"+f.Name) {
		t.Errorf("%s: exit code %d\n%s", strings.Join(args, " "), code, text)
	}
	if strings.Contains(text, "strconv") || strings.Contains(text, "parsing") {
		t.Errorf("%s: in words of Go: %s", strings.Join(args, " "), text)
	}
	var object struct {
		Error    string `json:"error"`
		ExitCode int    `json:"exit_code"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &object); err != nil || object.ExitCode != code || !strings.HasPrefix(want, "rdbimport: "+object.Error[:min(len(object.Error), len(want)-11)]) {
		t.Errorf("%s: %v, %s", strings.Join(args, " "), err, stdout.String())
	}
}

// TestUnbegunObjects compares the fields of the object that a command prints when
// it could not begin with those of its own.
func TestUnbegunObjects(t *testing.T) {
	for _, c := range []struct {
		args []string
		own  any
	}{
		{nil, jsonSummary{}}, {[]string{"--dry-run"}, planReport{}}, {[]string{"inspect"}, inspectReport{}}, {[]string{"verify"}, jsonVerify{}},
	} {
		var stdout, stderr bytes.Buffer
		args := append(c.args, "--json", "--nonsense")
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitStart {
			t.Errorf("%v: exit code %d", args, code)
		}
		var object map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &object); err != nil {
			t.Fatal(err)
		}
		own, err := json.Marshal(c.own)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(own, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if _, ok := object[name]; !ok {
				t.Errorf("%v: no %s in %s", args, name, stdout.String())
			}
		}
		for name := range object {
			if _, ok := fields[name]; !ok && name != "error" && name != "exit_code" {
				t.Errorf("%v: %s in an object that has no such field", args, name)
			}
		}
		if object["exit_code"] != 1.0 || object["error"] != "unknown flag: --nonsense" {
			t.Errorf("%v: %s", args, stdout.String())
		}
	}
}
