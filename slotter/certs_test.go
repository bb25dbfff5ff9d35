package slotter_test

import (
	"testing"

	"github.com/rdbimport/rdbimport/slotter/localcluster"
)

// makeCerts makes a certificate for 127.0.0.1 and an authority that signs it.
func makeCerts(t *testing.T) *localcluster.TLS {
	t.Helper()
	ca, err := localcluster.NewAuthority(t.TempDir(), "ca")
	if err != nil {
		t.Fatal(err)
	}
	files, err := ca.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return files
}
