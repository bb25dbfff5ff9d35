//go:build !linux

package source

import (
	"io"
	"os"
)

func openFile(path string) (*os.File, error) { return os.Open(path) }

func adviseSequential(*os.File) {}

func newPoller(io.Reader) interrupter { return nil }
