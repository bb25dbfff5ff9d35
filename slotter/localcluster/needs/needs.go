// Package needs is for tests that cannot do without something: a server's binary, a
// program, a kernel that can do a thing. They are left out where it is missing, but for
// where everything has to run: there RDBIMPORT_CI is set, and they fail.
package needs

import (
	"os"
	"testing"
)

// Everything reports whether no test may be left out.
func Everything() bool { return os.Getenv("RDBIMPORT_CI") != "" }

// Have ends the test if err says that something is missing.
func Have(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case Everything():
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
}
