// Command rdbimport puts an RDB dump into a running Redis or Valkey cluster,
// without a restart and without resharding. See rdbimport --help.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
